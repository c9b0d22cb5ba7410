"""The event, field by field (semantics 1)."""

from dataclasses import replace

import msgspec
import pytest

from state.records import Transition
from support.track_samples import CLOSED_AT, CONVERSATION, PROFILE, SUBJECT, event
from sync.events.at_the_change import Traits
from sync.events.gladly_objects import Email, Phone, Profile
from sync.events.options import AS_GLADLY
from sync.events.track import created_at_of, email_of, identify_call, phone_of


def test_a_created_event_is_gladlys_to_the_field():
    """Nothing more and nothing less than Gladly's own integration sends (1.1, 1.3)."""
    assert event(Transition.CREATED) == {
        "type": "track",
        "event": "Gladly Conversation Created",
        "userId": "OOrlNMXeS72gs_WEX2TtMg",
        "timestamp": "2022-07-08T18:46:37.946Z",
        "messageId": "message-1",
        "properties": {
            "agentId": "agent-1",
            "agentName": "Sam Doe",
            "customerName": "Zoë Quinn",
            "conversationId": "8ANcgJIeTAmVsbQXPGN9Xg",
            "customAttributes": {"membershipTier": "gold", "nested": {"visits": 3}},
            "email": "zoe@example.com",
            "phone": "+12125550123",
            "status": "WAITING",
        },
    }


def test_a_closed_event_adds_its_topics_and_keeps_the_created_time():
    """As created, with status CLOSED and topicIds; the timestamp is the conversation's creation (1.2)."""
    created, closed = event(Transition.CREATED), event(Transition.CLOSED)
    assert closed["event"] == "Gladly Conversation Closed"
    assert closed["timestamp"] == created["timestamp"]
    assert closed["properties"] == created["properties"] | {
        "status": "CLOSED",
        "topicIds": ["topic-2", "topic-1"],
    }


def test_a_closed_event_can_bear_the_time_it_was_closed():
    """`sync.closed_timestamp = "closed"`, cut to the millisecond; a created event is not concerned."""
    assert event(Transition.CLOSED, closed_timestamp="closed")["timestamp"] == "2022-07-09T10:00:00.005Z"
    assert event(Transition.CREATED, closed_timestamp="closed")["timestamp"] == "2022-07-08T18:46:37.946Z"


def test_a_reopened_event_has_the_fields_of_a_created_one():
    """Off by default; 1.3."""
    reopened = event(Transition.REOPENED)
    assert reopened["event"] == "Gladly Conversation Reopened"
    assert reopened["properties"] == event(Transition.CREATED)["properties"]


@pytest.mark.parametrize(
    ("status", "expected"), [("OPEN", "OPEN"), ("WAITING", "WAITING"), ("CLOSED", "OPEN"), ("NEW", "OPEN")]
)
def test_a_created_event_is_open_where_the_conversation_is_not_waiting(status, expected):
    """Also where it has been closed since, or where Gladly has a status nobody has heard of."""
    conversation = msgspec.structs.replace(CONVERSATION, status=status)
    assert event(Transition.CREATED, replace(SUBJECT, conversation=conversation))["properties"]["status"] == (
        expected
    )


def test_what_is_unknown_is_left_out():
    """Never null and never an empty string; custom attributes are an object all the same (1.3)."""
    bare = replace(SUBJECT, profile=Profile(id="c", name=""), agent_id=None, agent_name=None)
    assert event(Transition.CREATED, bare)["properties"] == {
        "conversationId": CONVERSATION.id,
        "customAttributes": {},
        "status": "WAITING",
    }


def test_an_agent_nobody_can_name_has_an_id_only():
    """The agents' list does not hold them."""
    properties = event(Transition.CREATED, replace(SUBJECT, agent_name=None))["properties"]
    assert properties["agentId"] == "agent-1"
    assert "agentName" not in properties


def test_a_conversation_that_is_gone_is_sent_with_what_the_change_carries():
    """404 though its customer exists: ids, times and the assignee of the change (5.2)."""
    gone = replace(SUBJECT, conversation=None, created_at=CLOSED_AT)
    closed = event(Transition.CLOSED, gone)
    assert closed["timestamp"] == "2022-07-09T10:00:00.005Z"
    assert closed["properties"]["topicIds"] == ["topic-2", "topic-1"]  # those known at that close
    assert closed["properties"]["conversationId"] == CONVERSATION.id
    assert event(Transition.CREATED, gone)["properties"]["status"] == "OPEN"


@pytest.mark.parametrize(
    ("emails", "expected"),
    [
        pytest.param([], None, id="none: left out"),
        pytest.param([Email(normalized="a@example.com"), Email(normalized="b@example.com")], "a@example.com"),
        pytest.param(
            [Email(normalized="a@example.com"), Email(normalized="b@example.com", primary=True)],
            "b@example.com",
            id="the primary one",
        ),
        pytest.param([Email(original="A@Example.com")], "A@Example.com", id="original where not normalized"),
        pytest.param([Email(original="A@b", normalized="")], "A@b", id="an empty normalized is none"),
        pytest.param([Email()], None, id="an entry without any text: left out"),
        pytest.param([Email(original="A@b", normalized=" \t")], "A@b", id="a blank normalized is none"),
        pytest.param([Email(normalized="\u200b\ufeff")], None, id="invisible characters alone: left out"),
        pytest.param(
            [Email(normalized=" ", original="", primary=True), Email(original="b@example.com")],
            "b@example.com",
            id="an empty primary one is passed over",
        ),
        pytest.param([Email(), Email(normalized="b@example.com")], "b@example.com", id="an empty first one"),
        pytest.param(
            [Email(normalized="a@example.com"), Email(), Email(primary=True)],
            "a@example.com",
            id="the first good one, where the primary one is empty",
        ),
    ],
)
def test_the_email_is_the_primary_or_the_first(emails, expected):
    """`normalized`, else `original` (1.1)."""
    assert email_of(emails) == expected


@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        pytest.param([], None, id="none: left out"),
        pytest.param([Phone(normalized="+442079460123")], "+442079460123", id="as normalized"),
        pytest.param(
            [Phone(normalized="+12125550100"), Phone(normalized="+12125550101", primary=True)],
            "+12125550101",
            id="the primary one",
        ),
        pytest.param(
            [Phone(original="020 7946 0123", region_code="GB")], "+442079460123", id="derived with its region"
        ),
        pytest.param([Phone(original="(212) 555-0123")], "+12125550123", id="without a region a US number"),
        pytest.param([Phone(original="+44 7700 900123")], "+447700900123", id="without a region E.164"),
        pytest.param([Phone(original="020 7946 0123", region_code="gb")], "+442079460123", id="any case"),
        pytest.param([Phone(original="ask at the desk")], None, id="no number: left out"),
        pytest.param([Phone(original="12")], None, id="too short: left out"),
        pytest.param([Phone()], None, id="an entry without any number: left out"),
        pytest.param([Phone(original="555-0123")], None, id="a local number without its area: left out"),
        pytest.param([Phone(original="7946 0123", region_code="GB")], None, id="local, elsewhere: left out"),
        pytest.param([Phone(original="000-000-0000")], None, id="all zeros: left out"),
        pytest.param([Phone(original="0000000000", region_code="DE")], None, id="all zeros elsewhere"),
        pytest.param([Phone(normalized="+10000000000")], None, id="all zeros, though normalized"),
        pytest.param([Phone(normalized="+0000000000")], None, id="no country has the number 0"),
        pytest.param([Phone(normalized="+15550123")], None, id="local, though normalized"),
        pytest.param([Phone(normalized="  ", original="(212) 555-0123")], "+12125550123", id="a blank one"),
        pytest.param([Phone(normalized="+1 212 555 0123")], "+12125550123", id="normalized, with spaces"),
        pytest.param(
            [Phone(normalized="2125550123", region_code="US")], "+12125550123", id="normalized, without +"
        ),
        pytest.param(
            [Phone(normalized="n/a", original="(212) 555-0123")],
            "+12125550123",
            id="normalized, not a number",
        ),
        pytest.param([Phone(normalized="+493000000000")], "+493000000000", id="many zeros are a number"),
        pytest.param(
            [Phone(normalized="+3725550123")], "+3725550123", id="a short number of a small country"
        ),
        pytest.param([Phone(normalized="\u0661" * 11)], None, id="no digits of E.164"),
        pytest.param(
            [Phone(primary=True), Phone(normalized="+12125550100")], "+12125550100", id="an empty primary one"
        ),
        pytest.param(
            [Phone(original="12", primary=True), Phone(original="000"), Phone(original="(212) 555-0123")],
            "+12125550123",
            id="the first good one",
        ),
    ],
)
def test_the_phone_is_the_primary_or_the_first_in_e164(phones, expected):
    """`normalized`, else derived with libphonenumber, else left out (1.1)."""
    assert phone_of(phones) == expected


def test_half_a_character_does_not_stop_an_event():
    """A lone surrogate has no UTF-8; Gladly's JSON can spell one all the same (faults A10)."""
    profile = msgspec.structs.replace(PROFILE, name="a\ud800b", custom_attributes={"k\udfff": ["\ud83d"]})
    properties = event(Transition.CREATED, replace(SUBJECT, profile=profile))["properties"]
    assert properties["customerName"] == "a\ufffdb"
    assert properties["customAttributes"] == {"k\ufffd": ["\ufffd"]}


@pytest.mark.parametrize("wrong", [None, [], "text", 3])
def test_custom_attributes_are_always_an_object(wrong):
    """Whatever the profile holds in their place (1.1)."""
    profile = msgspec.structs.replace(PROFILE, custom_attributes=wrong)
    assert (
        event(Transition.CREATED, replace(SUBJECT, profile=profile))["properties"]["customAttributes"] == {}
    )


@pytest.mark.parametrize("text", [None, "", "yesterday"])
def test_a_creation_time_that_cannot_be_read_falls_back(text):
    """To what else is known of it (5.2)."""
    assert created_at_of(msgspec.structs.replace(CONVERSATION, created_at=text), CLOSED_AT) == CLOSED_AT


def test_an_identify_call_holds_three_traits_and_nothing_personal():
    """Its timestamp is when the change was recorded (1.4). What is not known is left out (1.3)."""
    traits = Traits(has_open=False, opened_at=None, closed_at=CLOSED_AT)
    assert msgspec.json.decode(identify_call(PROFILE, traits, CLOSED_AT, "message-1", AS_GLADLY)) == {
        "type": "identify",
        "userId": "OOrlNMXeS72gs_WEX2TtMg",
        "timestamp": "2022-07-09T10:00:00.005Z",
        "messageId": "message-1",
        "traits": {
            "has_open_gladly_conversation": False,
            "gladly_conversation_closed_ts": "2022-07-09T10:00:00.005Z",
        },
    }
