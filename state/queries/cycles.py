"""Reads the watermark, the cycles, and the requests that the cycles made."""

import sqlite3

from state.queries.rows import Row, first_row, rows, value

# There is at most one cycle a second, so this many rows hold the last hour.
_CYCLES_OF_AN_HOUR = 3_600


def watermark(connection: sqlite3.Connection) -> Row | None:
    """
    Return the row of `watermark`: `position` and `updated_at`, as text. Return None before the first poll.

    Every change recorded before `position` has been taken in.
    """
    return first_row(connection, "SELECT position, updated_at FROM watermark")


def last_poll(connection: sqlite3.Connection) -> Row | None:
    """Return the newest cycle: a row of `polls`. Return None before the first."""
    return first_row(connection, "SELECT * FROM polls ORDER BY id DESC LIMIT 1")


def last_success(connection: sqlite3.Connection) -> str | None:
    """Return when a cycle last ended `ok` or `degraded`. Return None when none ever did."""
    finished_at: str | None = value(
        connection, "SELECT finished_at FROM polls WHERE outcome <> 'failed' ORDER BY id DESC LIMIT 1"
    )
    return finished_at


def watched_since(connection: sqlite3.Connection) -> str | None:
    """
    Return where the first poll began that is still kept. Return None before the first poll.

    Cycles are kept for `state.retention`.
    """
    began: str | None = value(connection, "SELECT min(window_start) FROM polls")
    return began


def latest_polls(connection: sqlite3.Connection, limit: int = 40) -> list[Row]:
    """Return the latest cycles, newest first, at most *limit*."""
    return rows(connection, "SELECT * FROM polls ORDER BY id DESC LIMIT ?", (limit,))


def requests_since(connection: sqlite3.Connection, since: str) -> int:
    """
    Return how many requests to Gladly were made by the cycles that began at or after *since*.

    Args:
        connection: The state file.
        since: An instant as text, at most an hour ago. Cycles before the last hour are not counted.
    """
    # The newest rows are enough, so that no index has to be kept for this.
    count: int = value(
        connection,
        "SELECT coalesce(sum(requests), 0) FROM polls"
        " WHERE id > (SELECT coalesce(max(id), 0) FROM polls) - ? AND started_at >= ?",
        (_CYCLES_OF_AN_HOUR, since),
    )
    return count
