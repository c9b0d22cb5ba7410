"""
Reading one answer of the ConversationTimestampsReport: CSV with a header (Gladly REST API, Reports).

Columns are found by their names, in any case and order. A row that cannot be read is kept as a bad line.
"""

import contextlib
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from state.instants import from_text
from state.records import QUARANTINED_LINE_BYTES, BadLine
from sync.errors import RetryableError, UnexpectedAnswerError
from sync.events.changes import OF_A_CONVERSATION, TYPES, Change, ChangeType, checked_id
from sync.gladly.limits import GladlyLimits
from sync.http.host import Exchange

_NEEDED = ("timestamp", "event type", "conversation id", "customer id")
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass
class ReportRows:
    """
    What one answer held.

    Attributes:
        changes: The changes that mean something here, in the answer's order.
        bad_lines: The rows that could not be read.
        rows: How many rows there were, bad ones included.
        last: The newest instant of all rows.
        is_ordered: Whether the rows came in the order of their instants.
    """

    changes: list[Change] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)
    rows: int = 0
    last: datetime = _NEVER
    is_ordered: bool = True


class _Bytes(io.RawIOBase):
    """The parts of a body, as a file for the CSV reader."""

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


def read_rows(exchange: Exchange, limits: GladlyLimits) -> ReportRows:
    """
    Read one answer.

    Args:
        exchange: Whose body is read, to its end.
        limits: How long a field may be.

    Raises:
        RetryableError: The answer broke off.
        UnexpectedAnswerError: The answer is no such report.
    """
    if exchange.response.headers.get("Content-Encoding", "identity") != "identity":
        raise UnexpectedAnswerError("Gladly compresses the report although asked not to.")
    raw = io.BufferedReader(_Bytes(exchange.parts(decode=False)))
    with contextlib.closing(io.TextIOWrapper(raw, "utf-8-sig", "replace", newline="")) as text:
        csv.field_size_limit(limits.report_field_max_characters)
        reader = csv.reader(text)
        try:
            return rows_of(reader)
        except csv.Error as error:
            raise UnexpectedAnswerError(f"Gladly's report is not CSV: {error}.") from error


def rows_of(reader: Iterator[list[str]]) -> ReportRows:
    """
    Read the rows that a CSV reader yields, the header first.

    Raises:
        RetryableError: The last row has fewer columns than the header.
        UnexpectedAnswerError: The header lacks a column that is needed.
    """
    read = ReportRows()
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
        ValueError: The row says nothing that can be read.
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
            is_from_report=True,
        )
    if type_ not in OF_A_CONVERSATION:
        return Change("", ChangeType.OTHER, recorded_at)
    return Change(
        "",
        type_,
        recorded_at,
        customer_id=checked_id(cell("customer id"), "Customer ID"),
        conversation_id=checked_id(cell("conversation id"), "Conversation ID"),
        agent_id=cell("assigned agent id") if "assigned agent id" in columns else None,
        is_from_report=True,
    )


def _bad(row: list[str], reason: str) -> BadLine:
    return BadLine("report", reason, ",".join(row).encode("utf-8", "replace")[:QUARANTINED_LINE_BYTES])
