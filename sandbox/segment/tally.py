"""What Segment counts of a source's events: received, failed on ingest, filtered at the source."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from sandbox.segment.inbox import Attempt, Inbox
from sandbox.timekeeping.instants import event_time
from sandbox.world.records import Wire

Kind = Literal["received", "failed", "filtered"]

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
GRANULES = {"MINUTE": timedelta(minutes=1), "HOUR": timedelta(hours=1), "DAY": timedelta(days=1)}

FILTERED = ("unplanned", "schema_violation", "event_setting")
# Segment's names of what the inbox says in words. The reference names only some reasons; the others here are
# made in the same manner.
_FAILED_FOR = {
    "project_not_found": "project_not_found",
    "source_disabled": "source_disabled",
    "neither userId nor anonymousId": "no_user_anon_id",
    "a track event without an event name": "no_event_name",
    "messageId has 100 characters or more": "message_id_too_long",
}


class Counted(NamedTuple):
    """
    One event as the source's counts know it.

    Attributes:
        kind: Which count it is part of.
        at: When it arrived.
        labels: What counts can be grouped by: `eventName`, `eventType`, and `discardReason` where it was
            dropped.
    """

    kind: Kind
    at: datetime
    labels: dict[str, str | None]


class Tally:
    """
    The counts of the one source that the sandbox knows the write key of.

    Segment's documentation leaves two things open. Here a messageId that comes again is counted once, and
    what is filtered at the source is not counted as received.

    Args:
        inbox: Where the events arrive.
    """

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def counted(self, kind: Kind, start: datetime, end: datetime) -> list[Counted]:
        """Return the events of one count that arrived from *start* until before *end*."""
        attempts = [attempt for attempt in list(self._inbox.attempts) if start <= attempt.at < end]
        return [one for one in map(_counted, attempts) if one is not None and one.kind == kind]


def _counted(attempt: Attempt) -> Counted | None:
    """Return how an attempt is counted at the source. Return None where it is not: a repeat, a wrong key."""
    outcome = attempt.outcome
    if outcome in {"repeat", "unknown write key"}:
        return None
    labels = {"eventName": _text(attempt.event), "eventType": _text(attempt.type)}
    if outcome == "received":
        return Counted("received", attempt.at, labels)
    if outcome in FILTERED:
        return Counted("filtered", attempt.at, {**labels, "discardReason": outcome})
    return Counted(
        "failed", attempt.at, {**labels, "discardReason": _FAILED_FOR.get(outcome, "invalid_event")}
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def grouped(
    counted: Iterable[Counted], group_by: list[str], granularity: str, start: datetime, end: datetime
) -> list[Wire]:
    """
    Return a row for each combination of what is grouped by, the largest first, as the Public API shows them.

    Args:
        counted: The events.
        group_by: Labels, in the order of the request.
        granularity: `MINUTE`, `HOUR` or `DAY`.
        start: The start of the series, inclusive.
        end: The end of the series, exclusive.
    """
    series_of: dict[tuple[str | None, ...], Counter[datetime]] = {}
    for one in counted:
        key = tuple(one.labels.get(label) for label in group_by)
        series_of.setdefault(key, Counter())[floor(one.at, granularity)] += 1
    if not group_by:
        series_of.setdefault((), Counter())
    times = list(_granules(start, end, granularity))
    made: list[Wire] = [
        {
            **{label: text for label, text in zip(group_by, key, strict=True) if text is not None},
            "total": series.total(),
            "series": [{"time": event_time(at), "count": series[at]} for at in times],
        }
        for key, series in series_of.items()
    ]
    return sorted(made, key=lambda row: (-row["total"], str(row)))


def floor(at: datetime, granularity: str) -> datetime:
    """Return the start of the minute, hour or day of UTC that *at* is in."""
    return at - (at - _EPOCH) % GRANULES[granularity]


def _granules(start: datetime, end: datetime, granularity: str) -> Iterable[datetime]:
    at = floor(start, granularity)
    while at < end:
        yield at
        at += GRANULES[granularity]
