"""The check of every event that a sandbox receives finds what has another form, and nothing else."""

import json
import uuid

import pytest
import requests

from state.records import Transition
from support import event_forms
from support.track_samples import event
from sync.events.message_id import NAMESPACE
from sync.events.options import ADDABLE, HASHABLE, OPTIONAL

OURS = str(uuid.uuid5(NAMESPACE, "an event"))


def arrive(sandbox, sent):
    """Send an event as the program does, and return what the check finds."""
    body = json.dumps({"batch": [sent]})
    key = (sandbox.segment.write_key, "")
    assert requests.post(f"{sandbox.segment_url}/v1/batch", data=body, auth=key, timeout=5).ok
    return event_forms.of_another_form()


@pytest.mark.parametrize("transition", Transition)
@pytest.mark.parametrize("options", [{}, {"add": ADDABLE}, {"hashed": HASHABLE}, {"leave_out": OPTIONAL}])
def test_an_event_of_any_settings_passes(sandbox, transition, options):
    """The settings of a test are not known to the check."""
    assert not arrive(sandbox, event(transition, **options) | {"messageId": OURS})


def test_an_event_of_another_form_is_found(sandbox):
    """A property that nobody describes, and a null."""
    wrong = event(Transition.CLOSED) | {"messageId": OURS}
    wrong["properties"] |= {"shoeSize": 46, "email": None}
    assert len(arrive(sandbox, wrong)) == 2


def test_what_a_test_made_by_hand_is_passed_over(sandbox):
    """Its id is not one of the program's."""
    assert not arrive(
        sandbox, {"type": "track", "event": "Gladly Conversation Closed", "messageId": "m-1", "userId": "u"}
    )
