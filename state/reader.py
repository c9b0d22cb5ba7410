"""
Opens the state file for reading, whether the daemon runs or not, and without a lock.

A reader never writes, checkpoints or waits for the writer.
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from pathlib import Path
from types import TracebackType
from typing import Concatenate, ParamSpec, Self, TypeVar

from state.file import explaining, is_there, open_for_reading, version_of
from state.queries.attention import (
    attention,
    attention_counts,
    ids_needing_attention,
    needs_attention,
    quarantined,
)
from state.queries.audits import audited_days, proved_until
from state.queries.conversations import changes_of, conversation
from state.queries.counts import (
    conversation_counts,
    counts_since,
    delivered_by_day,
    event_counts,
    event_counts_between,
    oldest_pending,
)
from state.queries.cycles import last_poll, last_success, requests_since, watched_since, watermark
from state.queries.events import (
    covered,
    customers_with_email,
    events,
    events_after,
    events_by_conversation,
    last_event,
)
from state.queries.organization import organization, write_key_fingerprint
from state.queries.rows import Row
from state.queries.status import empty_status, status
from state.role_watch import Holder, RoleWatch
from state.schema.version import CURRENT, Schema

P = ParamSpec("P")
T = TypeVar("T")


def _asked(
    question: Callable[Concatenate[sqlite3.Connection, P], T],
) -> Callable[Concatenate["Reader", P], T]:
    """Make a question a method of `Reader`, which asks it with its own connection."""

    @wraps(question)
    def ask(reader: "Reader", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return reader.ask(question, *args, **kwargs)

    return ask


class Reader:
    """
    The state file, open for reading. Its methods are the questions of `state.queries`, which define them.

    A file whose creation was cut short has no tables yet. It reads as an empty one.

    Args:
        path: The state file.
        schema: The schema that this release knows. A file of an older schema can be read, too.

    Raises:
        StateFileError: There is no file, or it is not ours or damaged. Every method raises it for damage.
        NewerSchemaError: A newer release wrote it.
    """

    def __init__(self, path: Path, schema: Schema = CURRENT) -> None:
        self.path = path
        self._connection = open_for_reading(path, schema)
        if version_of(self._connection) == 0:
            from state.schema.migration import empty_state

            self._connection.close()
            self._connection = empty_state()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def ask(
        self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return the answer to one of the questions of `state.queries`."""
        with explaining(self.path):
            return question(self._connection, *args, **kwargs)

    def version(self) -> int:
        """Return the version of the file's schema."""
        return self.ask(version_of)

    def quick_check(self) -> str:
        """Return SQLite's own verdict on the file's pages: `ok`, or what is wrong (PRAGMA quick_check)."""
        with explaining(self.path):
            return str(self._connection.execute("PRAGMA quick_check(1)").fetchone()[0])

    def copy_to(self, path: Path) -> None:
        """Copy the file as it is at this instant to *path*. A dry run works on the copy."""
        with explaining(self.path):
            copy = sqlite3.connect(path)
            try:
                self._connection.backup(copy)
            finally:
                copy.close()

    status = _asked(status)
    organization = _asked(organization)
    write_key_fingerprint = _asked(write_key_fingerprint)
    watermark = _asked(watermark)
    last_poll = _asked(last_poll)
    last_success = _asked(last_success)
    requests_since = _asked(requests_since)
    watched_since = _asked(watched_since)
    event_counts = _asked(event_counts)
    event_counts_between = _asked(event_counts_between)
    conversation_counts = _asked(conversation_counts)
    oldest_pending = _asked(oldest_pending)
    counts_since = _asked(counts_since)
    attention = _asked(attention)
    attention_counts = _asked(attention_counts)
    ids_needing_attention = _asked(ids_needing_attention)
    delivered_by_day = _asked(delivered_by_day)
    needs_attention = _asked(needs_attention)
    quarantined = _asked(quarantined)
    audited_days = _asked(audited_days)
    proved_until = _asked(proved_until)
    events = _asked(events)
    events_after = _asked(events_after)
    customers_with_email = _asked(customers_with_email)
    last_event = _asked(last_event)
    events_by_conversation = _asked(events_by_conversation)
    covered = _asked(covered)
    conversation = _asked(conversation)
    changes_of = _asked(changes_of)


def read_status(
    path: Path, now: datetime, schema: Schema = CURRENT, *, attention_limit: int | None = 10
) -> Row:
    """
    Return where the sync stands (`state.queries.status`), and whether a process runs cycles (`daemon`).

    A missing file has an empty status.

    Args:
        path: The state file.
        now: The instant from which ages count.
        schema: The schema that this release knows.
        attention_limit: How many groups of things that need a person to return at most. None returns all.

    Raises:
        StateFileError: The file is not ours, or damaged.
        NewerSchemaError: A newer release wrote it.
    """
    if not is_there(path):
        return empty_status()
    with RoleWatch(path) as watch, Reader(path, schema) as reader:
        return reader.status(now, attention_limit) | daemon_status(watch.holder())


def daemon_status(holder: Holder) -> Row:
    """Return the key `daemon` of `status --json`: whether a process runs cycles now, and its id."""
    return {"daemon": {"running": holder.is_there, "pid": holder.process_id}}
