"""Stores the resyncs: past intervals that are read again, and how far each has come."""

from datetime import datetime
from typing import NamedTuple

from state.instants import from_text, to_text, utc_now
from state.records import Resync
from state.writer.connection import WriterConnection


class InterruptedResync(NamedTuple):
    """A resync that was interrupted, and when it began, by our own clock."""

    resync: Resync
    started_at: datetime


class Resyncs:
    """Notes when a resync begins and ends. `Store.commit` moves its position."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def begin(self, since: datetime, until: datetime) -> Resync:
        """Begin to read an interval again, or continue an interrupted resync of the same interval."""
        rows = self._connection.rows(
            "SELECT id, position FROM resyncs WHERE since = ? AND until = ? AND finished_at IS NULL"
            " ORDER BY id DESC LIMIT 1",
            (to_text(since), to_text(until)),
        )
        if rows:
            return Resync(rows[0][0], since, until, from_text(rows[0][1]))
        with self._connection.transaction() as db:
            id_ = db.execute(
                "INSERT INTO resyncs (since, until, position, started_at) VALUES (?, ?, ?, ?)",
                (to_text(since), to_text(until), to_text(since), to_text(utc_now())),
            ).lastrowid
        return Resync(id_ or 0, since, until, since)

    def unfinished(self) -> InterruptedResync | None:
        """Return the newest resync that was interrupted. Return None when there is none."""
        rows = self._connection.rows(
            "SELECT id, since, until, position, started_at FROM resyncs WHERE finished_at IS NULL"
            " ORDER BY id DESC LIMIT 1"
        )
        if not rows:
            return None
        id_, since, until, position, started_at = rows[0]
        return InterruptedResync(
            Resync(id_, *map(from_text, (since, until, position))), from_text(started_at)
        )

    def extend(self, id_: int, until: datetime) -> None:
        """Let an interrupted resync go on to another end."""
        with self._connection.transaction() as db:
            db.execute("UPDATE resyncs SET until = ? WHERE id = ?", (to_text(until), id_))

    def finish(self, id_: int) -> None:
        """Note that the whole interval has been read."""
        with self._connection.transaction() as db:
            db.execute("UPDATE resyncs SET finished_at = ? WHERE id = ?", (to_text(utc_now()), id_))
