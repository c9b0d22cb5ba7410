"""Counts events and conversations, also by day of delivery, and finds how long the outbox has waited."""

import sqlite3

from state.queries.rows import Row, first_row, rows, value
from state.records import EventStatus, Status

EVENT_STATUSES = tuple(status.value for status in EventStatus)
CONVERSATION_STATUSES = tuple(status.value.lower() for status in Status)

# A backlog may be a million events, so only the first to leave are looked at. The event that has waited
# longest is among these, or came at the same time as one of them.
_OLDEST_AMONG = 1_000


def event_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return how many events there are of each status. Every status is named. The file keeps these counts."""
    return dict.fromkeys(EVENT_STATUSES, 0) | _kept_counts(connection, "events")


def conversation_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """
    Return how many conversations there are of each status, in lower case. The file keeps these counts.

    `open` are the conversations that Gladly shows as OPEN or WAITING; `waiting` says how many of them wait
    for the customer. So `waiting` is part of `open`, and the other counts do not overlap.
    """
    kept = {status.lower(): n for status, n in _kept_counts(connection, "conversations").items()}
    counts = dict.fromkeys(CONVERSATION_STATUSES, 0) | kept
    counts["open"] += counts["waiting"]
    return counts


def conversation_total(counts: dict[str, int]) -> int:
    """Return how many conversations there are, given `conversation_counts`."""
    return sum(counts.values()) - counts["waiting"]


def oldest_pending(connection: sqlite3.Connection) -> str | None:
    """
    Return when the event that has waited longest came into the outbox. Return None while the outbox is empty.

    This is when the event was put into the outbox (`events.created_at`), not when Gladly recorded the
    change: a resync puts old changes into the outbox, and their events are not late.
    """
    oldest: str | None = value(
        connection,
        "SELECT min(created_at) FROM (SELECT * FROM (SELECT created_at FROM events WHERE status = 'pending'"
        " ORDER BY occurred_at LIMIT ?) UNION ALL SELECT * FROM (SELECT created_at FROM events AS e"
        " WHERE status = 'recorded' AND next_attempt_at IS NULL AND NOT EXISTS (SELECT 1 FROM events AS held"
        " WHERE held.conversation_id = e.conversation_id AND held.next_attempt_at IS NOT NULL)"
        " ORDER BY occurred_at LIMIT ?))",
        (_OLDEST_AMONG, _OLDEST_AMONG),
    )
    return oldest


def counts_since(connection: sqlite3.Connection, since: str) -> dict[str, int]:
    """
    Return how many events a reset of the watermark concerns.

    Args:
        connection: The state file.
        since: The instant of the reset, as text.

    Returns: `events` recorded at or after it, and how many of these are `replayable`: delivered, and with
    their payload kept.
    """
    found: Row | None = first_row(
        connection,
        "SELECT count(*) AS events,"
        " coalesce(sum(status = 'delivered' AND payload IS NOT NULL), 0) AS replayable"
        " FROM events WHERE occurred_at >= ?",
        (since,),
    )
    assert found is not None
    return found


def event_counts_between(connection: sqlite3.Connection, since: str, until: str) -> dict[str, int]:
    """
    Return how many events there are of each status for the transitions of an interval.

    Args:
        connection: The state file.
        since, until: The interval, as text, both inclusive.
    """
    found = rows(
        connection,
        "SELECT status, count(*) AS n FROM events WHERE occurred_at BETWEEN ? AND ? GROUP BY +status",
        (since, until),
    )
    return dict.fromkeys(EVENT_STATUSES, 0) | {row["status"]: row["n"] for row in found}


def delivered_by_day(connection: sqlite3.Connection, since: str, until: str) -> dict[str, dict[str, int]]:
    """
    Return how many events were delivered on each day of UTC: by event name, and by the day as `2026-11-20`.

    Erasing a payload and deleting a customer leave these counts as they are.

    Args:
        connection: The state file.
        since: The start, as text, inclusive.
        until: The end, as text, exclusive.
    """
    found: dict[str, dict[str, int]] = {}
    # The plus keeps SQLite from reading every delivered event by its status.
    for row in rows(
        connection,
        "SELECT event, substr(delivered_at, 1, 10) AS day, count(*) AS n FROM events"
        " WHERE +status = 'delivered' AND delivered_at >= ? AND delivered_at < ? GROUP BY event, day",
        (since, until),
    ):
        found.setdefault(row["event"], {})[row["day"]] = row["n"]
    return found


def _kept_counts(connection: sqlite3.Connection, table: str) -> dict[str, int]:
    found = rows(connection, "SELECT status, n FROM counts WHERE counted = ?", (table,))
    return {row["status"]: row["n"] for row in found}
