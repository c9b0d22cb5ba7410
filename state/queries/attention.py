"""Finds what needs a person."""

import sqlite3

from state.queries.rows import Row, rows, value


def needs_attention(connection: sqlite3.Connection, limit: int = 10) -> list[Row]:
    """
    Return what needs a person: rows of the view of that name, at most *limit*.

    These are rejected events, lines that could not be read, and gaps, each with the command that mends it.
    """
    return rows(connection, "SELECT * FROM needs_attention LIMIT ?", (limit,))


def quarantined(connection: sqlite3.Connection) -> int:
    """Return how many lines and gaps of the quarantine no person has dismissed."""
    count: int = value(connection, "SELECT count(*) FROM needs_attention WHERE what <> 'rejected event'")
    return count
