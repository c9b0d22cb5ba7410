"""
Defines what the sync finds out about itself: what is wrong and goes on, and what an audit found of a day.

Like `state/records.py` it is plain data, and imports no other room and no SQL.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class AuditOutcome(StrEnum):
    """What an audit found of a past day (semantics 6.2)."""

    COMPLETE = "complete"
    MENDED = "mended"
    UNPROVED = "unproved"


class Condition(NamedTuple):
    """
    Something that is wrong and goes on: a row of `conditions`, and of the view `needs_attention`.

    Attributes:
        id: Tells it from other conditions: `gladly-credentials`, `segment-credentials`, `feed`, `disk` or
            `erasure`. The view orders by it.
        what: The kind, in two or three words.
        reason: What is wrong, in a sentence for a person.
        command: What to run.
    """

    id: str
    what: str
    reason: str
    command: str


class DayReceipts(NamedTuple):
    """
    What Segment says that it received of a past day's events.

    Attributes:
        received: How many events Segment received. None where that is not known.
        dropped: How many of them it dropped. None where that is not known.
        note: What a person must know about that; empty where there is nothing.
    """

    received: int | None
    dropped: int | None
    note: str


class AuditedDay(NamedTuple):
    """
    A past UTC day that was audited: a row of `audits`.

    Attributes:
        day: The day, as `2026-11-20`.
        audited_at: When it was audited.
        reported: The transitions in Gladly's report that make events. None where the report was not read.
        known: Those of them that `events` had before any audit of the day.
        missing: Those that audits of the day found, recorded and sent.
        delivered: The events that were delivered on that day, of any day.
        received: How many of those Segment received. None where that is not known.
        dropped: How many of those Segment dropped. None where that is not known.
        outcome: What the audit found.
        note: Why the day could not be proved, and what Segment says. None where there is nothing to say.
    """

    day: str
    audited_at: datetime
    reported: int | None
    known: int | None
    missing: int | None
    delivered: int | None
    received: int | None
    dropped: int | None
    outcome: AuditOutcome
    note: str | None
