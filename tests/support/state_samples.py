"""What the state store's tests share: a known moment, small records, and a look at the file from outside."""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from state.records import (
    BadLine,
    CustomerMerge,
    Event,
    EventStatus,
    PendingEvent,
    Poll,
    Status,
    StoredConversation,
    TakenIn,
    Transition,
)
from state.schema.version import CURRENT, Schema
from state.store import Store

EIGHT = datetime(2026, 11, 20, 8, 0, 0, tzinfo=UTC)
NAMES = {
    Transition.CREATED: "Gladly Conversation Created",
    Transition.CLOSED: "Gladly Conversation Closed",
    Transition.REOPENED: "Gladly Conversation Reopened",
}


# The columns of `events` that people query (interface 4).
EVENT_COLUMNS = {
    "message_id",
    "conversation_id",
    "customer_id",
    "event",
    "occurred_at",
    "status",
    "reason",
    "payload",
    "attempts",
    "created_at",
    "delivered_at",
}


def eight(seconds: float = 0.0) -> datetime:
    """So many seconds after eight o'clock."""
    return EIGHT + timedelta(seconds=seconds)


def add_notes(db: Database) -> None:
    """Make a table and an index, as a step of a later release would."""
    db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")
    db.execute("CREATE INDEX events_by_attempts ON events (attempts)")


# The schema of the next release: it knows one more step. To it, every file of this release is an older one.
NEXT_RELEASE = Schema(CURRENT.version + 1, lambda: [*CURRENT.steps(), add_notes])


def payload(message_id: str, *, email: str = "zoe@example.com", padding: int = 0) -> bytes:
    """The bytes of an event that carries an e-mail address."""
    more = f',"padding":"{"x" * padding}"' if padding else ""
    return f'{{"messageId":"{message_id}","userId":"u","properties":{{"email":"{email}"{more}}}}}'.encode()


def event(
    message_id: str,
    *,
    customer: str = "customer",
    conversation: str = "conversation",
    transition: Transition = Transition.CREATED,
    at: datetime = EIGHT,
    status: EventStatus = EventStatus.PENDING,
    email: str = "zoe@example.com",
    padding: int = 0,
    reason: str | None = None,
) -> Event:
    """An event; everything but its message id may be left to be as usual."""
    return Event(
        message_id=message_id,
        conversation_id=conversation,
        customer_id=customer,
        transition=transition,
        event=NAMES[transition],
        occurred_at=at,
        status=status,
        payload=None
        if status is EventStatus.SUPPRESSED
        else payload(message_id, email=email, padding=padding),
        reason=reason,
    )


def conversation(
    id_: str,
    *,
    customer: str = "customer",
    status: Status = Status.OPEN,
    at: datetime = EIGHT,
    closed_at: datetime | None = None,
) -> StoredConversation:
    """A conversation as stored."""
    return StoredConversation(id_, customer, status, at, created_at=EIGHT, closed_at=closed_at)


# A chunk with one of everything, so that every table is written.
EVERYTHING = TakenIn(
    position=eight(100),
    seen=[("change-1", eight(90))],
    conversations=[conversation("c-1", customer="ana"), conversation("c-2", customer="ben")],
    events=[
        event("m-1", conversation="c-1", customer="ana"),
        event("m-2", conversation="c-2", customer="ben"),
    ],
    merges=[CustomerMerge("ana", "ida", eight(50))],
    deletions={"ben": (eight(60), "customer was deleted")},
    bad_lines=[BadLine("events", "not JSON", b"{")],
)
POLL = Poll(started_at=eight(), finished_at=eight(1), changes=4)


def commit(store: Store, *events: Event, now: datetime | None = None, **more: Any) -> None:
    """Take in events and whatever else."""
    store.commit(TakenIn(events=events, **more), now)


def outbox(store: Store, page: int = 100) -> list[PendingEvent]:
    """Everything pending, read page by page as a delivery reads it."""
    found: list[PendingEvent] = []
    while part := store.outbox.pending(found[-1].position if found else None, page):
        found += part
    return found


def ids(events: list[PendingEvent]) -> list[str]:
    """Their message ids, in order."""
    return [event.message_id for event in events]


def query(path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Ask the file as people do: with an SQLite of their own."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql, parameters).fetchall()


def row_of(path: Path, message_id: str, columns: str) -> tuple[Any, ...]:
    """Some columns of one event."""
    return query(path, f"SELECT {columns} FROM events WHERE message_id = ?", message_id)[0]


def schema_of(path: Path) -> list[tuple[Any, ...]]:
    """Every table, index and view, as the file defines them."""
    return query(path, "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name")


def content_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    tables = [name for (name,) in query(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: query(path, f"SELECT * FROM {name}") for name in tables}


def bytes_around(path: Path) -> dict[str, bytes]:
    """The bytes of the state file and of whatever stands beside it under its name: -wal, -shm, .lock."""
    return {file.name: file.read_bytes() for file in sorted(path.parent.glob(path.name + "*"))}


def files_holding(path: Path, text: str) -> list[str]:
    """Which of these files hold *text* anywhere in their bytes."""
    return [name for name, content in bytes_around(path).items() if text.encode() in content]


def whole_file(path: Path) -> dict[str, bytes]:
    """The bytes of the state file and of its write-ahead log, where there is one with something in it."""
    return {
        name: content
        for name, content in bytes_around(path).items()
        if content and not name.endswith((".lock", "-shm"))
    }


def copy_as_after_a_kill(path: Path, directory: Path) -> Path:
    """Copy a state file that is open, with its log, to where nobody has it open: as a kill would leave it."""
    directory.mkdir()
    for name in ("", "-wal"):
        shutil.copy(path.with_name(path.name + name), directory / (path.name + name))
    return directory / path.name
