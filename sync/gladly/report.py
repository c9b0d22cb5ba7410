"""
The ConversationTimestampsReport: the same changes as the Events API, of any age, a UTC day a request
(Gladly REST API, Reports; semantics 3.5).

Rows have no id and come in no promised order, and what is beyond 100,000 rows is cut off without a word. So a
day is read whole, put in order, and only then handed on. A day that comes near that number is asked for again
from where it was cut, or said to be incomplete. It is never passed over in silence.
"""

import json
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import structlog

from state.instants import to_text
from state.records import BadLine
from sync.errors import TooOldError
from sync.events.changes import OF_A_CONVERSATION, Change, Chunk
from sync.gladly.client import GladlyClient
from sync.gladly.limits import GladlyLimits
from sync.gladly.report_rows import ReportRows, read_rows

log = structlog.get_logger()

_DAY = timedelta(days=1)


class Report:
    """
    The report as a stream of changes.

    Args:
        client: Makes the requests.
    """

    def __init__(self, client: GladlyClient) -> None:
        self._client = client
        self._limits = client.limits
        self._asked: deque[float] = deque()  # monotonic: the requests of the last minute

    def between(self, since: datetime, until: datetime) -> Iterator[Chunk]:
        """
        Yield the changes recorded from *since* to *until*, in order, a UTC day at a time.

        Each chunk's position is where to go on. The last one's is *until*.

        Args:
            since, until: Aware UTC, inclusive.

        Raises:
            RetryableError: Gladly cannot be reached, or a day does not come whole.
            UnexpectedAnswerError: What Gladly answered is no such report.
            CredentialsRefusedError, StoppedError: As the client's.
        """
        day = since.date()
        while day <= until.date():
            end = min(_midnight(day + _DAY), until)
            try:
                read = self._day(day)
            except TooOldError:
                read = ReportRows(bad_lines=[_gap(max(since, _midnight(day)), end)])
            changes = sorted(
                (c for c in read.changes if since <= c.recorded_at <= until), key=lambda change: change.order
            )
            log.info("report.read", day=day.isoformat(), rows=read.rows, changes=len(changes))
            yield from _chunks(changes, end, read.bad_lines, self._limits)
            day += _DAY

    def _day(self, day: date) -> ReportRows:
        """
        Return all rows of a UTC day. Where Gladly cut it, the rest is asked for from the hour of the cut on.

        A report is of a day in a time zone. So the rest is the day of a zone whose midnight is at that hour
        of UTC.
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
            rows = ReportRows(
                changes=[*rows.changes, *more.changes],
                bad_lines=[*rows.bad_lines, *more.bad_lines],
                rows=more.rows,
                last=more.last,
                is_ordered=more.is_ordered,
            )
        return rows

    def _is_cut(self, rows: ReportRows) -> bool:
        return rows.rows >= self._limits.report_whole_rows

    def _ask(self, day: date, hour: int) -> ReportRows:
        """Return the rows of the 24 hours that begin at an hour of a UTC day."""
        zone, local_day = "UTC", day
        if 0 < hour <= 12:
            zone = f"Etc/GMT+{hour}"  # POSIX's sign: that many hours behind UTC
        elif hour > 12:
            zone, local_day = f"Etc/GMT-{24 - hour}", day + _DAY
        query = {
            "metricSet": "ConversationTimestampsReport",
            "timezone": zone,
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
                return read_rows(exchange, self._limits)

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


def _gap(start: datetime, end: datetime) -> BadLine:
    """Record an interval that nothing can fill, with both its ends, for `status` to show (faults B7)."""
    interval = f"{to_text(start)} to {to_text(end)}"
    log.error("report.gap", start=to_text(start), end=to_text(end))
    reason = f"gap: {interval} cannot be read, Gladly's report does not reach back that far"
    return BadLine("report", reason, interval.encode())
