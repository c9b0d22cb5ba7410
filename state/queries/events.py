"""Lists events for the command `events`, with their payload as an object."""

import json
import sqlite3

from state.queries.rows import Row, has_column, rows, value

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
    sql = f"SELECT {_columns(connection)} FROM events {where} ORDER BY occurred_at DESC, rowid DESC LIMIT ?"  # noqa: S608
    found = rows(connection, sql, [*(wanted for _, wanted in asked), limit])
    return [_with_payload(row) for row in found]


def _columns(connection: sqlite3.Connection) -> str:
    """Return the columns that are shown. In a file of an older schema, every event is a track event."""
    return _COLUMNS + (", type" if has_column(connection, "events", "type") else ", 'track' AS type")


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
        f"SELECT rowid AS place, {_columns(connection)} FROM events WHERE rowid > :last"  # noqa: S608 (constants)
        " AND (:status IS NULL OR status = :status)"
        " AND (:conversation IS NULL OR conversation_id = :conversation) ORDER BY rowid",
        {"last": last, "status": status, "conversation": conversation},
    )
    return [(row.pop("place"), _with_payload(row)) for row in found]


def _with_payload(row: Row) -> Row:
    return row if row["payload"] is None else {**row, "payload": json.loads(row["payload"])}


def events_by_conversation(
    connection: sqlite3.Connection, after: str, page: int
) -> list[tuple[str, str, str, str | None, str, str | None, str | bytes | None]]:
    """
    Return the track events of the next conversations, in the order of their ids and then of time.

    Every conversation in the answer has all of its events. An empty answer is the end.

    Args:
        connection: The state file.
        after: The id of the last conversation of the answer before; empty at the beginning.
        page: About how many events to return.

    Returns:
        Tuples of conversation id, name, `occurred_at`, `delivered_at`, status, reason and payload.
    """
    columns = "conversation_id, event, occurred_at, delivered_at, status, reason, payload"
    tracks = "type = 'track'" if has_column(connection, "events", "type") else "true"
    found = connection.execute(
        f"SELECT {columns} FROM events WHERE conversation_id > ? AND {tracks}"  # noqa: S608 (constants)
        " ORDER BY conversation_id, occurred_at LIMIT ?",
        (after, page),
    ).fetchall()
    if len(found) < page:
        return found
    whole = [row for row in found if row[0] != found[-1][0]]
    if whole:
        return whole
    return connection.execute(
        f"SELECT {columns} FROM events WHERE conversation_id = ? AND {tracks}"  # noqa: S608 (constants)
        " ORDER BY occurred_at",
        (found[-1][0],),
    ).fetchall()


def covered(connection: sqlite3.Connection) -> tuple[str | None, str | None]:
    """Return the instants from which and up to which the file has every event. None where it has none."""
    begin = value(connection, "SELECT min(occurred_at) FROM events")
    # A file of an older schema does not say when it began. What a resync has read before that is a part only.
    if has_column(connection, "organization", "began_at"):
        begin = value(connection, "SELECT min(began_at) FROM organization") or begin
    # A change is visible 15 s after it was recorded at the latest, and the watermark lies further back. So up
    # to the newest event next to nothing is missing.
    newest = value(connection, "SELECT max(occurred_at) FROM events")
    position = value(connection, "SELECT position FROM watermark WHERE feed = 'conversations'")
    return begin, max(filter(None, (newest, position)), default=None)
