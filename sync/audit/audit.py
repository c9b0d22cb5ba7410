"""
Audit: prove past days against Gladly's report (semantics 6.2).

The audit reads Gladly's report of each whole UTC day that ended at least six hours ago, and holds it against
what is recorded, by the rules of section 2. What is missing is recorded, and leaves like any other event. So
it finds what no stream can show: a feed that was cut between two lines, a change that became visible later
than the overlap, a feed that fell silent.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from state.findings import AuditedDay, AuditOutcome, DayReceipts
from state.instants import to_text, utc_now
from state.store import Store
from sync.errors import GladlySegmentError, RetryableError, SettingsError, StoppedError
from sync.gladly.client import GladlyClient
from sync.gladly.feed import ChangeFeed
from sync.pipeline.record import RecordStage
from sync.stop import Stop

log = structlog.get_logger()

_DAY = timedelta(days=1)

# The report of a day is read so long after the day's end, by Gladly's clock: it may show late changes late.
SETTLED_AFTER = timedelta(hours=6)

# A day whose report could not be had is tried again after this, or after `sync.audit` where that is less.
REPORT_AGAIN = timedelta(hours=1)

# Segment keeps its figures for 30 days (segment-public-api).
RECEIPTS_KEPT = timedelta(days=29)

# The report's instants may lie a second or two beside those of the feed (semantics 3.5).
_MARGIN = timedelta(seconds=10)


class Receipts(Protocol):
    """Ask Segment what it received (semantics 6.3)."""

    def of(self, day: date) -> DayReceipts | None:
        """
        Return what Segment says of a day. Return None where it cannot be asked.

        Raises:
            GladlySegmentError: Segment did not answer. The day's note says so.
        """


class Audited(NamedTuple):
    """
    Say what an audit of a day came to.

    Attributes:
        row: The day's figures.
        found: The events that this audit found to be missing, and recorded.
        error: What was wrong at Gladly when its report could not be had. None where it was read.
    """

    row: AuditedDay
    found: int
    error: GladlySegmentError | None


class Audit:
    """
    Audit past days.

    Only what is compared and written holds the turn at the state file. Gladly's report is waited for without
    it, so that no poll waits for a report.

    Args:
        every: How often a day that could not be proved is tried again; None is never.
        gladly: Gladly's client, for its clock.
        feed: Reads the report.
        record: Records what is missing.
        store: The state file.
        stop: Ends the wait for the turn.
        receipts: Asks Segment what it received; None where it cannot be asked.
    """

    def __init__(
        self,
        *,
        every: timedelta | None,
        gladly: GladlyClient,
        feed: ChangeFeed,
        record: RecordStage,
        store: Store,
        stop: Stop,
        receipts: Receipts | None = None,
    ) -> None:
        self._every = every
        self._gladly = gladly
        self._feed = feed
        self._record = record
        self._store = store
        self._stop = stop
        self._receipts = receipts
        self._receipts_due = datetime.min.replace(tzinfo=UTC)

    def run_due(self, at_most: int) -> Iterator[Audited]:
        """
        Audit the days that are due, and yield each. Make no request where none is due.

        Args:
            at_most: How many days to audit. Those that were never audited come first.

        Raises:
            StateError: The state file could not be written. The day is audited anew.
            StoppedError: A stop was asked for. The day is audited anew.
        """
        if self._every is None:
            return
        now = utc_now()
        yield from self._due(now, at_most)
        if self._receipts is not None and now >= self._receipts_due:
            self._receipts_due = now + self._every
            self._ask_for_receipts(now.date() - RECEIPTS_KEPT, at_most)

    def _due(self, now: datetime, at_most: int) -> Iterator[Audited]:
        assert self._every is not None
        again = now - self._every
        soon = now - min(self._every, REPORT_AGAIN)
        with self._turn():
            days = self._store.audits.due(self._ended_before(now), again, soon)[:at_most]
        if not days or not self._feed.has_room_for_reports:
            return
        try:
            now = self._present()
        except StoppedError:
            raise
        except GladlySegmentError as error:
            log.warning("audit.waits", reason=str(error))
            return
        with self._turn():
            ended_before = self._ended_before(now)
        for audited in self._each(day for day in days if _end(day) <= ended_before):
            yield audited
            if not self._feed.has_room_for_reports:
                return  # a poll may have to read a gap

    def run(self, days: Iterable[date] | None) -> Iterator[Audited]:
        """
        Audit days by hand, and yield each.

        Args:
            days: The days. None audits all that are not proved yet, those that never were audited first.

        Raises:
            SettingsError: One of the days cannot be audited, or not yet. None was audited.
            GladlySegmentError: Gladly could not be asked for its clock, or a day has not been read yet.
            StateError, StoppedError: As `run_due`'s.
        """
        now = self._present()
        with self._turn():
            began, watermark = self._store.audits.began_at(), self._store.watermark()
            all_due = self._store.audits.due(self._ended_before(now), now)
        if days is None:
            yield from self._each(all_due)
            return
        wanted = sorted(set(days))
        for day in wanted:
            _check(day, now, began, watermark)
        yield from self._each(wanted)

    def _each(self, days: Iterable[date]) -> Iterator[Audited]:
        """Audit one day after another, until Gladly's report of one cannot be had."""
        for day in days:
            audited = self._audit(day)
            yield audited
            if audited.error is not None:
                return

    def _present(self) -> datetime:
        """Return the present by Gladly's clock, as far as it is believed, and no later than by ours."""
        return min(self._gladly.gladly_clock.now() or self._gladly.clock(), utc_now())

    def _ended_before(self, now: datetime) -> datetime:
        """Return the instant before which a day must have ended: the polls must have read it, too."""
        return min(now - SETTLED_AFTER, self._store.watermark() or now - SETTLED_AFTER)

    def _audit(self, day: date) -> Audited:
        """
        Hold a day's report against what is recorded, record what is missing, and write the day's row.

        Each chunk of the report is compared, and what is missing of it recorded and counted, in one
        transaction. So a kill loses no figure, and an audit of the same day beside this one does no harm.
        """
        reported: int | None = 0
        known = found = 0
        doubts: list[str] = []
        error = None
        try:
            for chunk in self._feed.report_of(day):
                doubts += [bad.reason for bad in chunk.bad_lines]
                # A gap is what the day's row says. A row that cannot be read is kept for a person to see.
                chunk.bad_lines = [bad for bad in chunk.bad_lines if not bad.reason.startswith("gap: ")]
                with self._turn():
                    figures = self._record.record_missing(chunk, day)
                known, found = known + figures.known, found + figures.events
                self._stop.check()
        except StoppedError:
            raise
        except GladlySegmentError as failed:
            error, reported = failed, None
        else:
            reported = known + found
        receipts = self._receipts_of(day)
        with self._turn():
            if error is not None:
                why: str | None = str(error)
            else:
                why = _why_unproved(doubts, reported or 0, self._store.audits.transitions_on(day, _MARGIN))
            row = self._store.audits.finish(day, reported, why, receipts)
        told = {**row._asdict(), "outcome": row.outcome.value}
        del told["audited_at"]
        if row.outcome is AuditOutcome.COMPLETE:
            log.info("day.audited", **told)
        else:
            log.warning("day.audited", **told)
        return Audited(row, found, error)

    def _ask_for_receipts(self, since: date, at_most: int) -> None:
        """Ask Segment again about the days for which it could not be asked when they were audited."""
        with self._turn():
            days = self._store.audits.without_receipts(since, at_most)
        for day in days:
            receipts = self._receipts_of(day)
            if receipts is None or receipts.received is None:
                return  # it cannot be asked now
            with self._turn():
                self._store.audits.add_receipts(day, receipts)
            log.info("day.receipts", day=day.isoformat(), **receipts._asdict())

    def _receipts_of(self, day: date) -> DayReceipts | None:
        if self._receipts is None:
            return None
        try:
            return self._receipts.of(day)
        except StoppedError:
            raise
        except GladlySegmentError as error:
            return DayReceipts(None, None, str(error))

    def _turn(self) -> AbstractContextManager[None]:
        return self._store.turn(self._stop.sleep)


def _why_unproved(doubts: list[str], reported: int, recorded: int) -> str | None:
    """
    Return why a report that was read does not prove its day. Return None where it does.

    Args:
        doubts: What could not be read, and why the report may be incomplete.
        reported: How many transitions the report shows.
        recorded: How many of the day are recorded.
    """
    if doubts:
        more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
        return f"{doubts[0].removeprefix('gap: ')}{more}."
    if reported * 2 < recorded:
        return (
            f"Gladly's report shows {reported} conversations created or closed, but {recorded} are recorded "
            "here. The report is not complete."
        )
    return None


def _check(day: date, now: datetime, began: datetime | None, watermark: datetime | None) -> None:
    """
    Make sure that a day can be audited.

    Raises:
        SettingsError: It is not one of the days to audit, or has not ended long enough ago.
        RetryableError: The polls have not read it to its end yet.
    """
    if _end(day) > now - SETTLED_AFTER:
        raise SettingsError(
            f"{day} cannot be audited before {to_text(_end(day) + SETTLED_AFTER)}, six hours after its end."
        )
    if began is None or watermark is None:
        raise SettingsError("Nothing can be audited before the first cycle: run `gladly-segment once`.")
    if _start(day) < began:
        raise SettingsError(
            f"{day} began before this state file did ({to_text(began)}). To read it, run: "
            f"gladly-segment resync --since {day} --until {day + _DAY}"
        )
    if _end(day) > watermark:
        raise RetryableError(
            f"{day} has not been read to its end yet: the watermark is at {to_text(watermark)}. Audit it "
            "when the sync has caught up."
        )


def _start(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def _end(day: date) -> datetime:
    return _start(day) + _DAY
