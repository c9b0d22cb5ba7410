"""Reads one conversation: its row, changes, events and customer. Lists and searches conversations."""

import json
import sqlite3
from collections.abc import Sequence

from state.queries.event_list import end_of_ids, places_by_person
from state.queries.rows import Row, first_row, rows, value
from state.records import Status

# How many conversations one page of the list holds.
PAGE = 50

# A search finds so many conversations for each kind of id at most.
_MATCHES = 1_000

# The customer's name as the conversation's newest event that still has its payload gives it.
_NAME = (
    "SELECT json_extract(payload, '$.properties.customerName') FROM events"
    " WHERE conversation_id = {} AND json_valid(payload) ORDER BY occurred_at DESC LIMIT 1"
)

_LISTED = (
    "c.rowid AS place, c.id, c.customer_id, c.status, c.created_at, c.closed_at, c.updated_at,"
    f" ({_NAME.format('c.id')}) AS customer_name"
)

# `+` keeps SQLite from reading an index in the wanted order: it would pass every row that does not match.
_SEARCH = f"""
    SELECT {_LISTED} FROM conversations AS c
    WHERE c.rowid IN (
        SELECT rowid FROM (SELECT rowid FROM conversations WHERE id >= :q AND id < :q_end LIMIT {_MATCHES})
        UNION SELECT rowid FROM (
            SELECT rowid FROM conversations WHERE customer_id >= :q AND customer_id < :q_end LIMIT {_MATCHES})
        UNION SELECT conversations.rowid FROM json_each(:people) AS person
            CROSS JOIN events ON events.rowid = person.value
            CROSS JOIN conversations ON conversations.id = events.conversation_id
    )
    AND +c.status IN (SELECT value FROM json_each(:statuses))
    AND (:before_at IS NULL OR (+c.updated_at, +c.rowid) < (:before_at, :before_place))
    ORDER BY +c.updated_at DESC, +c.rowid DESC LIMIT :limit
"""  # noqa: S608  # constants joined; the values are parameters

# The index has the status first. So the newest of each status are found, and the newest of them all.
_OF_A_STATUS = """
    SELECT * FROM (
        SELECT rowid AS place, updated_at FROM conversations
        WHERE status = '{}' AND (:before_at IS NULL OR (updated_at, rowid) < (:before_at, :before_place))
        ORDER BY updated_at DESC, rowid DESC LIMIT :limit)
"""


def conversation(connection: sqlite3.Connection, id_: str) -> Row | None:
    """Return a row of `conversations`. Return None where nothing is stored of that conversation."""
    return first_row(connection, "SELECT * FROM conversations WHERE id = ?", (id_,))


def changes_of(connection: sqlite3.Connection, conversation_id: str, limit: int = 10_000) -> list[Row]:
    """
    Return the changes of a conversation, in the order Gladly recorded them: what was decided, and why.

    Args:
        connection: The state file.
        conversation_id: The conversation.
        limit: How many to return at most, the oldest.
    """
    return rows(
        connection,
        "SELECT recorded_at, type, status_before, status_after, transition, why, change_id, seen_at"
        " FROM changes WHERE conversation_id = ? ORDER BY recorded_at, id LIMIT ?",
        (conversation_id, limit),
    )


def events_of(connection: sqlite3.Connection, conversation_id: str, limit: int = 500) -> list[Row]:
    """Return the events of a conversation with all their columns, oldest first, at most *limit*."""
    return rows(
        connection,
        "SELECT rowid AS place, * FROM events WHERE conversation_id = ? ORDER BY occurred_at, rowid LIMIT ?",
        (conversation_id, limit),
    )


def customer(connection: sqlite3.Connection, customer_id: str) -> Row | None:
    """Return the row of a customer who was merged into another or deleted. Return None for everyone else."""
    return first_row(connection, "SELECT * FROM customers WHERE id = ?", (customer_id,))


def other_conversations_of(
    connection: sqlite3.Connection, customer_id: str, conversation_id: str
) -> list[Row]:
    """Return at most 20 conversations of a customer, without the conversation that is given."""
    return rows(
        connection,
        "SELECT id, status, created_at, updated_at FROM conversations"
        " WHERE customer_id = ? AND id <> ? LIMIT 20",
        (customer_id, conversation_id),
    )


def customer_name_of(connection: sqlite3.Connection, conversation_id: str) -> str | None:
    """Return the customer's name as the newest event with a payload gives it. Return None for no name."""
    name: str | None = value(connection, _NAME.format("?"), (conversation_id,))
    return name


def listed_conversations(
    connection: sqlite3.Connection,
    *,
    statuses: Sequence[str] = (),
    q: str | None = None,
    before: tuple[str, int] | None = None,
    limit: int = PAGE,
) -> list[Row]:
    """
    Return conversations with their customer's name, by their last change, newest first.

    Args:
        connection: The state file.
        statuses: Only conversations of these statuses, as `Status` spells them. Empty for all.
        q: Only conversations whose id or customer's id is this text, or begins with it, or with an event
            that `places_by_person` finds.
        before: Only conversations whose last change is older than this one's (`updated_at`, place).
        limit: How many to return at most.
    """
    wanted = [status.value for status in Status if not statuses or status.value in statuses]
    at, place = before or (None, None)
    parameters: dict[str, object] = {"before_at": at, "before_place": place, "limit": limit}
    if q:
        people = json.dumps(places_by_person(connection, q))
        searched = {"q": q, "q_end": end_of_ids(q), "people": people, "statuses": json.dumps(wanted)}
        return rows(connection, _SEARCH, parameters | searched)
    newest = " UNION ALL ".join(_OF_A_STATUS.format(status) for status in wanted)
    return rows(
        connection,
        # S608: constants joined; the values are parameters.
        f"SELECT {_LISTED} FROM ({newest} ORDER BY 2 DESC, 1 DESC LIMIT :limit) AS newest"  # noqa: S608
        " CROSS JOIN conversations AS c ON c.rowid = newest.place"
        " ORDER BY newest.updated_at DESC, newest.place DESC",
        parameters,
    )
