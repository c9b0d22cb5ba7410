"""Reads one conversation: its row, its changes, its events, its customer."""

import sqlite3

from state.queries.rows import Row, first_row, rows


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


def latest_conversations(connection: sqlite3.Connection) -> list[Row]:
    """Return the conversations of the newest 60 events, the newest first, at most 20."""
    return rows(
        connection,
        "SELECT c.id, c.customer_id, c.status, c.created_at, c.updated_at, count(*) AS events FROM"
        " (SELECT conversation_id, occurred_at FROM events ORDER BY occurred_at DESC LIMIT 60) AS e"
        " JOIN conversations AS c ON c.id = e.conversation_id GROUP BY c.id"
        " ORDER BY max(e.occurred_at) DESC LIMIT 20",
    )
