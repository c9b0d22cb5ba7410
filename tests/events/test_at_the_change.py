"""A closed event says what was true at that close (semantics 2.6)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from state.instants import to_text
from state.records import RecordedEvent, Status, StoredConversation, TopicChange, Transition
from sync.events.at_the_close import agent_and_topics, is_that_close
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
