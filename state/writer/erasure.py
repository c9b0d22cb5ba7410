"""
Erases payloads and decisions that must go, and the bytes they leave in the file and its log (semantics 5).

Rows are erased in a transaction. `Erasure.wipe` then overwrites what the erased rows left behind.
"""

import sqlite3
from datetime import datetime

from state.file import BUSY_TIMEOUT_MS
from state.instants import to_text, utc_now
from state.writer.connection import WriterConnection

# A customer, and everyone who was merged into this customer, over any number of merges.
_EVERYONE = (
    "WITH RECURSIVE everyone (id) AS (SELECT ? UNION"
    " SELECT customers.id FROM customers JOIN everyone ON customers.merged_into = everyone.id) "
)


class Erasure:
    """
    Erases what must go, and remembers what is still to be overwritten.

    Args:
        connection: The connection of the store.
        log_holds_leftovers: Whether the write-ahead log held anything when the store was opened. An earlier
            process left it there.
    """

    def __init__(self, connection: WriterConnection, *, log_holds_leftovers: bool) -> None:
        self._connection = connection
        self._to_truncate = log_holds_leftovers
        self._to_rebuild: bool | None = None  # not known: the file has not been asked yet

    def wipe(self) -> None:
        """
        Overwrite what erased payloads have left.

        Emptying the write-ahead log removes what stands there. After a customer was deleted, rebuilding the
        file (VACUUM) removes the copies that SQLite leaves when it moves a cell to another page;
        `secure_delete` does not reach those. The first call also finishes what an earlier process could not.

        A reader that is in the way, or a full disk, delays this to the next call. It never fails a cycle.
        """
        if self._to_rebuild is None:
            self._to_rebuild = self._is_rebuild_due()
        if not (self._to_truncate or self._to_rebuild):
            return
        db = self._connection.raw
        # A checkpoint would wait for readers as long as a write waits for a lock.
        db.execute("PRAGMA busy_timeout = 0")
        try:
            if self._to_rebuild:
                db.execute("VACUUM")
                db.execute("UPDATE customers SET wiped_at = ? WHERE wiped_at IS NULL", (to_text(utc_now()),))
                self._to_rebuild, self._to_truncate = False, True
            self._to_truncate = bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        except sqlite3.OperationalError:
            self._to_truncate = True
        finally:
            db.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    def _is_rebuild_due(self) -> bool:
        return bool(
            self._connection.rows(
                "SELECT 1 FROM customers WHERE deleted_at IS NOT NULL AND wiped_at IS NULL LIMIT 1"
            )
        )

    def rebuild(self) -> None:
        """Wipe after a customer was deleted: rebuild the file and empty the log."""
        self._to_truncate = self._to_rebuild = True
        self.wipe()

    def truncate_log_later(self) -> None:
        """Let the next `wipe` empty the write-ahead log."""
        self._to_truncate = True

    def erase_old_payloads(self, delivered_before: datetime, limit: int = 5_000) -> int:
        """
        Erase payloads of events delivered before an instant (semantics 5.3). Ids and times stay.

        Args:
            delivered_before: The instant.
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
        self.wipe()
        return erased

    def forget_old_changes(self, seen_before: datetime, limit: int = 5_000) -> int:
        """
        Forget the decisions about changes that were seen before an instant.

        Args:
            seen_before: The instant.
            limit: How many to forget at most, so that no cycle is held up for long.

        Returns: how many were forgotten. Zero means that none is left.
        """
        oldest = (
            "SELECT id FROM changes WHERE id IN (SELECT id FROM changes ORDER BY id LIMIT ?) AND seen_at < ?"
        )
        parameters = (limit, to_text(seen_before))
        if not self._connection.rows(oldest + " LIMIT 1", parameters):
            return 0
        with self._connection.transaction() as db:
            # S608: joined from constants.
            return db.execute(f"DELETE FROM changes WHERE id IN ({oldest})", parameters).rowcount  # noqa: S608


def erase_customer(db: sqlite3.Connection, customer_id: str, at: datetime, reason: str) -> None:
    """
    Erase what is kept of a customer and of everyone merged into this customer (semantics 5.1).

    Their conversations become DELETED. Their recorded, pending and rejected events become suppressed.

    Args:
        db: A connection inside a transaction.
        customer_id: The customer.
        at: When Gladly deleted the customer, or when the customer was found gone.
        reason: The reason that the suppressed events give.
    """
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
        " status = CASE WHEN status IN ('recorded', 'pending', 'rejected') THEN 'suppressed' ELSE status END,"
        " waits_for = NULL, next_attempt_at = NULL"
        " WHERE customer_id IN everyone",
        (customer_id, reason),
    )
