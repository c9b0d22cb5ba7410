"""
Say what was true at a change: the agent and the topics of a closed event (semantics 2.6), and the traits of
the customer (semantics 1.4). Pure.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from state.instants import from_text
from state.records import CustomerConversation, RecordedEvent, Status, StoredConversation, Transition
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


class Traits(NamedTuple):
    """
    Hold what an identify call says of a customer.

    Attributes:
        has_open: Whether any conversation of the customer is open.
        opened_at: When the newest one was created or reopened. None while that is not known.
        closed_at: When one was last closed. None while that is not known.
    """

    has_open: bool
    opened_at: datetime | None
    closed_at: datetime | None


def traits_after(event: RecordedEvent, conversations: Iterable[CustomerConversation]) -> Traits:
    """
    Return what is true of a customer after a change, and not what became of it since.

    Args:
        event: The change, as its event was recorded.
        conversations: The customer's conversations as they were known at that instant. What is not sent is
            left out of the traits as well.
    """
    at = event.occurred_at
    is_open = event.transition is not Transition.CLOSED
    opened, closed = ([at], []) if is_open else ([], [at])
    for other in conversations:
        is_its_own = other.id == event.conversation_id
        if other.is_left_out and not is_its_own:
            continue
        for transition, recorded_at in other.recorded:
            (closed if transition is Transition.CLOSED else opened).append(recorded_at)
        opened += [other.created_at] if other.created_at and other.created_at <= at else []
        closed += [other.closed_at] if other.closed_at and other.closed_at <= at else []
        is_open |= not is_its_own and _was_open(other, at)
    return Traits(is_open, max(opened, default=None), max(closed, default=None))


def _was_open(conversation: CustomerConversation, at: datetime) -> bool:
    if conversation.updated_at <= at:
        return conversation.status.is_open
    return bool(conversation.recorded) and conversation.recorded[-1].transition is not Transition.CLOSED
