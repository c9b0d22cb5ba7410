"""
Read the ConversationTimestampsReport: the same changes as the Events API, of any age, one UTC day a request
(Gladly REST API, Reports; semantics 3.5).

Rows have no id and no promised order, and Gladly silently cuts the report off after 100,000 rows. So a day is
read whole and sorted before it is handed on. When a day comes near that number of rows, the rest is requested
from where the report was cut, or the day is reported as incomplete.
"""

import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import structlog

from state.instants import to_text
from state.records import BadLine
from sync.errors import RetryableError, TooOldError
from sync.events.changes import OF_A_CONVERSATION, Change, Chunk
from sync.gladly.client import GladlyClient
from sync.gladly.limits import GladlyLimits
from sync.gladly.report_rows import CUT_SHORT, ReportRows, read_rows

log = structlog.get_logger()

_DAY = timedelta(days=1)


class Report:
    """
    Read the report as a stream of changes.

    Args:
        client: Makes the requests.
    """

    def __init__(self, client: GladlyClient) -> None:
        self._client = client
        self._limits = client.limits
        self._asked: deque[float] = deque()  # monotonic: the requests of the last minute

    @property
    def has_room(self) -> bool:
        """Return whether under half of a minute's reports were asked for in the last minute."""
        recent = [at for at in list(self._asked) if at > time.monotonic() - 60.0]
        return len(recent) < self._limits.reports_per_minute / 2

    def between(self, since: datetime, until: datetime) -> Iterator[Chunk]:
        """
        Yield the changes recorded from *since* to *until*, in order, a UTC day at a time.

        Each chunk's position is where to go on. The position of the last chunk is *until*.

        Args:
            since, until: Aware UTC, inclusive.

        Raises:
            RetryableError: Gladly cannot be reached, or its answer breaks off.
            UnexpectedAnswerError: Gladly's answer is not such a report.
            CredentialsRefusedError, StoppedError: As the client's.
        """
        day = since.date()
        while day <= until.date():
            end = min(_midnight(day + _DAY), until)
            read = self._day_or_gap(day, max(since, _midnight(day)), end)
            changes = sorted(
                (c for c in read.changes if since <= c.recorded_at <= until), key=lambda change: change.order
            )
            log.info("report.read", day=day.isoformat(), rows=read.rows, changes=len(changes))
            yield from _chunks(changes, end, read.bad_lines, self._limits)
            day += _DAY

    def _day_or_gap(self, day: date, start: datetime, end: datetime) -> ReportRows:
        """
        Return the rows of a day, with a gap where Gladly no longer has the day, or not all of it can be read.
        """
        interval = f"{to_text(start)} to {to_text(end)}"
        try:
            read = self._day(day)
        except TooOldError:
            self._client.stop.sleep(self._client.retry.backoff_s(1))
            try:
                read = self._day(day)  # a single refusal proves nothing (faults H1.9)
            except TooOldError:
                reason = f"gap: {interval} cannot be read, Gladly's report does not reach back that far"
                return ReportRows(bad_lines=[_gap(interval, reason)])
        reasons = []
        if read.stray_quotes:
            reasons.append(f"{read.stray_quotes} of its rows have a quote in a wrong place")
        if read.bad_rows > len(read.bad_lines):
            reasons.append(f"{read.bad_rows} of its rows cannot be read")
        if read.doubt:
            reasons.append(read.doubt)
        if reasons:
            reason = f"gap: {interval} may be incomplete in Gladly's report: {'; '.join(reasons)}"
            read.bad_lines.append(_gap(interval, reason))
        if read.rows and not read.has_known_type and read.unknown_type:
            reason = f"none of the {read.rows} rows of {day} has a type that is known"
            read.bad_lines.append(BadLine("report", reason, f"{day} {read.unknown_type}".encode()[:200]))
        return read

    def _day(self, day: date) -> ReportRows:
        """
        Return all rows of a UTC day. If Gladly cut the report, request the rest from the hour of the cut.

        A report covers one day of a time zone. So the request for the rest names a zone whose midnight is at
        that hour of UTC.
        """
        rows = self._ask(day, 0)
        hour = 0
        end = _midnight(day + _DAY)
        while self._is_cut(rows) and not (rows.is_ordered and rows.last >= end):
            reached = int((rows.last - _midnight(day)).total_seconds() // 3_600)
            if not rows.is_ordered or not hour < reached < 24:
                log.error("report.incomplete", day=day.isoformat(), rows=rows.rows)
                reason = f"the report of {day} is cut at {rows.rows} rows: changes of that day may be missing"
                rows.bad_lines.append(BadLine("report", reason, day.isoformat().encode()))
                break
            hour = reached
            more = self._ask(day, hour)
            rows = replace(
                more,
                changes=[*rows.changes, *more.changes],
                bad_lines=[*rows.bad_lines, *more.bad_lines],
                has_known_type=rows.has_known_type or more.has_known_type,
                bad_rows=rows.bad_rows + more.bad_rows,
                stray_quotes=rows.stray_quotes + more.stray_quotes,
                doubt=rows.doubt or more.doubt,
            )
        return rows

    def _is_cut(self, rows: ReportRows) -> bool:
        return rows.rows >= self._limits.report_whole_rows

    def _ask(self, day: date, hour: int) -> ReportRows:
        """
        Return the rows of the 24 hours that begin at an hour of a UTC day.

        An answer that may have been cut is asked for again. It is believed when it comes a second time with
        the same bytes, because two cuts are hardly ever at the same place (faults H1.9).

        Raises:
            RetryableError: No two answers in a row were the same.
        """
        checksum = None
        for ask in range(self._limits.report_asks):
            if ask:
                self._client.stop.sleep(self._client.retry.backoff_s(ask))
            read = self._ask_once(day, hour)
            if read.doubt is None:
                return read
            if read.checksum == checksum:
                # It is whole where it only does not tell where it ends.
                return replace(read, doubt=read.doubt if read.doubt == CUT_SHORT else None)
            log.warning("report.doubtful", day=day.isoformat(), rows=read.rows, reason=read.doubt)
            checksum, doubt = read.checksum, read.doubt
            del read
        raise RetryableError(f"Gladly cut its report of {day} each time: {doubt}.")

    def _ask_once(self, day: date, hour: int) -> ReportRows:
        zone, local_day = UTC, day
        if 0 < hour <= 12:
            # POSIX's sign: that many hours behind UTC
            zone = timezone(timedelta(hours=-hour), f"Etc/GMT+{hour}")
        elif hour > 12:
            zone, local_day = timezone(timedelta(hours=24 - hour), f"Etc/GMT-{24 - hour}"), day + _DAY
        query = {
            "metricSet": "ConversationTimestampsReport",
            "timezone": str(zone),
            "startAt": local_day.isoformat(),
            "endAt": local_day.isoformat(),
        }

        def ask() -> ReportRows:
            self._wait()
            with self._client.request(
                "POST",
                "/reports",
                deadline_s=self._limits.report_deadline_s,
                silence_s=self._limits.report_deadline_s,
                body=json.dumps(query).encode(),
                headers={
                    "Content-Type": "application/json",
                    "Accept": "text/csv",
                    "Accept-Encoding": "identity",
                },
            ) as exchange:
                return read_rows(exchange, self._limits, zone)

        return self._client.retried(ask)

    def _wait(self) -> None:
        """Wait until one more request keeps within `reports_per_minute` in any minute."""
        while len(self._asked) >= self._limits.reports_per_minute:
            left = self._asked[0] + 60.0 - time.monotonic()
            if left <= 0:
                self._asked.popleft()
            else:
                rate = f"{self._limits.reports_per_minute} requests a minute"
                log.info("report.waiting", seconds=round(left, 1), reason=rate)
                self._client.stop.sleep(left)
        self._asked.append(time.monotonic())


def _chunks(
    changes: list[Change], end: datetime, bad_lines: list[BadLine], limits: GladlyLimits
) -> Iterator[Chunk]:
    """Yield changes in order, in chunks. The last one, perhaps empty, reaches to the end of the day."""
    chunk: list[Change] = []
    transitions = 0
    for change in changes:
        chunk.append(change)
        transitions += change.type in OF_A_CONVERSATION
        if transitions >= limits.chunk_transitions or len(chunk) >= limits.chunk_changes:
            yield Chunk(chunk, change.recorded_at, [], is_from_report=True)
            chunk, transitions = [], 0
    yield Chunk(chunk, end, bad_lines, is_from_report=True)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def _gap(interval: str, reason: str) -> BadLine:
    """Record an interval that may lack changes, with both its ends, for `status` (faults B7, H1.8)."""
    log.error("report.gap", reason=reason)
    return BadLine("report", reason, interval.encode())
