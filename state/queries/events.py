"""Lists events for the command `events`, with their payload as an object."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from state.instants import to_text
from state.queries.rows import Row, has_column, rows, value

_COLUMNS = (
    "message_id, conversation_id, customer_id, event, occurred_at, status, reason, payload, attempts,"
    " created_at, delivered_at, transition, waits_for, next_attempt_at"
)


# A customer, everyone who was merged into this customer, and the events of either. A plus keeps SQLite from
# reading an index in the wanted order: it would pass every event of others.
_OF_CUSTOMERS = """
    rowid IN (
        WITH RECURSIVE everyone (id) AS (
            SELECT value FROM json_each(:customers)
            UNION SELECT customers.id FROM customers JOIN everyone ON customers.merged_into = everyone.id)
        SELECT rowid FROM events WHERE customer_id IN everyone
        UNION SELECT events.rowid FROM conversations CROSS JOIN events
            ON events.conversation_id = conversations.id
            WHERE conversations.customer_id IN everyone)
"""


class Filter(NamedTuple):
    """
    Which events are asked for. A part that is None asks for all.

    Attributes:
        status: Only events with this status.
        conversation: Only events of the conversation with this id.
        customers: Only events of the customers with these ids, and of everyone merged into them.
        since: Only events that Gladly recorded at this instant or later.
    """

    status: str | None = None
    conversation: str | None = None
    customers: Sequence[str] | None = None
    since: datetime | None = None

    def where(self) -> tuple[str, dict[str, object]]:
        """Return the conditions of a query, joined, and their parameters."""
        parts = {
            "status = :status": self.status,
            "conversation_id = :conversation": self.conversation,
            _OF_CUSTOMERS: None if self.customers is None else json.dumps(list(self.customers)),
            "occurred_at >= :since": None if self.since is None else to_text(self.since),
        }
        names = ("status", "conversation", "customers", "since")
        wanted: dict[str, object] = {
            name: value for name, value in zip(names, parts.values(), strict=True) if value is not None
        }
        return " AND ".join(part for part, value in parts.items() if value is not None) or "true", wanted


def events(
    connection: sqlite3.Connection,
    *,
    status: str | None = None,
    conversation: str | None = None,
    customers: Sequence[str] | None = None,
    since: datetime | None = None,
    limit: int = 20,
) -> list[Row]:
    """
    Return the latest events, by the time Gladly recorded them, newest first.

    Args:
        connection: The state file.
        status: As in `Filter`.
        conversation: As in `Filter`.
        customers: As in `Filter`.
        since: As in `Filter`.
        limit: How many to return at most.
    """
    where, wanted = Filter(status, conversation, customers, since).where()
    order = "occurred_at DESC, rowid DESC" if customers is None else "+occurred_at DESC, +rowid DESC"
    # S608: the conditions are constants of this module, the values are parameters.
    sql = f"SELECT {_columns(connection)} FROM events WHERE {where} ORDER BY {order} LIMIT :limit"  # noqa: S608
    return [_with_payload(row) for row in rows(connection, sql, {**wanted, "limit": limit})]


def customers_with_email(connection: sqlite3.Connection, address: str) -> list[str]:
    """
    Return the ids of the customers whose stored payloads have this e-mail address, plain or as its SHA-256.

    This reads every payload that is kept. A million of them take seconds.
    """
    import hashlib  # its import costs 2 ms, and only this question needs it

    plain = address.strip().lower()
    digest = hashlib.sha256(plain.encode()).hexdigest()
    found = connection.execute(
        "SELECT DISTINCT customer_id FROM events WHERE CASE WHEN json_valid(payload) THEN"
        " lower(json_extract(payload, '$.properties.email')) IN (:plain, :digest)"
        " OR json_extract(payload, '$.properties.emailSha256') = :digest END ORDER BY customer_id",
        {"plain": plain, "digest": digest},
    )
    return [row[0] for row in found]


def _columns(connection: sqlite3.Connection) -> str:
    """Return the columns that are shown. In a file of an older schema, every event is a track event."""
    return _COLUMNS + (", type" if has_column(connection, "events", "type") else ", 'track' AS type")


def last_event(connection: sqlite3.Connection) -> int:
    """Return the place of the newest event in the order of arrival. Return 0 while there is none."""
    place: int = value(connection, "SELECT coalesce(max(rowid), 0) FROM events")
    return place


def events_after(
    connection: sqlite3.Connection,
    last: int,
    *,
    status: str | None = None,
    conversation: str | None = None,
    customers: Sequence[str] | None = None,
    since: datetime | None = None,
) -> list[tuple[int, Row]]:
    """
    Return events that arrived after a place, in the order of arrival, each with its own place.

    Args:
        connection: The state file.
        last: The place, as `last_event` or an earlier answer gave it.
        status: As in `Filter`.
        conversation: As in `Filter`.
        customers: As in `Filter`.
        since: As in `Filter`.
    """
    where, wanted = Filter(status, conversation, customers, since).where()
    found = rows(
        connection,
        f"SELECT rowid AS place, {_columns(connection)} FROM events"  # noqa: S608 (constants)
        f" WHERE rowid > :last AND {where} ORDER BY rowid",
        {**wanted, "last": last},
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
