"""Reads what the audit found of past days (semantics 6.2)."""

import sqlite3
from datetime import date, timedelta

from state.queries.rows import Row, rows, value


def audited_days(connection: sqlite3.Connection, limit: int = 30) -> list[Row]:
    """
    Return the latest past days that were audited, newest first, at most *limit*: rows of `audits`.

    `outcome` is `complete`, `mended` or `unproved`. The figures are null where they are not known.
    """
    if not _has_audits(connection):
        return []
    return rows(connection, "SELECT * FROM audits ORDER BY day DESC LIMIT ?", (limit,))


def proved_until(connection: sqlite3.Connection) -> str | None:
    """
    Return the last day up to which the sync is proved complete, as `2026-11-20`. Return None before any.

    This is the end of the unbroken run of proved days from the first that was audited. A day that was mended
    counts, and so does one that could not be proved and that a person has dismissed.
    """
    if not _has_audits(connection):
        return None
    # The first day that is not proved, or that has no row although the day before has one, ends the run.
    day: str | None = value(
        connection,
        "WITH good AS (SELECT day FROM audits WHERE outcome <> 'unproved' OR dismissed_at IS NOT NULL)"
        " SELECT min(day) FROM good WHERE date(day, '+1 day') NOT IN (SELECT day FROM good)"
        " AND (SELECT min(day) FROM audits) IN (SELECT day FROM good)",
    )
    return day


def proved_instant(day: str | None) -> str | None:
    """Return the end of a day as text, for metrics and ages. Return None for no day."""
    if day is None:
        return None
    return f"{date.fromisoformat(day) + timedelta(days=1)}T00:00:00.000Z"


def missing_and_mended(connection: sqlite3.Connection) -> Row:
    """Return the figures of all audits: `missing` events found, days `mended`, and days `unproved`."""
    if not _has_audits(connection):
        return {"missing": 0, "mended": 0, "unproved": 0}
    return rows(
        connection,
        "SELECT coalesce(sum(missing), 0) AS missing, coalesce(sum(outcome = 'mended'), 0) AS mended,"
        " coalesce(sum(outcome = 'unproved' AND dismissed_at IS NULL), 0) AS unproved FROM audits",
    )[0]


def _has_audits(connection: sqlite3.Connection) -> bool:
    """A file of an older schema has no such table."""
    return bool(value(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'audits'"))
