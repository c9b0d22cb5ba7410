"""An event says what was true at its change: of a close (semantics 2.6) and of a customer (semantics 1.4)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from state.instants import to_text
from state.records import (
    CustomerConversation,
    RecordedEvent,
    Status,
    StoredConversation,
    TopicChange,
    Transition,
    TransitionRecord,
)
from sync.events.at_the_change import Traits, agent_and_topics, is_that_close, traits_after
from sync.events.gladly_objects import GladlyConversation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
CLOSE = RecordedEvent(
    message_id="m",
    conversation_id="v",
    customer_id="c",
    transition=Transition.CLOSED,
    event="Gladly Conversation Closed",
    occurred_at=NOON,
    recorded_at=NOON,
    attempts=0,
    agent_id="sam",
    payload=None,
    waits_for=None,
)
STORED = StoredConversation(
    "v",
    "c",
    Status.OPEN,
    NOON,
    topic_changes=[
        TopicChange(NOON - timedelta(seconds=30), "returns", True),
        TopicChange(NOON - timedelta(seconds=20), "refunds", True),
        TopicChange(NOON - timedelta(seconds=10), "returns", False),
        TopicChange(NOON + timedelta(seconds=10), "late", True),
    ],
)


def shown(status="CLOSED", closed_at=NOON, agent="kim", topics=("now",)):
    return GladlyConversation(
        id="v",
        customer_id="c",
        status=status,
        closed_at=closed_at and to_text(closed_at),
        agent_id=agent,
        topic_ids=list(topics),
    )


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(shown(), ("kim", ["now"]), id="as this close left it"),
        pytest.param(
            shown(closed_at=NOON.replace(microsecond=900_000)), ("kim", ["now"]), id="cut fractions"
        ),
        pytest.param(shown(status="OPEN", closed_at=None), ("sam", ["refunds"]), id="reopened since"),
        pytest.param(shown(closed_at=NOON + timedelta(seconds=4)), ("sam", ["refunds"]), id="closed again"),
        pytest.param(None, ("sam", ["refunds"]), id="gone"),
    ],
)
def test_the_agent_and_the_topics_are_those_of_that_close(now, expected):
    """What Gladly shows now counts only while nothing has changed since."""
    assert agent_and_topics(CLOSE, STORED, now) == expected


@pytest.mark.parametrize(
    ("agent_id", "expected"), [(None, "kim"), ("", None), ("sam", "sam")], ids=["not known", "nobody", "Sam"]
)
def test_nobody_is_not_the_same_as_not_known(agent_id, expected):
    """Where the change does not say who was assigned, what Gladly shows now is the best there is."""
    now = shown(status="OPEN", closed_at=None)
    assert agent_and_topics(replace(CLOSE, agent_id=agent_id), STORED, now)[0] == expected


def test_topics_that_are_not_known_are_those_shown_now():
    """The conversation's whole life has not been seen."""
    unseen = replace(STORED, topic_changes=None)
    assert agent_and_topics(CLOSE, unseen, shown(status="OPEN", closed_at=None)) == ("sam", ["now"])
    assert agent_and_topics(CLOSE, None, None) == ("sam", [])


def test_a_creation_has_the_agent_shown_now():
    """As Gladly's integration sends it (1.1)."""
    created = replace(CLOSE, transition=Transition.CREATED)
    assert agent_and_topics(created, STORED, shown(status="OPEN", closed_at=None))[0] == "kim"


def test_a_close_without_a_readable_instant_is_believed():
    """A conversation shown as closed, with an instant that is none."""
    now = shown()
    now.closed_at = "soon"
    assert is_that_close(CLOSE, now)


def minutes(n):
    return NOON + timedelta(minutes=n)


def other(id_="other", status=Status.CLOSED, changed=-60, *transitions, **more):
    """A conversation of the customer: its status since a minute, and its transitions up to noon by minute."""
    recorded = [TransitionRecord(Transition(kind), minutes(at)) for kind, at in transitions]
    known = {"created_at": None, "closed_at": None, "is_left_out": False} | more
    return CustomerConversation(id_, status, minutes(changed), recorded=recorded, **known)


def test_after_its_only_conversation_was_closed_a_customer_has_none_open():
    """The close itself counts, whatever is stored of the conversation since."""
    own = other("v", Status.OPEN, 5, ("created", -30), ("closed", 0))
    assert traits_after(CLOSE, [own]) == Traits(False, minutes(-30), NOON)
    assert traits_after(CLOSE, []) == Traits(False, None, NOON)


@pytest.mark.parametrize("transition", [Transition.CREATED, Transition.REOPENED])
def test_after_a_conversation_was_opened_a_customer_has_one_open(transition):
    """Also where it has been closed since, and is read with it."""
    own = other("v", Status.CLOSED, 5, closed_at=minutes(5))
    assert traits_after(replace(CLOSE, transition=transition), [own]) == Traits(True, NOON, None)


@pytest.mark.parametrize(
    ("conversation", "is_open"),
    [
        pytest.param(other("b", Status.WAITING, -5, ("created", -5)), True, id="waiting"),
        pytest.param(other("b", Status.OPEN, -5), True, id="open, and nothing was ever sent of it"),
        pytest.param(other("b", Status.CLOSED, -5, ("created", -9), ("closed", -5)), False, id="closed"),
        pytest.param(other("b", Status.MERGED, -5, ("created", -9)), False, id="merged into another"),
        pytest.param(other("b", Status.CLOSED, 5, ("created", -5)), True, id="closed later"),
        pytest.param(other("b", Status.OPEN, 5), False, id="opened later"),
        pytest.param(other("b", Status.OPEN, 5, ("closed", -5)), False, id="reopened later"),
        pytest.param(
            other("b", Status.OPEN, -5, ("created", -5), is_left_out=True), False, id="of another inbox"
        ),
    ],
)
def test_another_conversation_counts_as_it_was_then(conversation, is_open):
    """Not as it became since: changes are read some seconds or a day later."""
    assert traits_after(CLOSE, [other("v", Status.CLOSED, 0), conversation]).has_open is is_open


def test_the_newest_instants_of_all_conversations_count():
    """What is known of a creation or a close without an event counts as well, up to the change."""
    known = [
        other("b", Status.CLOSED, -20, created_at=minutes(-40), closed_at=minutes(-20)),
        other("c", Status.OPEN, -10, ("closed", -50), ("reopened", -10)),
        other("d", Status.CLOSED, 9, created_at=minutes(8), closed_at=minutes(9)),
    ]
    created = replace(CLOSE, transition=Transition.CREATED, occurred_at=minutes(-15))
    assert traits_after(created, known[:1]) == Traits(True, minutes(-15), minutes(-20))
    assert traits_after(CLOSE, known) == Traits(True, minutes(-10), NOON)
