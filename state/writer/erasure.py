"""
Erases payloads and decisions that must go, and the bytes they leave in the file and its log (semantics 5).

Rows are erased in a transaction. `Erasure.wipe` then overwrites what the erased rows left behind.
"""

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from state.errors import StateError
from state.file import BUSY_TIMEOUT_MS
from state.findings import Condition
from state.instants import from_text, to_text, utc_now
from state.writer.conditions import Conditions
from state.writer.connection import WriterConnection

Warn = Callable[..., object]

# The id of the condition that the disk has no room to erase.
_NO_ROOM = "erasure"

# A customer, and everyone who was merged into this customer, over any number of merges.
_EVERYONE = (
    "WITH RECURSIVE everyone (id) AS (SELECT ? UNION"
    " SELECT customers.id FROM customers JOIN everyone ON customers.merged_into = everyone.id) "
)

# Whether a customer was merged into another. Merges that lead back to where they began do not count.
_LIVES_ON = (
    "WITH RECURSIVE up (id) AS (SELECT ? UNION"
    " SELECT merged_into FROM customers JOIN up ON customers.id = up.id WHERE merged_into IS NOT NULL)"
    " SELECT 1 FROM up WHERE id <> ? AND id NOT IN (SELECT id FROM customers WHERE merged_into IS NOT NULL)"
)

# Where SQLite puts the copy that VACUUM makes (SQLite, "Temporary Files Used By SQLite", 3).
_TEMPORARY_DIRECTORIES = ("/var/tmp", "/usr/tmp", "/tmp", ".")  # noqa: S108  # looked at, not written to


# What `Erasure.forget_old_rows` forgets: tables whose rows are in the order of their writing, and the
# column with the instant of a row.
_OLD_ROWS = {
    "changes": "seen_at",
    "polls": "started_at",
    "resyncs": "finished_at",
    "not_found": "seen_at",
}

# The cycles that `status` shows, whatever their age, are kept.
_NOT_SHOWN = (
    " AND id <> (SELECT max(id) FROM polls)"
    " AND id <> coalesce((SELECT max(id) FROM polls WHERE outcome <> 'failed'), 0)"
)

_KEEP_FIGURES = """
    INSERT INTO poll_days (day, cycles, degraded, failed, changes, created, closed, delivered, requests)
    SELECT date(started_at), count(*), sum(outcome = 'degraded'), sum(outcome = 'failed'),
           sum(changes), sum(created), sum(closed), sum(delivered), sum(requests)
    FROM polls WHERE rowid IN ({}) GROUP BY date(started_at)
    ON CONFLICT (day) DO UPDATE SET
        cycles = cycles + excluded.cycles, degraded = degraded + excluded.degraded,
        failed = failed + excluded.failed, changes = changes + excluded.changes,
        created = created + excluded.created, closed = closed + excluded.closed,
        delivered = delivered + excluded.delivered, requests = requests + excluded.requests
"""


class WipeTiming(NamedTuple):
    """
    Say when the file is rebuilt after a customer was deleted.

    Attributes:
        small_bytes: A file up to this size is rebuilt at once, which takes less than a second.
        large_every: A larger file is rebuilt this often at most, because the cycle waits for it.
        again_after_s: After a rebuild that failed, none is tried for this many seconds, and then for twice
            as many.
        longest_s: The longest of these pauses, in seconds.
        reserve_bytes: A rebuild leaves at least so much room on the disk.
    """

    small_bytes: int = 64_000_000
    large_every: timedelta = timedelta(days=1)
    again_after_s: float = 60.0
    longest_s: float = 3_600.0
    reserve_bytes: int = 16_000_000


DEFAULT_WIPE_TIMING = WipeTiming()


class Erasure:
    """
    Erases what must go, and remembers what is still to be overwritten.

    Args:
        connection: The connection of the store.
        conditions: Told when the disk has no room to erase.
        log_holds_leftovers: Whether the write-ahead log held anything when the store was opened. An earlier
            process left it there.
        timing: When the file is rebuilt.
    """

    def __init__(
        self,
        connection: WriterConnection,
        conditions: Conditions,
        *,
        log_holds_leftovers: bool,
        timing: WipeTiming = DEFAULT_WIPE_TIMING,
    ) -> None:
        self._connection = connection
        self._conditions = conditions
        self._timing = timing
        self._to_truncate = log_holds_leftovers
        self._to_rebuild: bool | None = None  # not known: the file has not been asked yet
        self._is_rebuilt = False  # the file is rebuilt, and the log may still hold what was erased
        self._not_before = 0.0  # monotonic: no rebuild is tried until then
        self._pause_s = timing.again_after_s

    def wipe(self, now: datetime, warn: Warn = lambda *_, **__: None) -> None:
        """
        Overwrite what erased payloads have left.

        Emptying the write-ahead log removes what stands there. After a customer was deleted, rebuilding the
        file (VACUUM) removes the copies that SQLite leaves when it moves a cell to another page;
        `secure_delete` does not reach those. The first call also finishes what an earlier process could not.

        A reader that is in the way, or a disk without the room, delays this to a later call. It never fails a
        cycle. A customer counts as wiped (`customers.wiped_at`) once the data is gone from file and log.

        Args:
            now: The present instant.
            warn: Takes the name of a warning and its figures, when the disk has no room for a rebuild.
        """
        if self._to_rebuild is None:
            self._to_rebuild = self._is_rebuild_due()
        if not (self._to_truncate or self._to_rebuild):
            return
        db = self._connection.raw
        # A checkpoint would wait for readers as long as a write waits for a lock.
        db.execute("PRAGMA busy_timeout = 0")
        try:
            self._empty_the_log()
            if self._to_rebuild and not self._to_truncate:
                if not self._is_rebuilt:
                    self._rebuild(now, warn)
                    self._empty_the_log()
                if self._is_rebuilt and not self._to_truncate:
                    db.execute(
                        "UPDATE customers SET wiped_at = ? WHERE wiped_at IS NULL AND deleted_at IS NOT NULL",
                        (to_text(now),),
                    )
                    self._to_rebuild = self._is_rebuilt = False
                    self._conditions.clear(_NO_ROOM)
        except sqlite3.OperationalError:
            self._to_truncate = True
        finally:
            db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    @property
    def is_done(self) -> bool:
        """Return whether nothing is left to overwrite, as far as this process knows."""
        return not (self._to_truncate or self._to_rebuild)

    def _empty_the_log(self) -> None:
        """Copy the write-ahead log into the file and cut it off. A reader in the way delays this."""
        try:
            row = self._connection.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError:
            self._to_truncate = True
        else:
            self._to_truncate = bool(row[0])

    def _rebuild(self, now: datetime, warn: Warn) -> None:
        """Rebuild the file where it is time to and the disk has the room. Nobody reads it at this moment."""
        if time.monotonic() < self._not_before:
            return
        pages, free_pages, page_bytes = (
            self._connection.rows(f"PRAGMA {name}")[0][0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        is_large = pages * page_bytes > self._timing.small_bytes
        if is_large and self._was_rebuilt_since(now - self._timing.large_every, now):
            return
        needed = (pages - free_pages) * page_bytes
        if why := self._lacking_room(needed):
            self._put_off(warn, why)
            self._note_the_lack(why)
            return
        try:
            self._connection.raw.execute("VACUUM")
        except sqlite3.OperationalError as error:
            self._put_off(warn, str(error))
            if "full" in str(error):
                self._note_the_lack(str(error))
        else:
            self._is_rebuilt, self._pause_s = True, self._timing.again_after_s

    def _was_rebuilt_since(self, since: datetime, now: datetime) -> bool:
        last = self._connection.rows(
            "SELECT max(wiped_at) FROM customers WHERE wiped_at <= ?", (to_text(now),)
        )
        return bool(last[0][0]) and from_text(last[0][0]) > since

    def _lacking_room(self, needed: int) -> str | None:
        """
        Return which disk lacks the room for a rebuild. Return None where there is room.

        SQLite writes the new file twice: among the temporary files, and into the write-ahead log.

        Args:
            needed: The size of the rebuilt file, in bytes.
        """
        places = [self._connection.path.resolve().parent]
        if (temporary := _temporary_directory()) is not None:
            places.append(temporary)
        disks: dict[int, tuple[Path, int]] = {}
        for place in places:
            disk = place.stat().st_dev
            disks[disk] = place, disks.get(disk, (place, 0))[1] + needed
        for place, bytes_ in disks.values():
            wanted, free = bytes_ * 11 // 10 + self._timing.reserve_bytes, shutil.disk_usage(place).free
            if free < wanted:
                return f"{place} has {free // 1_000_000} MB free, and it takes {wanted // 1_000_000} MB"
        return None

    def _put_off(self, warn: Warn, why: str) -> None:
        self._not_before = time.monotonic() + self._pause_s
        warn("wipe.delayed", reason=why, again_in_seconds=round(self._pause_s))
        self._pause_s = min(self._timing.longest_s, 2 * self._pause_s)

    def _note_the_lack(self, why: str) -> None:
        reason = (
            f"deleted customers' data cannot be overwritten: {why}. Make room. It is tried again by itself."
        )
        with contextlib.suppress(StateError):  # the disk may be too full for this row, too
            self._conditions.set(Condition(_NO_ROOM, "delayed erasure", reason, "gladly-segment check"))

    def _is_rebuild_due(self) -> bool:
        return bool(
            self._connection.rows(
                "SELECT 1 FROM customers WHERE deleted_at IS NOT NULL AND wiped_at IS NULL LIMIT 1"
            )
        )

    def rebuild(self, now: datetime | None = None) -> None:
        """
        Wipe after a customer was deleted: rebuild the file and empty the log.

        A large file is left to the next `wipe`.

        Args:
            now: The present instant. None takes this machine's clock.
        """
        self._to_truncate = self._to_rebuild = True
        self._is_rebuilt = False
        if self._connection.path.stat().st_size <= self._timing.small_bytes:
            self.wipe(now or utc_now())

    def truncate_log_later(self) -> None:
        """Let the next `wipe` empty the write-ahead log."""
        self._to_truncate = True

    def erase_old_payloads(self, delivered_before: datetime, now: datetime, limit: int = 5_000) -> int:
        """
        Erase payloads of events delivered before an instant (semantics 5.3). Ids and times stay.

        Args:
            delivered_before: The instant.
            now: The present instant.
            limit: How many to erase at most, so that no cycle is held up for long.

        Returns: how many were erased. Zero means that none is left.
        """
        due = (
            # Without INDEXED BY, SQLite takes the index by status and reads every delivered event.
            "SELECT rowid FROM events INDEXED BY delivered_payloads"
            " WHERE status = 'delivered' AND payload IS NOT NULL AND delivered_at < ?"
        )
        parameters = (to_text(delivered_before),)
        if not self._connection.rows(due + " LIMIT 1", parameters):
            return 0
        with self._connection.transaction() as db:
            # S608: both halves are constants of this function.
            erased = db.execute(
                f"UPDATE events SET payload = NULL WHERE rowid IN ({due} LIMIT {limit:d})",  # noqa: S608
                parameters,
            ).rowcount
        self._to_truncate = True
        self.wipe(now)
        return erased

    def forget_old_rows(self, before: datetime, limit: int = 5_000) -> int:
        """
        Forget what only tells the past: decisions about changes, cycles, finished resyncs, single 404s.

        The figures of forgotten cycles are added to `poll_days`. The newest cycle, and the newest that did
        not fail, stay: `status` shows them.

        Args:
            before: Rows written before this instant are forgotten.
            limit: How many rows of a table to forget at most, so that no cycle is held up for long.

        Returns: how many were forgotten. Zero means that none is left.
        """
        at = to_text(before)
        forgotten = 0
        for table, seen in _OLD_ROWS.items():
            # S608: constants of this module. A table is read from its oldest row on, up to the limit.
            oldest = (
                f"SELECT rowid FROM {table} WHERE rowid IN"  # noqa: S608
                f" (SELECT rowid FROM {table} ORDER BY rowid LIMIT ?) AND {seen} < ?"
            )
            if table == "polls":
                oldest += _NOT_SHOWN
            if not self._connection.rows(oldest + " LIMIT 1", (limit, at)):
                continue
            with self._connection.transaction() as db:
                if table == "polls":
                    db.execute(_KEEP_FIGURES.format(oldest), (limit, at))
                forgotten += db.execute(
                    f"DELETE FROM {table} WHERE rowid IN ({oldest})",  # noqa: S608
                    (limit, at),
                ).rowcount
        return forgotten


def _temporary_directory() -> Path | None:
    """Return the directory in which SQLite puts temporary files. Return None where it finds none."""
    named = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    for name in (*named, *_TEMPORARY_DIRECTORIES):
        if name and Path(name).is_dir() and os.access(name, os.W_OK | os.X_OK):
            return Path(name)
    return None


def erase_customer(db: sqlite3.Connection, customer_id: str, at: datetime, reason: str) -> None:
    """
    Erase what is kept of a customer and of everyone merged into this customer (semantics 5.1).

    Their conversations become DELETED. Their events that were not delivered become suppressed.

    A customer who was merged into another lives on as that other customer. The deletion of such a source
    says nothing about the destination, so it erases and suppresses nothing.

    Args:
        db: A connection inside a transaction.
        customer_id: The customer.
        at: When Gladly deleted the customer, or when the customer was found gone.
        reason: The reason that the suppressed events give.
    """
    if db.execute(_LIVES_ON, (customer_id, customer_id)).fetchone():
        return
    db.execute(
        "INSERT INTO customers (id, deleted_at, reason) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
        " SET wiped_at = NULL, deleted_at = coalesce(deleted_at, excluded.deleted_at),"
        " reason = coalesce(reason, excluded.reason)",
        (customer_id, to_text(at), reason),
    )
    # S608: constants joined; the values are parameters.
    db.execute(
        _EVERYONE + "UPDATE conversations SET status = 'DELETED'"  # noqa: S608
        " WHERE customer_id IN everyone AND status <> 'MERGED'",
        (customer_id,),
    )
    db.execute(
        _EVERYONE + "UPDATE events SET payload = NULL,"  # noqa: S608
        " reason = CASE WHEN status IN ('recorded', 'pending', 'rejected') THEN ? ELSE reason END,"
        " waits_for = NULL, next_attempt_at = NULL,"
        " status = CASE WHEN status IN ('recorded', 'pending', 'rejected') THEN 'suppressed' ELSE status END"
        " WHERE customer_id IN everyone",
        (customer_id, reason),
    )
