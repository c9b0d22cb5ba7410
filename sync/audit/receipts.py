"""
Receipts: compare what was delivered on a day with what Segment counted as received (semantics 6.3).

The Tracking API answers 200 before Segment decides what it keeps. What it drops after that, it counts with a
reason, which its Public API shows.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from state.findings import DayReceipts
from state.instants import to_text, utc_now
from state.reader import Reader
from state.writer.audits import NOT_COMPARED
from sync.errors import CredentialsRefusedError, GladlySegmentError, StoppedError, UnexpectedAnswerError
from sync.segment.public_api import PublicApi
from sync.segment.public_api_answers import Counted

_DAY = timedelta(days=1)

# Segment takes no period that ends less than a minute ago, and its figures are half a minute behind
# (segment-public-api). This is far more, because figures that are still growing would show a loss.
SETTLED_AFTER = timedelta(minutes=10)

# What a person does about a reason that Segment gives (segment-public-api, discard reasons).
_REMEDIES = {
    "source_disabled": "Enable the source in Segment.",
    "project_not_found": "Check SEGMENT_WRITE_KEY and segment.region: there is no source with this key.",
    "locked_workspace": "Segment has locked the workspace; ask its owner.",
    "unplanned": "Add the event to the source's tracking plan, or let the plan pass unplanned events.",
    "schema_violation": "Correct the event's rules in the source's tracking plan.",
    "event_setting": "Allow the event in the schema settings of the source.",
}
_OTHER_REMEDY = "Look at the source's delivery overview in Segment."

FAILED, FILTERED = "failed on ingest", "filtered at the source"

# How many events were dropped, by their name (None where Segment gives none), how, and why.
Drops = dict[tuple[str | None, str, str], int]
# How many events there were, by their name and the day.
ByDay = dict[str, dict[date, int]]


class Receipts:
    """
    Ask Segment what it received from the source that has the write key.

    Args:
        api: The Public API of the source's workspace.
        write_key: The key that events are delivered with.
        state_path: The state file. It is only read.
        now: Returns the present. Segment's own clock is used where its answers show it.
    """

    def __init__(
        self, api: PublicApi, write_key: str, state_path: Path, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._api = api
        self._write_key = write_key
        self._path = state_path
        self._now = now

    def close(self) -> None:
        """Close the connections to the Public API."""
        self._api.close()

    def of(self, day: date) -> DayReceipts:
        """
        Return what Segment received of a day's deliveries, what it dropped, and what to do about that.

        The figures are None where Segment cannot be asked, may not be asked, or no longer has them. The note
        then says why.

        Args:
            day: A day of UTC that is over.

        Raises:
            StoppedError: A stop was asked for.
            StateError: The state file could not be read.
        """
        try:
            return self._of(day)
        except StoppedError:
            raise
        except GladlySegmentError as error:
            return DayReceipts(None, None, f"{NOT_COMPARED}{error}")

    def _of(self, day: date) -> DayReceipts:
        source = self._api.source_with(self._write_key)
        start = datetime.combine(day, time(), UTC)
        end, now = start + _DAY, self._api.date or self._now()
        until = min(end + _DAY, now - SETTLED_AFTER)
        if until < end:
            return DayReceipts(None, None, f"{NOT_COMPARED}the day is not over.")
        if start < now - self._api.limits.reaches_back:
            return DayReceipts(None, None, f"{NOT_COMPARED}it keeps these figures for 30 days.")
        delivered = self._delivered(start - _DAY, until)
        if source is None:
            return _of_no_source(sum(days.get(day, 0) for days in delivered.values()))
        received = by_name_and_day(self._api.received(source.id, start - _DAY, until))
        drops = self._drops(source.id, start, end)
        return compared(day, delivered, received, drops)

    def _delivered(self, start: datetime, end: datetime) -> ByDay:
        with Reader(self._path) as reader:
            found = reader.delivered_by_day(to_text(start), to_text(end))
        return {
            name: {date.fromisoformat(day): count for day, count in days.items()}
            for name, days in found.items()
        }

    def _drops(self, source_id: str, start: datetime, end: datetime) -> Drops:
        """Return what Segment dropped. The calls are beta: without them, what is missing has no reason."""
        asked = ((FAILED, self._api.failed_on_ingest), (FILTERED, self._api.filtered_at_source))
        drops: Counter[tuple[str | None, str, str]] = Counter()
        for how, ask in asked:
            try:
                rows = ask(source_id, start, end)
            except (UnexpectedAnswerError, CredentialsRefusedError):
                continue
            for row in rows:
                drops[row.event, how, row.reason or "no reason given"] += row.total
        return {key: count for key, count in drops.items() if count}


def by_name_and_day(rows: Iterable[Counted]) -> ByDay:
    """Return counts by event name and day. Rows without a name are left out."""
    found: ByDay = {}
    for row in rows:
        if row.event is None:
            continue
        days = found.setdefault(row.event, {})
        for day, count in row.by_day.items():
            days[day] = days.get(day, 0) + count
    return found


def compared(day: date, delivered: ByDay, received: ByDay, drops: Drops) -> DayReceipts:
    """
    Compare a day's deliveries with Segment's counts, name by name. No I/O.

    Segment counts an event on the day on which it arrived, and we on the day of its answer. So what is
    missing on the day is looked for on the days before and after, where Segment may have counted more than
    we delivered. More than was delivered is no fault: an event whose answer was lost is sent twice, and
    others may send events of the same name.

    Args:
        day: The day.
        delivered: What was delivered on the day, the day before and the day after.
        received: What Segment received on these days.
        drops: What Segment dropped on the day.
    """
    ours = set(delivered)
    sentences: list[str] = []
    total = 0
    lost: Counter[str] = Counter()
    for name in sorted(ours):
        named = {key: count for key, count in drops.items() if key[0] == name}
        for (_, how, reason), count in sorted(named.items(), key=str):
            sentences.append(_dropped(count, name, how, reason))
        known = sum(named.values())
        unknown = max(0, missing(day, delivered[name], received.get(name, {})) - known)
        total += known + unknown
        if unknown:
            lost[name] = unknown
    nameless = {(how, reason): count for (name, how, reason), count in drops.items() if name is None}
    for name, count in lost.items():
        sentences.append(_lost(count, name, has_reasons=bool(nameless)))
    if lost:
        for (how, reason), count in sorted(nameless.items()):
            sentences.append(_dropped(count, "events whose name it does not give", how, reason))
    counted = sum(received.get(name, {}).get(day, 0) for name in ours)
    return DayReceipts(counted, total, " ".join(sentences))


def missing(day: date, delivered: dict[date, int], received: dict[date, int]) -> int:
    """
    Return how many events of one name are missing at Segment on a day.

    What Segment counted beyond our deliveries on the day before and the day after is taken off: it arrived on
    the other side of midnight.
    """

    def beyond(other: date) -> int:
        return max(0, received.get(other, 0) - delivered.get(other, 0))

    short = delivered.get(day, 0) - received.get(day, 0)
    return max(0, short - beyond(day - _DAY) - beyond(day + _DAY))


def _dropped(count: int, name: str, how: str, reason: str) -> str:
    remedy = _REMEDIES.get(reason, _OTHER_REMEDY)
    return f"Segment dropped {count} of {name!r} after its 200: {how} ({reason}). {remedy}"


def _lost(count: int, name: str, *, has_reasons: bool) -> str:
    remedy = "" if has_reasons else " Prove the write key and the region: gladly-segment check."
    return f"Segment answered 200 to {count} of {name!r} and did not count them as received.{remedy}"


def _of_no_source(delivered: int) -> DayReceipts:
    return DayReceipts(
        0,
        delivered,
        "No source of the token's workspace has the write key, so Segment has received nothing there. Check "
        "SEGMENT_WRITE_KEY (or segment.write_key_file), and that the token is of the same workspace.",
    )
