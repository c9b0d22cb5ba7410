"""
Read one answer of the ConversationTimestampsReport: CSV with a header (Gladly REST API, Reports).

Columns are found by their names, in any case and order. A row that cannot be read is kept as a bad line.
Quotes are read strictly: a stray one costs its own line and no other (faults H1.8). Nothing is guessed: a
time without an offset counts only where the report says its zone (faults H1.7).
"""

import contextlib
import csv
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timezone
from typing import NamedTuple

from state.instants import from_text
from state.records import QUARANTINED_LINE_BYTES, BadLine
from sync.errors import UnexpectedAnswerError
from sync.events.changes import OF_A_CONVERSATION, Change, ChangeType, change_type, checked_id, is_known_type
from sync.gladly.limits import GladlyLimits
from sync.http.host import Exchange

# The columns that are read, by their names without spaces, `_` and `-`.
_NEEDED = {
    "timestamp": "timestamp",
    "eventtype": "event type",
    "conversationid": "conversation id",
    "customerid": "customer id",
}
_READ = {*_NEEDED, "timezonefilter", "assignedagentid", "mergedcustomerid", "mergedconversationid"}

_NEVER = datetime.min.replace(tzinfo=UTC)

# A quoted field may hold line breaks. One of more lines than this is a quote that was never closed.
_FIELD_MAX_LINES = 50

# Why an answer may have been cut: its last row is not whole.
CUT_SHORT = "it broke off in the middle of a row"

# Beyond this, a bad row is counted and not kept: a report that is bad throughout would fill the state file.
_KEPT_BAD_ROWS = 100

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ]+(\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?)\s*(Z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)

# What an export may add after the last row: how many there were.
_TRAILER = re.compile(r"\W*(?:grand\s+)?(?:total|row|record|count|end\b)", re.IGNORECASE)

_BLANK = " \t\r\n\0\x1a\xa0\ufeff"


_UTC_NAMES = {"utc", "etc/utc", "gmt", "etc/gmt", "z", "zulu", "etc/zulu", "utc+0", "+00:00", "utc+00:00"}


@dataclass
class ReportRows:
    """
    Hold the content of one answer.

    Attributes:
        changes: The changes that mean something here, in the answer's order.
        bad_lines: The rows that could not be read, the first hundred of them.
        bad_rows: How many rows could not be read.
        rows: How many rows there were, bad ones included.
        last: The newest instant of all rows.
        is_ordered: Whether the rows came in the order of their instants.
        has_known_type: Whether any row has a type that is documented.
        unknown_type: The first type that is not.
        stray_quotes: How many rows have a quote in a wrong place.
        doubt: Why the answer may have been cut; None where it told its end and came to it.
        checksum: Of the header and all rows, in any order: two answers that were cut hardly have the same.
    """

    changes: list[Change] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    bad_rows: int = 0
    rows: int = 0
    last: datetime = _NEVER
    is_ordered: bool = True
    has_known_type: bool = False
    unknown_type: str = ""
    stray_quotes: int = 0
    doubt: str | None = None
    checksum: int = 0


class _Bytes(io.RawIOBase):
    """The parts of a body, as a file."""

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


def _lines(text: io.TextIOWrapper, limit: int) -> Iterator[str]:
    while line := text.readline(limit + 1):
        if len(line) > limit:
            raise UnexpectedAnswerError(f"Gladly's report is not CSV: a line has over {limit} characters.")
        yield line


def read_rows(exchange: Exchange, limits: GladlyLimits, zone: timezone = UTC) -> ReportRows:
    """
    Read one answer.

    Args:
        exchange: Whose body is read, to its end.
        limits: How long a line may be.
        zone: The zone whose day was asked for, by its name.

    Raises:
        RetryableError: The answer broke off.
        UnexpectedAnswerError: The answer is no such report, or none of its rows can be read.
    """
    headers = exchange.response.headers
    if headers.get("Content-Encoding", "identity") != "identity":
        raise UnexpectedAnswerError("Gladly compresses the report although asked not to.")
    body = _Bytes(exchange.parts(decode=False))
    with contextlib.closing(
        io.TextIOWrapper(io.BufferedReader(body), "utf-8-sig", "replace", newline="")
    ) as text:
        read = rows_of(_lines(text, limits.report_line_max_characters), zone)
    if not read.checksum and "csv" not in headers.get("Content-Type", "").lower():
        raise UnexpectedAnswerError(
            "Gladly answered the request for a report with nothing, and not with CSV."
        )
    if "Content-Length" not in headers and "chunked" not in headers.get("Transfer-Encoding", "").lower():
        read.doubt = read.doubt or "it does not tell where it ends"
    return read


class Record(NamedTuple):
    """
    A row of a CSV file.

    Attributes:
        cells: Its cells; None where its quotes cannot be read.
        text: The text it was read from.
    """

    cells: list[str] | None
    text: str


def records_of(lines: Iterator[str], width: int | None = None) -> Iterator[Record]:
    """
    Yield the rows of a CSV file, blank ones left out.

    Where a quote is opened and not closed as it must be, the line that opened it is a row that cannot be
    read, and the lines after it are read as rows of their own.

    Args:
        lines: The lines, with their ends.
        width: How many columns there are; None where that is not known yet. A field that holds as many commas
            beside a line break has swallowed rows.
    """
    waiting: list[str] = []
    source = iter(lines)
    while (line := waiting.pop(0) if waiting else next(source, None)) is not None:
        if not line.strip(_BLANK + ","):
            continue
        taken, cells = [line], _cells(line)
        while cells is _OPEN and len(taken) < _FIELD_MAX_LINES:
            more = waiting.pop(0) if waiting else next(source, None)
            if more is None:
                break
            taken.append(more)
            if '"' in more:
                cells = _cells("".join(taken))
        if width and any("\n" in cell and cell.count(",") >= width - 1 for cell in cells or ()):
            cells = None
        if not cells:
            taken, waiting = taken[:1], taken[1:] + waiting
        yield Record(cells or None, "".join(taken))


# What `_cells` returns where a quote is left open.
_OPEN: list[str] = []


def _cells(text: str) -> list[str] | None:
    """
    Return the cells of a row. Return `_OPEN` where a quote is left open, and None where one cannot be.
    """
    try:
        (cells,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        return _OPEN if "unexpected end" in str(error) else None
    return cells


class _Columns(NamedTuple):
    """Where the columns stand that are read, and how many there are."""

    places: dict[str, int]
    width: int

    def cell(self, row: Sequence[str], name: str) -> str:
        place = self.places.get(name)
        return row[place].strip(_BLANK) if place is not None else ""


def rows_of(lines: Iterator[str], zone: timezone = UTC) -> ReportRows:
    """
    Read the rows of a CSV file, the header first.

    Args:
        lines: The lines, with their ends.
        zone: The zone whose day was asked for, by its name.

    Raises:
        UnexpectedAnswerError: The header lacks a column that is needed or has one twice, the report is of
            another zone, or none of its rows can be read.
    """
    read = ReportRows()
    header = next(records_of(lines), None)
    if header is None:
        return read  # an empty day
    read.checksum = zlib.crc32(header.text.encode("utf-8", "replace"))
    columns = _columns(header)
    last: tuple[list[str], str] | None = None  # too short: the end of a cut answer, or a trailer
    for record in records_of(lines, columns.width):
        if last is not None:
            _keep(read, last[1], "fewer columns than the header")
            last = None
        read.rows += 1
        read.checksum += zlib.crc32(record.text.encode("utf-8", "replace"))
        if record.cells is None:
            read.stray_quotes += 1
            _keep(read, record.text, "a quote in a wrong place: the row cannot be read")
        elif len(record.cells) < columns.width or _is_trailer(record.cells, record.text):
            last = record.cells, record.text
        elif any(cell.strip(_BLANK) for cell in record.cells[columns.width :]):
            _keep(read, record.text, "more columns than the header")
        else:
            _take(read, record, columns, zone)
    if last is not None:
        _end_with(read, *last)
    # One bad row alone is a mishap, and would otherwise stand in the way for ever.
    if read.rows > 1 and read.bad_rows == read.rows and not read.stray_quotes:
        raise UnexpectedAnswerError(
            f"None of the {read.rows} rows of Gladly's report can be read: {read.bad_lines[0].reason}."
        )
    return read


def _columns(header: Record) -> _Columns:
    names = [re.sub(r"[\s_\-\0\ufeff]+", "", name).lower() for name in header.cells or []]
    shown = repr(header.text.strip()[:80])
    if missing := [shown_name for name, shown_name in _NEEDED.items() if name not in names]:
        raise UnexpectedAnswerError(
            f"Gladly answered the request for a report with something else (no column {missing[0]!r} in "
            f"{shown})."
        )
    if twice := [name for name in names if name in _READ and names.count(name) > 1]:
        raise UnexpectedAnswerError(f"Gladly's report has a column twice ({twice[0]!r} in {shown}).")
    return _Columns({name: place for place, name in enumerate(names) if name in _READ}, len(names))


def _end_with(read: ReportRows, cells: list[str], text: str) -> None:
    """Note what a last row with too few cells is: a trailer, a broken row, or the place of a cut."""
    if _is_trailer(cells, text):
        read.rows -= 1
        return
    _keep(read, text, "fewer columns than the header")
    if not text.rstrip("\0\x1a").endswith(("\n", "\r")):
        read.doubt = CUT_SHORT


def _is_trailer(cells: list[str], text: str) -> bool:
    return bool(_TRAILER.match(text)) and sum(bool(cell.strip(_BLANK)) for cell in cells) <= 2


def _take(read: ReportRows, record: Record, columns: _Columns, zone: timezone) -> None:
    """Read one row that is whole."""
    row = record.cells or []
    try:
        recorded_at = _instant(columns.cell(row, "timestamp"), columns.cell(row, "timezonefilter"), zone)
        change = _change(row, columns, recorded_at)
    except ValueError as error:
        _keep(read, record.text, str(error))
        return
    type_name = columns.cell(row, "eventtype")
    if is_known_type(type_name):
        read.has_known_type = True
    else:
        read.unknown_type = read.unknown_type or type_name
    read.is_ordered = read.is_ordered and recorded_at >= read.last
    read.last = max(read.last, recorded_at)
    if change.type is not ChangeType.OTHER:
        read.changes.append(change)


def _instant(text: str, filter_: str, zone: timezone) -> datetime:
    """
    Read the instant of a row.

    Args:
        text: What stands in the column `Timestamp`.
        filter_: What stands in the column `Timezone Filter`.
        zone: The zone whose day was asked for, by its name.

    Raises:
        ValueError: *text* is no instant, or has no offset and the report does not say its zone.
        UnexpectedAnswerError: The report is of another zone, so its day is another one.
    """
    if not (found := _INSTANT.fullmatch(text)):
        raise ValueError(f"{text[:40]!r} is not an instant")
    is_utc, is_asked = filter_.lower() in _UTC_NAMES, filter_.lower() == str(zone).lower()
    if filter_ and not is_asked and not (is_utc and zone is UTC):
        raise UnexpectedAnswerError(
            f"Gladly answered with a report of the time zone {filter_[:40]!r}. The program asked for {zone}."
        )
    day, time, offset = found[1], found[2], (found[3] or "").upper()
    if offset in ("Z", "UTC", "GMT"):
        offset = "Z"
    if not offset and not filter_:
        raise ValueError(f"{text[:40]!r} has no offset, and the report does not say its time zone")
    instant = from_text(f"{day}T{time}{offset or 'Z'}")
    if offset:
        return instant
    return instant.replace(tzinfo=zone).astimezone(UTC)


def _change(row: list[str], columns: _Columns, recorded_at: datetime) -> Change:
    """
    Read what one row says.

    Raises:
        ValueError: The row cannot be read.
    """
    type_ = change_type(columns.cell(row, "eventtype"))
    if type_ is ChangeType.CUSTOMER_MERGED:
        # Here the customer is the one that remains, and the merged one is the source.
        source, conversation_id = (
            columns.cell(row, "mergedcustomerid"),
            columns.cell(row, "mergedconversationid"),
        )
        if not source:
            return Change("", ChangeType.OTHER, recorded_at)
        return Change(
            "",
            type_,
            recorded_at,
            customer_id=checked_id(source, "Merged Customer ID"),
            conversation_id=conversation_id and checked_id(conversation_id, "Merged Conversation ID"),
            into_customer_id=checked_id(columns.cell(row, "customerid"), "Customer ID"),
            is_from_report=True,
        )
    if type_ not in OF_A_CONVERSATION:
        return Change("", ChangeType.OTHER, recorded_at)
    agent_id = columns.cell(row, "assignedagentid") if "assignedagentid" in columns.places else None
    return Change(
        "",
        type_,
        recorded_at,
        customer_id=checked_id(columns.cell(row, "customerid"), "Customer ID"),
        conversation_id=checked_id(columns.cell(row, "conversationid"), "Conversation ID"),
        agent_id=agent_id and checked_id(agent_id, "Assigned Agent ID"),
        is_from_report=True,
    )


def _keep(read: ReportRows, text: str, reason: str) -> None:
    read.bad_rows += 1
    if read.bad_rows > _KEPT_BAD_ROWS:
        return
    line = text.strip("\r\n").encode("utf-8", "replace")[:QUARANTINED_LINE_BYTES]
    read.bad_lines.append(BadLine("report", reason, line))
