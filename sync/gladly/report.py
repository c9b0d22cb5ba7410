"""
The ConversationTimestampsReport: the same changes as the Events API, of any age, a UTC day a request
(Gladly REST API, Reports; semantics 3.5).

Rows have no id and come in no promised order, and what is beyond 100,000 rows is cut off silently. So a day
is read whole, put in order and only then handed on; and a day that comes near the cap is asked for again
from where it was cut, or said to be incomplete: never passed over in silence.
"""

import contextlib
import csv
import io
import json
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import structlog

from state.instants import from_text, to_text
from state.records import QUARANTINED_LINE_BYTES, BadLine
from sync.errors import RetryableError, TooOldError, UnexpectedAnswerError
from sync.events.changes import (
    CHUNK_CHANGES,
    CHUNK_TRANSITIONS,
    OF_A_CONVERSATION,
    TYPES,
    Change,
    ChangeType,
    Chunk,
    checked_id,
)
from sync.gladly.client import GladlyClient
from sync.http.host import Exchange, retried

log = structlog.get_logger()

# Gladly REST API, Reports: 100,000 rows, then it is cut off silently. A day this near to it is not believed.
ROW_CAP = 100_000
NEAR_THE_CAP = 99_000

# Gladly REST API, rate limits: ten POST /reports a minute for an organization.
REPORTS_PER_MINUTE = 10

# Gladly makes the report before it sends a byte of it, which can take minutes.
DEADLINE_S = 900.0

# A field is a name, an id or a reason; more than this is not the report.
FIELD_MAX_CHARACTERS = 1_000_000

_NEEDED = ("timestamp", "event type", "conversation id", "customer id")
_DAY = timedelta(days=1)
_NEVER = datetime.min.replace(tzinfo=UTC)


class Report:
    """The report as a stream of changes."""

    def __init__(self, client: GladlyClient) -> None:
        self._client = client
        self._asked: deque[float] = deque()  # monotonic: the requests of the last minute

    def between(self, since: datetime, until: datetime) -> Iterator[Chunk]:
        """
        Yield the changes recorded from *since* to *until*, both inclusive, in order, a UTC day at a time.

        Each chunk's position is where to go on; the last one's is *until*.

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
                read = _Rows(bad_lines=[_gap(max(since, _midnight(day)), end)])
            changes = sorted(
                (c for c in read.changes if since <= c.recorded_at <= until), key=lambda change: change.order
            )
            log.info("report.read", day=day.isoformat(), rows=read.rows, changes=len(changes))
            yield from _chunks(changes, end, read.bad_lines)
            day += _DAY

    def _day(self, day: date) -> "_Rows":
        """All of a UTC day. Where the cap cut it, it is asked for again from an hour before the cut."""
        rows = self._ask(day, 0)
        hour = 0
        end = _midnight(day + _DAY)
        while rows.is_cut and not (rows.is_ordered and rows.last >= end):
            # Time zones are what moves a report's day: one whose midnight is at this hour of UTC.
            reached = int((rows.last - _midnight(day)).total_seconds() // 3_600)
            if not rows.is_ordered or not hour < reached < 24:
                log.error("report.incomplete", day=day.isoformat(), rows=rows.rows)
                reason = f"the report of {day} is cut at {rows.rows} rows: changes of that day may be missing"
                rows.bad_lines.append(BadLine("report", reason, day.isoformat().encode()))
                break
            hour = reached
            more = self._ask(day, hour)
            rows = _Rows(
                changes=[*rows.changes, *more.changes],
                bad_lines=[*rows.bad_lines, *more.bad_lines],
                rows=more.rows,
                last=more.last,
                is_ordered=more.is_ordered,
            )
        return rows

    def _ask(self, day: date, hour: int) -> "_Rows":
        """The 24 hours that begin at an hour of a UTC day."""
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

        def ask() -> _Rows:
            self._wait()
            with self._client.call(
                "POST",
                "/reports",
                deadline_s=DEADLINE_S,
                silence_s=DEADLINE_S,
                body=json.dumps(query).encode(),
                headers={
                    "Content-Type": "application/json",
                    "Accept": "text/csv",
                    "Accept-Encoding": "identity",
                },
            ) as exchange:
                return _read(exchange)

        return retried(ask, self._client.stop)

    def _wait(self) -> None:
        """Ten requests in any minute, and no more."""
        while len(self._asked) >= REPORTS_PER_MINUTE:
            left = self._asked[0] + 60.0 - time.monotonic()
            if left <= 0:
                self._asked.popleft()
            else:
                log.info("report.waiting", seconds=round(left, 1), reason="10 requests a minute")
                self._client.stop.sleep(left)
        self._asked.append(time.monotonic())


@dataclass
class _Rows:
    """What one answer held."""

    changes: list[Change] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    rows: int = 0
    last: datetime = _NEVER
    is_ordered: bool = True

    @property
    def is_cut(self) -> bool:
        return self.rows >= NEAR_THE_CAP


def _chunks(changes: list[Change], end: datetime, bad_lines: list[BadLine]) -> Iterator[Chunk]:
    """Changes in order, in chunks; the last one, perhaps empty, reaches to the end of the day."""
    chunk: list[Change] = []
    transitions = 0
    for change in changes:
        chunk.append(change)
        transitions += change.type in OF_A_CONVERSATION
        if transitions >= CHUNK_TRANSITIONS or len(chunk) >= CHUNK_CHANGES:
            yield Chunk(chunk, change.recorded_at, [])
            chunk, transitions = [], 0
    yield Chunk(chunk, end, bad_lines)


class _Bytes(io.RawIOBase):
    """The parts of a body as a file, for the CSV reader."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = next((part for part in self._parts if part), b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _read(exchange: Exchange) -> _Rows:
    """
    Read one answer.

    Raises:
        RetryableError: It broke off.
        UnexpectedAnswerError: It is no such report.
    """
    if exchange.response.headers.get("Content-Encoding", "identity") != "identity":
        raise UnexpectedAnswerError("Gladly compresses the report although asked not to.")
    raw = io.BufferedReader(_Bytes(exchange.parts(decode=False)))
    with contextlib.closing(io.TextIOWrapper(raw, "utf-8-sig", "replace", newline="")) as text:
        csv.field_size_limit(FIELD_MAX_CHARACTERS)
        reader = csv.reader(text)
        try:
            return _read_rows(reader)
        except csv.Error as error:
            raise UnexpectedAnswerError(f"Gladly's report is not CSV: {error}.") from error


def _read_rows(reader: Iterator[list[str]]) -> _Rows:
    read = _Rows()
    header = next((row for row in reader if any(cell.strip() for cell in row)), None)
    if header is None:
        return read  # an empty day
    columns = {name.strip().lower(): index for index, name in enumerate(header)}
    if missing := [name for name in _NEEDED if name not in columns]:
        raise UnexpectedAnswerError(
            f"Gladly answered the request for a report with something else (no column {missing[0]!r} in "
            f"{','.join(header)[:80]!r})."
        )
    cut_short: list[str] | None = None
    for row in reader:
        if not any(row):
            continue
        if cut_short is not None:
            read.bad_lines.append(_bad(cut_short, "fewer columns than the header"))
            cut_short = None
        read.rows += 1
        if len(row) < len(header):
            cut_short = row  # the last one of a broken answer, or, if more follow, one bad row
            continue
        try:
            change = _change(row, columns)
        except ValueError as error:
            read.bad_lines.append(_bad(row, str(error)))
            continue
        if change is None:
            continue
        read.is_ordered = read.is_ordered and change.recorded_at >= read.last
        read.last = max(read.last, change.recorded_at)
        if change.type is not ChangeType.OTHER:
            read.changes.append(change)
    if cut_short is not None:
        raise RetryableError("Gladly's report broke off in the middle of a row.")
    return read


def _change(row: list[str], columns: dict[str, int]) -> Change | None:
    """
    Read one row.

    Raises:
        ValueError: It says nothing that can be read.
    """

    def cell(name: str) -> str:
        index = columns.get(name)
        return row[index].strip() if index is not None else ""

    recorded_at = from_text(cell("timestamp"))
    type_ = TYPES.get(cell("event type"), ChangeType.OTHER)
    if type_ is ChangeType.CUSTOMER_MERGED:
        # Here the customer is the one that remains, and the merged one is the source.
        if not cell("merged customer id"):
            return Change("", ChangeType.OTHER, recorded_at)
        return Change(
            "",
            type_,
            recorded_at,
            customer_id=checked_id(cell("merged customer id"), "Merged Customer ID"),
            conversation_id=cell("merged conversation id"),
            into_customer_id=checked_id(cell("customer id"), "Customer ID"),
            into_conversation_id=cell("conversation id"),
        )
    if type_ not in OF_A_CONVERSATION:
        return Change("", ChangeType.OTHER, recorded_at)
    return Change(
        "",
        type_,
        recorded_at,
        customer_id=checked_id(cell("customer id"), "Customer ID"),
        conversation_id=checked_id(cell("conversation id"), "Conversation ID"),
        agent_id=cell("assigned agent id"),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)


def _gap(start: datetime, end: datetime) -> BadLine:
    """What nothing can fill is recorded with both its ends, for `status` to show (faults B7)."""
    interval = f"{to_text(start)} to {to_text(end)}"
    log.error("report.gap", start=to_text(start), end=to_text(end))
    reason = f"gap: {interval} cannot be read, Gladly's report does not reach back that far"
    return BadLine("report", reason, interval.encode())


def _bad(row: list[str], reason: str) -> BadLine:
    return BadLine("report", reason, ",".join(row).encode("utf-8", "replace")[:QUARANTINED_LINE_BYTES])
