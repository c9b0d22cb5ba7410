"""
Questions about the state file, answered without a lock while the daemon runs and while it is stopped.

Plain `sqlite3`, opened read-only: a reader never writes, checkpoints or waits for the writer.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from state.file import connect, explaining
from state.schema.version import COUNTS_SINCE, SCHEMA_VERSION

_EVENT_COLUMNS = (
    "message_id, conversation_id, customer_id, event, occurred_at, status, reason, payload, attempts,"
    " created_at, delivered_at, transition"
)


class Reader:
    """
    The state file, open for reading.

    Raises:
        StateFileError: There is no file, or it is not ours or damaged.
        NewerSchemaError: A newer release wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = connect(path, read_only=True)
        self._connection.row_factory = sqlite3.Row
        # A file whose creation was cut short has no tables yet: everything is empty.
        self._version = self._value("PRAGMA user_version")
        self._is_empty = self._version < SCHEMA_VERSION and not self._value(
            "SELECT count(*) FROM sqlite_master WHERE name = 'watermark'"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def _rows(
        self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[dict[str, Any]]:
        if getattr(self, "_is_empty", False):
            return []
        with explaining(self.path):
            return [dict(row) for row in self._connection.execute(sql, parameters)]

    def _value(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        with explaining(self.path):
            row = self._connection.execute(sql, parameters).fetchone()
        return row[0] if row else None

    def copy_to(self, path: Path) -> None:
        """Copy the file as it stands at this instant: what a dry run works on."""
        with explaining(self.path):
            copy = sqlite3.connect(path)
            try:
                self._connection.backup(copy)
            finally:
                copy.close()

    def quick_check(self) -> str:
        """SQLite's own verdict on the file's pages: `ok`, or what is wrong (PRAGMA quick_check)."""
        return str(self._value("PRAGMA quick_check(1)"))

    def watermark(self) -> dict[str, Any] | None:
        """The one row of `watermark`: `position` and `updated_at`, as text."""
        rows = self._rows("SELECT position, updated_at FROM watermark")
        return rows[0] if rows else None

    def last_poll(self, *, outcome: str | None = None) -> dict[str, Any] | None:
        """The newest row of `polls`, of all or of those that ended so."""
        where, parameters = ("WHERE outcome = ?", [outcome]) if outcome else ("", [])
        # S608: both clauses are constants of this function.
        rows = self._rows(f"SELECT * FROM polls {where} ORDER BY id DESC LIMIT 1", parameters)  # noqa: S608
        return rows[0] if rows else None

    def last_success(self) -> str | None:
        """When a cycle last ended `ok` or `degraded`."""
        rows = self._rows("SELECT finished_at FROM polls WHERE outcome <> 'failed' ORDER BY id DESC LIMIT 1")
        return rows[0]["finished_at"] if rows else None

    def event_counts(self) -> dict[str, int]:
        """Events by status, every status named."""
        counts = dict.fromkeys(("pending", "delivered", "rejected", "suppressed"), 0)
        return counts | self._counts("events")

    def conversation_counts(self) -> dict[str, int]:
        """Conversations by status in lower case; `waiting` ones are open too and counted in both."""
        counts = dict.fromkeys(("open", "waiting", "closed", "merged", "deleted"), 0)
        counts |= {status.lower(): n for status, n in self._counts("conversations").items()}
        counts["open"] += counts["waiting"]
        return counts

    def _counts(self, table: str) -> dict[str, int]:
        if self._version >= COUNTS_SINCE:
            rows = self._rows("SELECT status, n FROM counts WHERE counted = ?", (table,))
        else:
            rows = self._rows(f"SELECT status, count(*) AS n FROM {table} GROUP BY status")  # noqa: S608
        return {row["status"]: row["n"] for row in rows}

    def oldest_pending(self) -> str | None:
        """When the event that has waited longest was put into the outbox, of those that leave next."""
        rows = self._rows(
            # A backlog may be a million: the first thousand tell.
            "SELECT min(created_at) AS at FROM (SELECT created_at FROM events WHERE status = 'pending'"
            " ORDER BY occurred_at LIMIT 1000)"
        )
        return rows[0]["at"] if rows else None

    def requests_since(self, since: str) -> int:
        """How many requests to Gladly the cycles begun since that instant made."""
        rows = self._rows(
            # At most a cycle a second: the newest rows are enough, and no index has to be kept for this.
            "SELECT coalesce(sum(requests), 0) AS n FROM polls"
            " WHERE id > (SELECT coalesce(max(id), 0) FROM polls) - 3600 AND started_at >= ?",
            (since,),
        )
        return rows[0]["n"] if rows else 0

    def quarantined(self) -> int:
        """How many lines and gaps of the quarantine wait for a person."""
        rows = self._rows("SELECT count(*) AS n FROM needs_attention WHERE what <> 'rejected event'")
        return rows[0]["n"] if rows else 0

    def needs_attention(self, limit: int = 10) -> list[dict[str, Any]]:
        """What needs a person: rows of the view of that name."""
        return self._rows("SELECT * FROM needs_attention LIMIT ?", (limit,))

    def counts_since(self, since: str) -> dict[str, int]:
        """How many events a re-reading since that instant concerns: all, delivered, with payload kept."""
        rows = self._rows(
            "SELECT count(*) AS events, coalesce(sum(status = 'delivered'), 0) AS delivered,"
            " coalesce(sum(status = 'delivered' AND payload IS NOT NULL), 0) AS replayable"
            " FROM events WHERE occurred_at >= ?",
            (since,),
        )
        return rows[0] if rows else {"events": 0, "delivered": 0, "replayable": 0}

    def events(
        self, *, status: str | None = None, conversation: str | None = None, limit: int = 20
    ) -> list[dict[str, Any]]:
        """The latest events, newest first; `payload` as an object."""
        wheres = [("status = ?", status), ("conversation_id = ?", conversation)]
        asked = [(clause, value) for clause, value in wheres if value is not None]
        where = "WHERE " + " AND ".join(clause for clause, _ in asked) if asked else ""
        # S608: the clauses are the constants above, the values are parameters.
        sql = f"SELECT {_EVENT_COLUMNS} FROM events {where} ORDER BY occurred_at DESC, rowid DESC LIMIT ?"  # noqa: S608
        return [_with_payload(row) for row in self._rows(sql, [*(value for _, value in asked), limit])]

    def conversation(self, id_: str) -> dict[str, Any] | None:
        """A stored conversation."""
        rows = self._rows("SELECT * FROM conversations WHERE id = ?", (id_,))
        return rows[0] if rows else None

    def changes_of(self, conversation_id: str) -> list[dict[str, Any]]:
        """Every change known of a conversation, in recorded order, with what was decided and why."""
        return self._rows(
            "SELECT recorded_at, type, status_before, status_after, transition, why, change_id, seen_at"
            " FROM changes WHERE conversation_id = ? ORDER BY recorded_at, id",
            (conversation_id,),
        )

    def last_event(self) -> int:
        """The place of the newest event in the order of arrival, for `events_after`."""
        rows = self._rows("SELECT coalesce(max(rowid), 0) AS last FROM events")
        return rows[0]["last"] if rows else 0

    def events_after(
        self, last: int, *, status: str | None = None, conversation: str | None = None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Events that arrived after place *last*, oldest first, each with its own place."""
        for row in self._rows(
            f"SELECT rowid AS place, {_EVENT_COLUMNS} FROM events WHERE rowid > :last"  # noqa: S608 (constants)
            " AND (:status IS NULL OR status = :status)"
            " AND (:conversation IS NULL OR conversation_id = :conversation) ORDER BY rowid",
            {"last": last, "status": status, "conversation": conversation},
        ):
            yield row.pop("place"), _with_payload(row)


def _with_payload(row: dict[str, Any]) -> dict[str, Any]:
    if row["payload"] is not None:
        row["payload"] = json.loads(row["payload"])
    return row
