"""Lists events for the command `events`, with their payload as an object."""

import json
import sqlite3

from state.queries.rows import Row, rows, value

_COLUMNS = (
    "message_id, conversation_id, customer_id, event, occurred_at, status, reason, payload, attempts,"
    " created_at, delivered_at, transition, waits_for, next_attempt_at"
)


def events(
    connection: sqlite3.Connection,
    *,
    status: str | None = None,
    conversation: str | None = None,
    limit: int = 20,
) -> list[Row]:
    """
    Return the latest events, by the time Gladly recorded them, newest first.

    Args:
        connection: The state file.
        status: Only events of this status.
        conversation: Only events of the conversation with this id.
        limit: How many to return at most.
    """
    wheres = [("status = ?", status), ("conversation_id = ?", conversation)]
    asked = [(clause, wanted) for clause, wanted in wheres if wanted is not None]
    where = "WHERE " + " AND ".join(clause for clause, _ in asked) if asked else ""
    # S608: the clauses are the constants above, the values are parameters.
    sql = f"SELECT {_COLUMNS} FROM events {where} ORDER BY occurred_at DESC, rowid DESC LIMIT ?"  # noqa: S608
    found = rows(connection, sql, [*(wanted for _, wanted in asked), limit])
    return [_with_payload(row) for row in found]


def last_event(connection: sqlite3.Connection) -> int:
    """Return the place of the newest event in the order of arrival. Return 0 while there is none."""
    place: int = value(connection, "SELECT coalesce(max(rowid), 0) FROM events")
    return place


def events_after(
    connection: sqlite3.Connection, last: int, *, status: str | None = None, conversation: str | None = None
) -> list[tuple[int, Row]]:
    """
    Return events that arrived after a place, in the order of arrival, each with its own place.

    Args:
        connection: The state file.
        last: The place, as `last_event` or an earlier answer gave it.
        status: Only events of this status.
        conversation: Only events of the conversation with this id.
    """
    found = rows(
        connection,
        f"SELECT rowid AS place, {_COLUMNS} FROM events WHERE rowid > :last"  # noqa: S608 (constants)
        " AND (:status IS NULL OR status = :status)"
        " AND (:conversation IS NULL OR conversation_id = :conversation) ORDER BY rowid",
        {"last": last, "status": status, "conversation": conversation},
    )
    return [(row.pop("place"), _with_payload(row)) for row in found]


def _with_payload(row: Row) -> Row:
    return row if row["payload"] is None else {**row, "payload": json.loads(row["payload"])}
