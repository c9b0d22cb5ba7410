"""
Defines what the state file takes and gives: plain data in Gladly's and Segment's terms.

It imports no other room and no SQL, because the pure room uses it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

# A line that could not be read is kept for a person to look at, cut to so many bytes (interface 4).
QUARANTINED_LINE_BYTES = 4_096


class Status(StrEnum):
    """A conversation's status: Gladly's `OPEN`, `WAITING` and `CLOSED`, or how it ended otherwise."""

    OPEN = "OPEN"
    WAITING = "WAITING"
    CLOSED = "CLOSED"
    MERGED = "MERGED"
    DELETED = "DELETED"

    @property
    def is_open(self) -> bool:
        """Return whether the conversation is open. `WAITING` is open, too (Gladly REST API, Conversation)."""
        return self in (Status.OPEN, Status.WAITING)


class Transition(StrEnum):
    """What a change meant for a conversation (semantics 2)."""

    CREATED = "created"
    CLOSED = "closed"
    REOPENED = "reopened"


class EventType(StrEnum):
    """What an event is sent as: a track event, or an identify call (semantics 1.4)."""

    TRACK = "track"
    IDENTIFY = "identify"


class EventStatus(StrEnum):
    """Where an event stands: recorded, then looked up, then delivered (semantics 2.4)."""

    RECORDED = "recorded"
    PENDING = "pending"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"


class PollOutcome(StrEnum):
    """How a cycle ended."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


class TransitionRecord(NamedTuple):
    """A transition that `events` holds already, and when Gladly recorded it."""

    transition: Transition
    recorded_at: datetime


class TopicChange(NamedTuple):
    """A topic that was added to a conversation, or removed from it, and when Gladly recorded that."""

    recorded_at: datetime
    topic_id: str
    is_added: bool


@dataclass(slots=True)
class StoredConversation:
    """
    A conversation as stored.

    Attributes:
        id: Gladly's id.
        customer_id: The customer it belongs to. After a merge, this is the customer that remains.
        status: Its status as its newest change left it.
        updated_at: When Gladly recorded the newest change that set the status.
        created_at: When it was created. None while that is not known.
        closed_at: When it was closed. None while it is open, or while that is not known.
        recorded: Every transition of which `events` holds a track event.
        topic_changes: The topics added and removed since its creation, where all of them have been seen. None
            where they are not known.
    """

    id: str
    customer_id: str
    status: Status
    updated_at: datetime
    created_at: datetime | None = None
    closed_at: datetime | None = None
    recorded: list[TransitionRecord] = field(default_factory=list)
    topic_changes: list[TopicChange] | None = None

    def topics_at(self, at: datetime) -> list[str] | None:
        """Return the ids of the topics that it had at an instant. Return None when they are not known."""
        if self.topic_changes is None:
            return None
        topics: dict[str, None] = {}
        for change in sorted(self.topic_changes):
            if change.recorded_at <= at:
                topics.pop(change.topic_id, None)
                if change.is_added:
                    topics[change.topic_id] = None
        return list(topics)


@dataclass(frozen=True, slots=True)
class Event:
    """
    A transition and the event it makes.

    Attributes:
        message_id: Segment's messageId.
        conversation_id: The conversation.
        customer_id: The customer whom the event is about.
        transition: What happened.
        event: The name of the track event; `identify` for an identify call.
        occurred_at: When Gladly recorded the change.
        status: Where the event stands.
        payload: The exact bytes to send. None when it is suppressed, or not looked up yet.
        reason: Why it is rejected or suppressed. None otherwise.
        agent_id: The agent assigned just before the change; empty when nobody was, None when it is not known.
        type: What it is sent as.
    """

    message_id: str
    conversation_id: str
    customer_id: str
    transition: Transition
    event: str
    occurred_at: datetime
    status: EventStatus
    payload: bytes | None
    reason: str | None = None
    agent_id: str | None = None
    type: EventType = EventType.TRACK


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """
    A change of a conversation as it was taken in: what was decided, and why. `explain` shows it.

    Attributes:
        change_id: The id of the change; None where the source has none.
        agent_id: The agent assigned just before the change; empty when nobody was, None when it is not known.
    """

    change_id: str | None
    conversation_id: str
    type: str
    recorded_at: datetime
    status_before: Status | None
    status_after: Status
    transition: Transition | None
    why: str
    agent_id: str | None = None


# Why an event is suppressed where only some inboxes are sent (`sync.inboxes`).
OTHER_INBOX = "its conversation is in none of the inboxes of sync.inboxes"
UNKNOWN_INBOX = "its conversation is gone, so sync.inboxes cannot be checked"


class CustomerConversation(NamedTuple):
    """
    A conversation of a customer, as far as it was known at an instant.

    Attributes:
        id: Gladly's id.
        status: Its status as its newest change left it, which may be newer than that instant.
        updated_at: When Gladly recorded that change.
        created_at: When it was created. None while that is not known.
        closed_at: When it was closed. None while it is open, or while that is not known.
        recorded: The transitions that `events` holds of it up to that instant, in order.
        is_left_out: Whether its newest event up to then was suppressed because of its inbox.
    """

    id: str
    status: Status
    updated_at: datetime
    created_at: datetime | None
    closed_at: datetime | None
    recorded: list[TransitionRecord]
    is_left_out: bool


class PendingEvent(NamedTuple):
    """An event to deliver: its position in the order, its message id and the exact bytes to send."""

    position: tuple[str, int]
    message_id: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """
    An event to look up.

    Attributes:
        message_id, conversation_id, customer_id, transition, event, occurred_at: As `Event`'s.
        recorded_at: When it was written to the state file.
        attempts: How many look-ups for it have failed.
        agent_id: The agent assigned just before the change; empty when nobody was, None when it is not known.
        payload: The bytes to send, where only its owner has to be looked up again. None otherwise.
        waits_for: The path of the answer that it waits for, when a look-up for it has failed.
        type: As `Event`'s.
    """

    message_id: str
    conversation_id: str
    customer_id: str
    transition: Transition
    event: str
    occurred_at: datetime
    recorded_at: datetime
    attempts: int
    agent_id: str | None
    payload: bytes | None
    waits_for: str | None
    type: EventType = EventType.TRACK


@dataclass(frozen=True, slots=True)
class LookedUpEvent:
    """
    What the look-ups made of a recorded event.

    Attributes:
        message_id: The event.
        status: Pending, suppressed or rejected; recorded when it has to wait.
        customer_id: The customer whom the event is about.
        payload: The exact bytes to send. None when it is suppressed or waits.
        reason: Why it is suppressed or rejected, or what it waits for.
        attempts: How many look-ups for it have failed.
        waits_for: The path of the answer that it waits for. None when it does not wait.
        next_attempt_at: When it is looked up again. None when it does not wait.
    """

    message_id: str
    status: EventStatus
    customer_id: str
    payload: bytes | None = None
    reason: str | None = None
    attempts: int = 0
    waits_for: str | None = None
    next_attempt_at: datetime | None = None


class SeenConversation(NamedTuple):
    """What a look-up says of a conversation. `status` is None where it says nothing of it."""

    id: str
    customer_id: str
    created_at: datetime | None
    status: Status | None


@dataclass(slots=True)
class LookedUp:
    """
    What a step of look-ups comes to. It is written in one transaction or not at all.

    Attributes:
        events: What became of recorded events.
        conversations: What Gladly shows of their conversations.
        not_found: What Gladly answered with 404: the kind, the id, and when.
        found: What Gladly shows, so that an earlier 404 no longer counts: the kind and the id.
        deletions: The customers who are gone: for each id, when that was found, and the reason that its
            suppressed events give.
    """

    events: list[LookedUpEvent] = field(default_factory=list)
    conversations: list[SeenConversation] = field(default_factory=list)
    not_found: list[tuple[str, str, datetime]] = field(default_factory=list)
    found: list[tuple[str, str]] = field(default_factory=list)
    deletions: dict[str, tuple[datetime, str]] = field(default_factory=dict)


class CustomerMerge(NamedTuple):
    """A customer who was merged into another, and when Gladly recorded that."""

    source_id: str
    destination_id: str
    recorded_at: datetime


class BadLine(NamedTuple):
    """A whole line of the feed or the report that could not be read."""

    source: str
    reason: str
    line: bytes

    @property
    def id(self) -> str:
        """Return the key of its row in `quarantine`. A line read again in the overlap has the same key."""
        return hashlib.sha256(self.source.encode() + b"\0" + self.line).hexdigest()[:24]


class MissingEvents(NamedTuple):
    """The events of a day that an audit found to be missing: the day, and how many they are."""

    day: str
    missing: int


@dataclass(slots=True)
class TakenIn:
    """
    All that is to be written for one chunk of changes. One transaction writes all or nothing (semantics 4.1).

    Attributes:
        position: The new watermark. None leaves it where it is.
        resync: The id of the resync whose position moves in place of the watermark, or None.
        seen: The changes taken in near the watermark: the id of each, and when it was recorded.
        seen_since: Ids of changes recorded before this are forgotten. None forgets none.
        conversations: Conversations as they are now.
        changes: The changes, with what was decided about each.
        events: The events to record.
        merges: The customers who were merged.
        deletions: The customers who were deleted: for each id, when it was deleted or found gone, and the
            reason that its suppressed events give.
        bad_lines: The lines that could not be read.
        audit: The day whose audit found these events to be missing, or None.
        shown: Where the feed showed the changes: how many in each hour, by the hour's beginning. None where
            another source did.
    """

    position: datetime | None = None
    resync: int | None = None
    seen: Sequence[tuple[str, datetime]] = ()
    seen_since: datetime | None = None
    conversations: Sequence[StoredConversation] = ()
    changes: Sequence[ChangeRecord] = ()
    events: Sequence[Event] = ()
    merges: Sequence[CustomerMerge] = ()
    deletions: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    bad_lines: Sequence[BadLine] = ()
    audit: MissingEvents | None = None
    shown: dict[datetime, int] | None = None


class Resync(NamedTuple):
    """A past interval that is read again, and how far it has been read."""

    id: int
    since: datetime
    until: datetime
    position: datetime


@dataclass(slots=True)
class Poll:
    """A cycle and its figures: a row of `polls`."""

    started_at: datetime
    finished_at: datetime | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    changes: int = 0
    created: int = 0
    closed: int = 0
    delivered: int = 0
    requests: int = 0
    outcome: PollOutcome = PollOutcome.OK
    error: str | None = None

    def figures(self) -> dict[str, Any]:
        """Return the figures of the cycle, for its one log line."""
        return {
            name: getattr(self, name) for name in ("changes", "created", "closed", "delivered", "requests")
        }
