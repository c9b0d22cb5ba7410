"""
Counts the changes that the feed showed in each hour of UTC, and finds when it fell silent (semantics 6.4).

An hour has a row when the feed was watched from the hour's beginning on. So a row with 0 says that nothing
happened, and no row says that nobody looked. An hour that was read from the report has no row.
"""

import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta

from state.instants import from_text, to_text
from state.writer.connection import WriterConnection

# Five weeks: the four that are compared, and one more.
_KEPT = timedelta(weeks=5)

# A feed is compared with as many weeks as are known, at most these.
_WEEKS = 4

# In an hour with fewer changes, it says nothing that there are none a week later.
_BUSY = 10

# The Events API shows a day at once, so a watermark that it moved has passed no more hours than these.
_MOST_HOURS = 26

_HOUR = timedelta(hours=1)


class FeedHours:
    """Finds out from the counts of each hour whether the feed is silent."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def silent_since(self, position: datetime) -> datetime | None:
        """
        Return since when the feed has been silent. Return None where it is not, or nothing proves it.

        The feed is silent when it showed nothing in the last two whole hours, and at least ten changes in
        each of the same hours of each of the last four weeks that are known. One week must be known. A week
        is known when both of its hours were watched. Two hours are compared and not one, so that clocks that
        go forward or back by an hour look like no silence.

        Args:
            position: The watermark, up to which everything is known.
        """
        end = hour_of(position)
        last_two = [end - 2 * _HOUR, end - _HOUR]
        weeks = [[hour - timedelta(weeks=n) for hour in last_two] for n in range(1, _WEEKS + 1)]
        wanted = [to_text(hour) for hours in (last_two, *weeks) for hour in hours]
        counts = {
            from_text(hour): changes
            for hour, changes in self._connection.rows_in(
                "SELECT hour, changes FROM feed_hours WHERE hour IN ({})", wanted
            )
        }
        if any(counts.get(hour) != 0 for hour in last_two):
            return None
        known = [hours for hours in weeks if all(hour in counts for hour in hours)]
        if known and all(counts[hour] >= _BUSY for hours in known for hour in hours):
            return last_two[0]
        return None

    def has_shown_since(self, since: datetime) -> bool:
        """Return whether the feed has shown a change recorded since an instant."""
        found = self._connection.rows(
            "SELECT 1 FROM feed_hours WHERE hour >= ? AND changes > 0 LIMIT 1", (to_text(hour_of(since)),)
        )
        return bool(found)


def hour_of(instant: datetime) -> datetime:
    """Return the beginning of the hour of UTC in which an instant lies."""
    return instant.replace(minute=0, second=0, microsecond=0)


def count_shown(db: sqlite3.Connection, shown: Mapping[datetime, int] | None, position: datetime) -> None:
    """
    Count what the feed has shown, before the watermark moves. Begin the hours that the watermark enters.

    Args:
        db: A connection inside a transaction.
        shown: How many changes the feed showed in each hour, by the hour's beginning. None where the
            watermark moves without the feed: then the hour in which it stood was not watched to its end.
        position: The new watermark.
    """
    before = _watermark(db)
    if shown is None:
        if before is not None:
            forget_from(db, min(before, position))
        return
    if before is None:
        return  # the first hour is not watched from its beginning on
    if position < before:
        forget_from(db, position)  # it is read again, and counted again
    newest = max([hour_of(position), *shown])
    hour = max(hour_of(before) + _HOUR, newest - _MOST_HOURS * _HOUR)
    begun = []
    while hour <= newest:
        begun.append((to_text(hour),))
        hour += _HOUR
    if begun:
        db.executemany("INSERT OR IGNORE INTO feed_hours (hour, changes) VALUES (?, 0)", begun)
        db.execute("DELETE FROM feed_hours WHERE hour < ?", (to_text(newest - _KEPT),))
    db.executemany(
        "UPDATE feed_hours SET changes = changes + ? WHERE hour = ?",
        [(changes, to_text(hour)) for hour, changes in shown.items()],
    )


def forget_from(db: sqlite3.Connection, since: datetime) -> None:
    """Forget the hours from the one in which *since* lies: they are read again, or were not watched."""
    db.execute("DELETE FROM feed_hours WHERE hour >= ?", (to_text(hour_of(since)),))


def _watermark(db: sqlite3.Connection) -> datetime | None:
    row = db.execute("SELECT position FROM watermark").fetchone()
    return from_text(row[0]) if row else None
