"""Reads the figures of the charts: over time by bucket, and open conversations by age."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from state.instants import from_text, to_text
from state.queries.rows import Row, has_column, rows, value

# A chart is drawn from at most so many rows, the newest. The page says so.
CHARTED_EVENTS = 100_000
CHARTED_DELIVERIES = 20_000
CHARTED_CONVERSATIONS = 200_000


def first_event(connection: sqlite3.Connection) -> datetime | None:
    """Return when Gladly recorded the change of the earliest event. Return None while there is no event."""
    at = value(connection, "SELECT min(occurred_at) FROM events")
    return from_text(at) if at else None


def transitions(connection: sqlite3.Connection, since: datetime, step_s: int) -> list[Row]:
    """
    Return how many of each transition were recorded since *since*: rows with `bucket`, `transition` and `n`.

    Args:
        connection: The state file.
        since: Only events recorded at or after this instant.
        step_s: The length of a bucket, in seconds. Bucket number n begins `n * step_s` after 1970-01-01.
    """
    tracks = "type = 'track'" if has_column(connection, "events", "type") else "true"
    return rows(
        connection,
        "SELECT cast(strftime('%s', occurred_at) AS integer) / :step AS bucket, transition,"  # noqa: S608 (constants)
        " count(*) AS n FROM (SELECT occurred_at, transition FROM events WHERE occurred_at >= :since"
        f" AND {tracks} ORDER BY occurred_at DESC LIMIT :cap) GROUP BY bucket, transition",
        {"step": step_s, "since": to_text(since), "cap": CHARTED_EVENTS},
    )


def delivery_lags(connection: sqlite3.Connection, since: datetime, step_s: int) -> dict[int, list[float]]:
    """
    Return, for each bucket, how many seconds passed from Gladly's record to each delivery, sorted.

    Args:
        connection: The state file.
        since: Only events recorded since this instant.
        step_s: The length of a bucket, in seconds, as with `transitions`.
    """
    found = rows(
        connection,
        "SELECT cast(strftime('%s', occurred_at) AS integer) / :step AS bucket,"
        " (julianday(delivered_at) - julianday(occurred_at)) * 86400 AS seconds"
        " FROM events WHERE status = 'delivered' AND occurred_at >= :since"
        " ORDER BY occurred_at DESC LIMIT :cap",
        {"step": step_s, "since": to_text(since), "cap": CHARTED_DELIVERIES},
    )
    lags: dict[int, list[float]] = {}
    for row in found:
        if row["seconds"] is not None:
            lags.setdefault(row["bucket"], []).append(max(0.0, row["seconds"]))
    return {bucket: sorted(of_bucket) for bucket, of_bucket in lags.items()}


def open_by_age(connection: sqlite3.Connection, now: datetime, limits_s: Sequence[float]) -> list[int]:
    """
    Return how many open conversations there are of each age: those below each limit, then the rest.

    Args:
        connection: The state file.
        now: The instant from which an age counts.
        limits_s: The limits in seconds, ascending. A conversation counts under the first that it is below.
    """
    cases = " ".join(
        f"WHEN since > '{to_text(now - timedelta(seconds=limit))}' THEN {number}"
        for number, limit in enumerate(limits_s)
    )
    found = rows(
        connection,
        f"SELECT CASE {cases} ELSE {len(limits_s)} END AS age, count(*) AS n FROM"  # noqa: S608 (no outside text)
        " (SELECT coalesce(created_at, updated_at) AS since FROM conversations"
        " WHERE status IN ('OPEN', 'WAITING') LIMIT ?) GROUP BY age",
        (CHARTED_CONVERSATIONS,),
    )
    counts = {row["age"]: int(row["n"]) for row in found}
    return [counts.get(number, 0) for number in range(len(limits_s) + 1)]
