"""`schema` prints the form of the events as configured, and needs nothing but the settings."""

import json

import pytest
import yaml
from jsonschema import Draft7Validator

from sync.events.options import EventOptions
from sync.events.schema import json_schema, segment_rules


def test_the_form_needs_no_secret_and_no_state_file(command, tmp_path):
    """It can be printed before anything is set up."""
    done = command("schema")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == json_schema()
    Draft7Validator.check_schema(json.loads(done.out))
    assert not list(tmp_path.iterdir())


def test_the_form_is_that_of_the_settings(command):
    """As configured: added, left out, hashed, reopened."""
    settings = {
        "GLADLY_SEGMENT_PROPERTIES__ADD": "createdAt,topicNames",
        "GLADLY_SEGMENT_PROPERTIES__LEAVE_OUT": "phone",
        "GLADLY_SEGMENT_PROPERTIES__HASH": "email",
        "GLADLY_SEGMENT_SYNC__REOPENED": "true",
    }
    options = EventOptions(
        reopened=True, add=("createdAt", "topicNames"), leave_out=("phone",), hashed=("email",)
    )
    assert json.loads(command("schema", **settings).out) == json_schema(options)
    assert json.loads(command("schema", "--format", "segment", **settings).out) == segment_rules(options)
    documents = list(yaml.safe_load_all(command("schema", "--format", "rudderstack", **settings).out))
    assert len(documents[0]["spec"]["events"]) == 3


@pytest.mark.parametrize("settings", [{"GLADLY_SEGMENT_PROPERTIES__ADD": "shoeSize"}])
def test_wrong_settings_are_named(command, settings):
    """Exit 2, and a sentence."""
    done = command("schema", **settings)
    assert done.code == 2
    assert "The variable GLADLY_SEGMENT_PROPERTIES__ADD is 'shoeSize'" in done.err
