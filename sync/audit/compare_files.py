"""
Read what Gladly's own integration delivered: Segment's raw events, or a warehouse table (semantics 6.5).

A file's kind is told by what it holds, and not by its name: gzip by its first bytes, JSON lines by their
first brace, and CSV by its header. Lines are read one at a time, so memory stays flat.
"""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import msgspec

from state.instants import from_text, to_text
from state.records import Transition
from sync.errors import GladlySegmentError
from sync.events.track import NAMES
from sync.printable import printable

# Segment takes events of at most 32 KB (Segment HTTP Tracking API, limits) and adds its own fields. A line
# that is many times longer is no event.
LONGEST_LINE = 1024 * 1024

EVENT_NAMES = tuple(NAMES[transition] for transition in Transition)

# A warehouse names an event after its table (segment-public-api, warehouses).
_BY_TABLE = {name.lower().replace(" ", "_"): name for name in EVENT_NAMES}

# The columns of a warehouse table that hold a property each (segment-public-api, warehouses).
_COLUMNS = {
    "agent_id": "agentId",
    "agent_name": "agentName",
    "customer_name": "customerName",
    "conversation_id": "conversationId",
    "email": "email",
    "phone": "phone",
    "status": "status",
    "topic_ids": "topicIds",
    "created_at": "createdAt",
    "closed_at": "closedAt",
    "inbox_id": "inboxId",
    "topic_names": "topicNames",
    "email_sha256": "emailSha256",
    "phone_sha256": "phoneSha256",
    "external_customer_id": "externalCustomerId",
}
ATTRIBUTE_COLUMN = "custom_attributes_"

_ZONE = re.compile(r"(?<=\d)\s*(?:UTC|GMT|Z)$|\s+(?=[+-]\d\d)", re.IGNORECASE)


class BadInputError(GladlySegmentError):
    """Say that what was given to compare cannot be read, or holds nothing to compare."""


class Theirs(NamedTuple):
    """
    Hold one event that Gladly's integration delivered.

    Attributes:
        event: The event's name.
        conversation_id: Gladly's id of the conversation.
        message_id: Segment's id of the event; empty where the table has none.
        received_at: When Segment received it; empty where it is not known.
        stamp: The event's `timestamp` as it was sent; empty where it is not known.
        fields: `userId` and the properties, as JSON.
        is_row: Whether it is a row of a warehouse table. Custom attributes are then flattened text, and an
            absent value says no more than that the column is empty.
    """

    event: str
    conversation_id: str
    message_id: str
    received_at: str
    stamp: str
    fields: bytes
    is_row: bool


class Other(NamedTuple):
    """Hold the name of an event that is not compared, such as another event of the source."""

    name: str


class Unreadable(NamedTuple):
    """Say where a line stands that cannot be read, and why."""

    where: str
    why: str


Line = Theirs | Other | Unreadable


def files_of(names: Sequence[str]) -> list[Path | None]:
    """
    Return the files that these names stand for, a folder's in order. None stands for standard input.

    Raises:
        BadInputError: A name leads to no file.
    """
    found: list[Path | None] = []
    for name in names:
        if name == "-":
            found.append(None)
            continue
        path = Path(name)
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
            if not inside:
                raise BadInputError(f"{path} holds no files. Name the folder of Segment's raw events.")
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise BadInputError(f"{path} does not exist. Name a file, a folder, or - for standard input.")
    return found


class Input:
    """
    The files to compare, read line by line.

    Args:
        files: The files; None is standard input.

    Attributes:
        bytes_read: How much has been read, in bytes as they are stored.
        bytes_in_all: How much there is; None where standard input is among the files.
    """

    def __init__(self, files: Sequence[Path | None]) -> None:
        self._files = files
        self._before = 0
        self._raw: BinaryIO | None = None
        sizes = [path.stat().st_size if path is not None else None for path in files]
        self.bytes_in_all = None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def bytes_read(self) -> int:
        """How much has been read of all files, in bytes as they are stored."""
        at = self._raw.tell() if self._raw is not None and self._raw.seekable() else 0
        return self._before + at

    def lines(self) -> Iterator[Line]:
        """
        Yield what each line is.

        Raises:
        """
        for path in self._files:
            name = "standard input" if path is None else str(path)
            try:
                with open(0, "rb", closefd=False) if path is None else path.open("rb") as raw:
                    self._raw = raw
                    yield from _lines_of(raw, name)
                    self._before += raw.tell() if raw.seekable() else 0
                    self._raw = None
            except OSError as error:
                raise BadInputError(
                    f"{name} cannot be read ({error.strerror}). Check its owner and mode."
                ) from None


def _lines_of(raw: BufferedReader, name: str) -> Iterator[Line]:
    unpacked: BinaryIO = raw
    if raw.peek(2)[:2] == b"\x1f\x8b":
        unpacked = BufferedReader(cast(Any, gzip.GzipFile(fileobj=raw)))
    numbered = _numbered(unpacked, name)
    for first in numbered:
        if isinstance(first, Unreadable):
            yield first
            continue
        number, line = first
        if not line.strip():
            continue
        if line.lstrip()[:1] == b"{":
            yield _event(line, f"{name}, line {number}")
            yield from _events(numbered, name)
            continue
        try:
            columns = _columns(line)
        except ValueError as error:
            yield Unreadable(f"{name}, line {number}", str(error))
        else:
            yield from _rows(columns, numbered, name)


def _numbered(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes] | Unreadable]:
    """Yield each line with its number. Damaged gzip data ends the file."""
    number = 0
    try:
        while line := file.readline(LONGEST_LINE):
            number += 1
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield Unreadable(f"{name}, line {number}", f"the line is longer than {LONGEST_LINE} bytes")
                continue
            yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield Unreadable(f"{name}, line {number + 1}", "the gzip data ends early or is damaged")


# Segment's raw events


def _events(numbered: Iterator[tuple[int, bytes] | Unreadable], name: str) -> Iterator[Line]:
    for found in numbered:
        if isinstance(found, Unreadable):
            yield found
        elif found[1].strip():
            yield _event(found[1], f"{name}, line {found[0]}")


class _Raw(msgspec.Struct):
    """Hold the fields of a raw event that are compared. Some dumps spell `messageid`."""

    type: Any = None
    event: Any = None
    userId: Any = None  # noqa: N815  # the wire's name
    messageId: Any = None  # noqa: N815  # the wire's name
    messageid: Any = None
    receivedAt: Any = None  # noqa: N815  # the wire's name
    originalTimestamp: Any = None  # noqa: N815  # the wire's name
    timestamp: Any = None
    properties: Any = None


_decode = msgspec.json.Decoder(_Raw).decode
encode = msgspec.json.Encoder().encode


def _event(line: bytes, where: str) -> Line:
    try:
        raw = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Unreadable(where, "it is not a JSON object")
    if raw.type != "track":
        return Other(_short(raw.type if isinstance(raw.type, str) and raw.type else "without a type"))
    if raw.event not in EVENT_NAMES:
        return Other(_short(raw.event if isinstance(raw.event, str) and raw.event else "without a name"))
    properties = raw.properties if isinstance(raw.properties, dict) else {}
    conversation_id = properties.get("conversationId")
    if not isinstance(conversation_id, str) or not conversation_id:
        return Unreadable(where, "the event has no properties.conversationId")
    return Theirs(
        raw.event,
        conversation_id,
        str(raw.messageId or raw.messageid or ""),
        _instant(raw.receivedAt),
        _instant(raw.originalTimestamp) or _instant(raw.timestamp),
        encode({"userId": raw.userId} | properties),
        is_row=False,
    )


# Rows of a warehouse table


def _columns(header: bytes) -> list[str]:
    """
    Return the columns of a warehouse table.

    Raises:
        ValueError: The line is not the header of one. The error says why.
    """
    try:
        columns = [column.strip().lower() for column in next(csv.reader([header.decode()], strict=True))]
    except (UnicodeDecodeError, csv.Error, StopIteration):
        columns = []
    if "conversation_id" not in columns:
        raise ValueError(
            "it is neither a JSON object nor the header of a table with the column conversation_id"
        )
    if not {"event", "event_text"} & {*columns}:
        raise ValueError("the table has neither of the columns event and event_text")
    return columns


def _rows(
    columns: Sequence[str], numbered: Iterator[tuple[int, bytes] | Unreadable], name: str
) -> Iterator[Line]:
    lines = _Lines(numbered)
    reader = csv.reader(lines, strict=True)
    while True:
        found: Line | None = None
        try:
            cells = next(reader, None)
        except (csv.Error, UnicodeDecodeError) as error:
            found = Unreadable(f"{name}, line {lines.number}", f"it is not CSV ({_short(str(error))})")
            reader = csv.reader(lines, strict=True)
        else:
            if cells:
                where = f"{name}, line {lines.number}"
                found = _row(dict(zip(columns, cells, strict=False)), len(cells) - len(columns), where)
        yield from lines.unreadable()
        if found is not None:
            yield found
        elif cells is None:
            return


class _Lines:
    """Gives the CSV reader its lines as text, and keeps those that cannot be read."""

    def __init__(self, numbered: Iterator[tuple[int, bytes] | Unreadable]) -> None:
        self._numbered = numbered
        self._unreadable: list[Unreadable] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for found in self._numbered:
            if isinstance(found, Unreadable):
                self._unreadable.append(found)
                continue
            self.number, line = found
            return line.decode()
        raise StopIteration

    def unreadable(self) -> list[Unreadable]:
        """Return the lines that could not be read since the last call."""
        found, self._unreadable = self._unreadable, []
        return found


def _row(row: dict[str, str], extra_cells: int, where: str) -> Line:
    if extra_cells:
        return Unreadable(where, "it has another number of cells than the header")
    named = row.get("event_text") or row.get("event") or ""
    event = named if named in EVENT_NAMES else _BY_TABLE.get(named.lower().rpartition(".")[2], "")
    if not event:
        return Other(_short(named or "without a name"))
    if not row["conversation_id"]:
        return Unreadable(where, "the row has no conversation_id")
    fields: dict[str, Any] = {name: row[column] or None for column, name in _COLUMNS.items() if column in row}
    for name in ("topicIds", "topicNames"):
        if fields.get(name):
            fields[name] = _list(fields[name])
    if "user_id" in row:
        fields["userId"] = row["user_id"]
    flattened = {column: cell for column, cell in row.items() if column.startswith(ATTRIBUTE_COLUMN)}
    if flattened:
        attributes = {
            column.removeprefix(ATTRIBUTE_COLUMN): cell for column, cell in flattened.items() if cell
        }
        fields["customAttributes"] = attributes
    return Theirs(
        event,
        row["conversation_id"],
        row.get("id") or row.get("message_id") or "",
        _instant(row.get("received_at")),
        _instant(row.get("original_timestamp")) or _instant(row.get("timestamp")),
        encode(fields),
        is_row=True,
    )


def _list(text: str) -> Any:
    """Return the list that a warehouse keeps as text, or the text itself."""
    try:
        found = json.loads(text)
    except ValueError:
        return text
    return found if isinstance(found, list) else text


def _instant(value: Any) -> str:
    """Return an instant as we write it; empty where *value* is none. A warehouse may write ` UTC`."""
    if not isinstance(value, str) or not value:
        return ""
    try:
        return to_text(from_text(value))
    except ValueError:
        pass
    try:
        in_iso = _ZONE.sub(lambda zone: "Z" if zone[0].strip() else "", value.strip())
        return to_text(from_text(in_iso))
    except ValueError:
        return ""


def _short(text: str) -> str:
    """Return a text from outside in a form and a length that a screen can take."""
    return printable(text if len(text) <= 60 else text[:59] + "…")
