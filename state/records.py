"""The records the state store takes and gives: plain data in Gladly's and Segment's terms."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

# A line that could not be read is kept for a person to look at, cut to this (interface 4).
QUARANTINED_LINE_BYTES = 4_096


class Status(StrEnum):
    """A conversation's status: Gladly's `OPEN`, `WAITING`, `CLOSED`, and how it can end besides."""

    OPEN = "OPEN"
    WAITING = "WAITING"
    CLOSED = "CLOSED"
    MERGED = "MERGED"
    DELETED = "DELETED"

    @property
    def is_open(self) -> bool:
        """Whether it waits for anybody: `WAITING` is open too (Gladly REST API, Conversation)."""
        return self in (Status.OPEN, Status.WAITING)


class Transition(StrEnum):
    """What a change meant for a conversation (semantics 2)."""

    CREATED = "created"
    CLOSED = "closed"
    REOPENED = "reopened"


class EventStatus(StrEnum):
    """Where an event of the outbox stands."""

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
    """A transition that `events` already records, and when Gladly recorded it."""

    transition: Transition
    recorded_at: datetime


@dataclass(slots=True)
class StoredConversation:
    """
    A conversation as stored.

    `updated_at` is the instant of the newest change that set the status; `recorded` holds every transition
    that `events` has of it. `created_at` and `closed_at` are None while unknown, or not closed.
    """

    id: str
    customer_id: str
    status: Status
    updated_at: datetime
    created_at: datetime | None = None
    closed_at: datetime | None = None
    recorded: list[TransitionRecord] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Event:
    """A transition and the event it makes; `payload` is the exact bytes to send, None when suppressed."""

    message_id: str
    conversation_id: str
    customer_id: str
    transition: Transition
    event: str
    occurred_at: datetime
    status: EventStatus
    payload: bytes | None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeRecord:
    """A change of a conversation as it was taken in: what was decided, and why (`explain`)."""

    change_id: str | None
    conversation_id: str
    type: str
    recorded_at: datetime
    status_before: Status | None
    status_after: Status
    transition: Transition | None
    why: str


class PendingEvent(NamedTuple):
    """An event to deliver: its place in the order, its message id and the exact bytes to send."""

    position: tuple[str, int]
    message_id: str
    payload: bytes


class CustomerMerge(NamedTuple):
    """One customer became another, at an instant."""

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
        """The key of its row in `quarantine`: the same line, read again in the overlap, is the same row."""
        return hashlib.sha256(self.source.encode() + b"\0" + self.line).hexdigest()[:24]


@dataclass(slots=True)
class TakenIn:
    """
    What one chunk of changes comes to: written in one transaction or not at all (semantics 4.1).

    Attributes:
        position: The new watermark; None leaves it where it is.
        resync: The resync (row of `resyncs`) that *position* belongs to, in place of the watermark.
        seen: (change id, recorded at) of the changes taken in, near the watermark.
        seen_since: Ids recorded before this are forgotten.
        deletions: customer id → (when it was deleted or found gone, the reason its events are suppressed).
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


class Resync(NamedTuple):
    """A past interval being read again, and how far that has come."""

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
        """The figures of the cycle, for its one log line."""
        return {
            name: getattr(self, name) for name in ("changes", "created", "closed", "delivered", "requests")
        }
