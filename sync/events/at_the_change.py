"""What was true at a close: the agent and the topics of a closed event (semantics 2.6). Pure."""

from datetime import timedelta

from state.instants import from_text
from state.records import RecordedEvent, Status, StoredConversation, Transition
from sync.events.gladly_objects import GladlyConversation

# Gladly's report cuts fractions of a second.
_SAME_INSTANT = timedelta(seconds=1)


def agent_and_topics(
    event: RecordedEvent, stored: StoredConversation | None, now: GladlyConversation | None
) -> tuple[str | None, list[str]]:
    """
    Return the agent and the topics of an event.

    A closed event says what was true at that close (semantics 2.6). Where the conversation has changed since,
    or is gone, that is what the change itself carried, and the topics known then.
    """
    agent = now.agent_id if now is not None else None
    topics = (now.topic_ids if now is not None else None) or []
    if now is not None and (event.transition is not Transition.CLOSED or is_that_close(event, now)):
        return agent, topics
    known = stored.topics_at(event.occurred_at) if stored is not None else None
    return agent if event.agent_id is None else event.agent_id or None, topics if known is None else known


def is_that_close(event: RecordedEvent, now: GladlyConversation) -> bool:
    """Return whether Gladly shows the conversation as this close left it."""
    if now.status != Status.CLOSED:
        return False
    try:
        return abs(from_text(now.closed_at or "") - event.occurred_at) <= _SAME_INSTANT
    except ValueError:
        return True
