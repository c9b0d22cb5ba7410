"""The published form of the events: JSON Schema, and the tracking plans made from it (semantics 1.6)."""

import itertools
import json
from dataclasses import replace

import msgspec
import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker

from state.records import Transition
from support.track_samples import CONVERSATION, PROFILE, SUBJECT, event
from sync.events.options import ADDABLE, AS_GLADLY, HASHABLE, OPTIONAL, EventOptions
from sync.events.schema import (
    event_schema,
    identify_schema,
    json_schema,
    properties_schema,
    rudderstack_plan,
    segment_rules,
    sent_transitions,
)
from sync.events.track import NAMES

FULL = replace(
    SUBJECT,
    conversation=msgspec.structs.replace(CONVERSATION, inbox_id="inbox-1"),
    topic_names=["Sizes"],
    profile=msgspec.structs.replace(PROFILE, external_customer_id="crm-7"),
)
BARE = replace(
    SUBJECT,
    conversation=None,
    profile=msgspec.structs.replace(PROFILE, name=None, emails=[], phones=[], custom_attributes=None),
    agent_id=None,
    agent_name=None,
    topic_ids=[],
)


def subsets(names):
    return [chosen for n in range(len(names) + 1) for chosen in itertools.combinations(names, n)]


def validator(schema):
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema, format_checker=FormatChecker())


@pytest.mark.parametrize("add", subsets(ADDABLE), ids=lambda names: "+".join(names) or "nothing")
def test_every_event_has_the_form_of_its_settings(add):
    """Whatever is added, hashed and left out; where everything is known, and where nearly nothing is."""
    for hashed, leave_out in itertools.product(subsets(HASHABLE), subsets(OPTIONAL)):
        options = EventOptions(reopened=True, add=add, hashed=hashed, leave_out=leave_out)
        for transition in Transition:
            form = Draft7Validator(event_schema(transition, options), format_checker=FormatChecker())
            for subject in (FULL, BARE) if len(leave_out) in (0, 1, len(OPTIONAL)) else (FULL,):
                form.validate(event(transition, subject, **options._asdict()))


@pytest.mark.parametrize("transition", Transition)
def test_the_form_names_every_property_and_no_other(transition):
    """A property that is sent is described, and one that cannot be sent is not."""
    for options in (AS_GLADLY, EventOptions(add=ADDABLE), EventOptions(leave_out=OPTIONAL)):
        sent = event(transition, FULL, **options._asdict())["properties"]
        assert properties_schema(transition, options)["properties"].keys() == sent.keys()


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"email": None}, "$.properties.email"),
        ({"email": ""}, "$.properties.email"),
        ({"phone": "212 555 0123"}, "$.properties.phone"),
        ({"status": "OPEN"}, "$.properties.status"),
        ({"topicIds": "topic-1"}, "$.properties.topicIds"),
        ({"customAttributes": []}, "$.properties.customAttributes"),
        ({"somethingElse": 1}, "$.properties"),
    ],
)
def test_an_event_of_another_form_is_convicted(change, where):
    """So that the tests that find nothing wrong prove something."""
    wrong = event(Transition.CLOSED)
    wrong["properties"] |= change
    found = list(validator(event_schema(Transition.CLOSED)).iter_errors(wrong))
    assert [error.json_path for error in found] == [where]


def test_the_hash_of_an_address_is_no_address():
    """With `properties.hash`, a plain address is of another form."""
    form = validator(event_schema(Transition.CLOSED, EventOptions(hashed=("email",))))
    assert not form.is_valid(event(Transition.CLOSED))
    assert form.is_valid(event(Transition.CLOSED, hashed=("email",)))


def test_one_schema_takes_every_event_that_is_sent():
    """A reopened event only where it is configured."""
    assert sent_transitions(AS_GLADLY) == [Transition.CREATED, Transition.CLOSED]
    plain, more = validator(json_schema()), validator(json_schema(EventOptions(reopened=True)))
    for transition in Transition:
        assert plain.is_valid(event(transition)) is (transition is not Transition.REOPENED)
        assert more.is_valid(event(transition))


def test_segments_rules_describe_the_whole_call():
    """The properties stand under `properties.properties` (segment-public-api, tracking plans)."""
    rules = segment_rules(EventOptions(reopened=True))["rules"]
    assert [(r["key"], r["type"], r["version"]) for r in rules] == [
        (NAMES[t], "TRACK", 1) for t in Transition
    ]
    for rule, transition in zip(rules, Transition, strict=True):
        form = validator(rule["jsonSchema"])
        arrived = event(transition) | {"context": {"library": {}}, "integrations": {}, "receivedAt": "…"}
        assert form.is_valid(arrived)
        del arrived["properties"]["conversationId"]
        assert [error.json_path for error in form.iter_errors(arrived)] == ["$.properties"]


@pytest.mark.parametrize(
    "options", [AS_GLADLY, EventOptions(reopened=True, add=ADDABLE, hashed=HASHABLE, leave_out=("status",))]
)
def test_rudderstacks_plan_names_every_event_and_property(options):
    """Three documents, and every reference leads to something in them."""
    events, properties, plan = yaml.safe_load_all(rudderstack_plan(options))
    assert {d["version"] for d in (events, properties, plan)} == {"rudder/v1"}
    assert [d["kind"] for d in (events, properties, plan)] == ["events", "properties", "tracking-plan"]
    names = {f"#event:{e['id']}": e["name"] for e in events["spec"]["events"]}
    described = {f"#property:{p['id']}": p for p in properties["spec"]["properties"]}
    sent = sent_transitions(options)
    assert [names[rule["event"]] for rule in plan["spec"]["rules"]] == [NAMES[t] for t in sent]
    for rule, transition in zip(plan["spec"]["rules"], sent, strict=True):
        form = properties_schema(transition, options)
        assert [described[p["property"]]["name"] for p in rule["properties"]] == list(form["properties"])
        required = [described[p["property"]]["name"] for p in rule["properties"] if p["required"]]
        assert required == form["required"]
        for reference in rule["properties"]:
            property_ = described[reference["property"]]
            assert property_["type"] == form["properties"][property_["name"]]["type"]


def test_one_property_of_rudderstacks_takes_the_words_of_all_events():
    """Its properties are described once for all events."""
    _, properties, _ = yaml.safe_load_all(rudderstack_plan())
    status = next(p for p in properties["spec"]["properties"] if p["name"] == "status")
    assert status["config"] == {"enum": ["OPEN", "WAITING", "CLOSED"]}


def test_what_is_printed_is_json():
    """A schema holds nothing that JSON lacks."""
    assert json.loads(json.dumps(json_schema())) == json_schema()


TRAITS = EventOptions(traits=True)
CALL = {
    "type": "identify",
    "userId": "u-1",
    "timestamp": "2022-07-09T10:00:00.005Z",
    "messageId": "m-1",
    "traits": {
        "has_open_gladly_conversation": True,
        "gladly_conversation_opened_ts": "2022-07-09T10:00:00.005Z",
    },
}


def test_an_identify_call_has_a_form_where_it_is_sent():
    """It stands beside the events', in JSON Schema and in Segment's rules, where it has no key."""
    assert validator(identify_schema()).is_valid(CALL)
    assert validator(json_schema(TRAITS)).is_valid(CALL)
    assert not validator(json_schema()).is_valid(CALL)
    assert not validator(identify_schema()).is_valid(CALL | {"traits": {"email": "zoe@example.com"}})
    *events, call = segment_rules(TRAITS)["rules"]
    assert events == segment_rules()["rules"]
    assert call.keys() == {"type", "version", "jsonSchema"}
    assert call["type"] == "IDENTIFY"
    assert validator(call["jsonSchema"]).is_valid(CALL | {"context": {}})
    assert not validator(call["jsonSchema"]).is_valid(CALL | {"traits": {}})


def test_rudderstacks_plan_puts_the_traits_of_an_identify_call_where_they_are():
    """There an identify call has no name, and its properties are in a section that is named."""
    events, properties, plan = yaml.safe_load_all(rudderstack_plan(TRAITS))
    assert events["spec"]["events"][-1].keys() == {"id", "event_type", "description"}
    rule = plan["spec"]["rules"][-1]
    assert rule["event"] == f"#event:{events['spec']['events'][-1]['id']}"
    assert rule["identity_section"] == "traits"
    described = {f"#property:{p['id']}": p["name"] for p in properties["spec"]["properties"]}
    assert [described[p["property"]] for p in rule["properties"]] == [
        "has_open_gladly_conversation",
        "gladly_conversation_opened_ts",
        "gladly_conversation_closed_ts",
    ]
