"""Notes how often a cycle is expected, so that whoever reads the file knows when one is late."""

import sqlite3
from datetime import datetime, timedelta

from state.instants import from_text, to_text

# Whoever runs cycles. The one that wrote last is the one that counts.
_DAEMON = "daemon"
_ONCE = "once"

# The first two runs of `once` may lie so far apart at most. After that, an outage is more likely.
_LONGEST_FIRST = timedelta(days=1)


def expect_cycles(db: sqlite3.Connection, every: timedelta, now: datetime) -> None:
    """
    Note that the daemon runs a cycle at least every so often from now on.

    Args:
        db: A connection inside a transaction.
        every: How often.
        now: The present instant.
    """
    _write(db, _DAEMON, every.total_seconds(), now)


def observe_once(db: sqlite3.Connection, now: datetime) -> None:
    """
    Note that `once` has run a cycle, and learn how often it runs from the time since the run before.

    The interval changes by a factor of two at most with each run. So neither an outage nor a run by hand
    between two others becomes the interval.

    Args:
        db: A connection inside a transaction.
        now: The present instant.
    """
    row = db.execute("SELECT every_s, updated_at FROM schedules WHERE role = ?", (_ONCE,)).fetchone()
    if row is None:
        _write(db, _ONCE, 0.0, now)
        return
    every_s, before = row
    passed_s = max(0.0, (now - from_text(before)).total_seconds())
    if every_s <= 0:
        learned_s = min(passed_s, _LONGEST_FIRST.total_seconds())
    else:
        learned_s = min(max(passed_s, every_s / 2), every_s * 2)
    _write(db, _ONCE, learned_s, now)


def _write(db: sqlite3.Connection, role: str, every_s: float, now: datetime) -> None:
    db.execute(
        "INSERT INTO schedules (role, every_s, updated_at) VALUES (?, ?, ?) ON CONFLICT (role) DO UPDATE"
        " SET every_s = excluded.every_s, updated_at = excluded.updated_at",
        (role, every_s, to_text(now)),
    )
