"""
The writer's side of the state file.

Two transactions carry the promise (semantics 4): `take_in`, which writes what a chunk of changes came to
together with the watermark, and the acknowledgements, which note what Segment answered. How each record is
written is in `state/writing.py`.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from state import writing
from state.errors import StateFileError, damaged
from state.failpoints import failpoint
from state.file import BUSY_TIMEOUT_MS, MAIN, FileLock, Role, connect, explaining, take_role
from state.instants import from_text, to_text, utc_now
from state.records import (
    BadLine,
    PendingEvent,
    Poll,
    Resync,
    Status,
    StoredConversation,
    TakenIn,
    Transition,
    TransitionRecord,
)
from state.schema_version import SCHEMA_VERSION

# SQLite before 3.32 takes 999 parameters a statement; ids are asked for in slices below that.
_PARAMETERS = 900

# Segment drops repeats of a messageId for about 24 hours (Handling Duplicate Data). What is delivered so long
# after it was first tried, when an earlier attempt may have arrived unanswered, is marked.
MAY_DUPLICATE_AFTER = timedelta(hours=20)

# When to say so. A backlog of a million events is about 1 GB.
LOW_DISK_BYTES = 1_000_000_000
LARGE_WAL_BYTES = 64_000_000

# How often whoever waits for the turn looks whether it is free.
_TURN_LOOK_S = 0.05
_TURN_AT_CLOSE_S = 2.0


class Store:
    """
    The state file, open for writing: by one process for each role, which take turns.

    Args:
        waiting: Called once if the turn is another process's, which may be in a long cycle.

    Raises (from the constructor and from every method):
        StateFileError: The file is not ours, damaged or not writable; it was not touched.
        NewerSchemaError: A newer release wrote it.
        StateLockedError: Another process is the writer.
        StateWriteError: A transaction failed (full disk) and was rolled back whole.
    """

    def __init__(self, path: Path, role: Role = MAIN, *, waiting: Callable[[], object] | None = None) -> None:
        self.path = path
        itself = path.resolve()  # whatever it is called here, it is one file
        with ExitStack() as undo:
            undo.callback(take_role(itself, role).close)
            self._turn = FileLock(itself, ".turn.lock")
            undo.callback(self._turn.close)
            with self.turn(waiting=waiting):
                self._connection = connect(path, read_only=False)
                undo.callback(self._close_connection)
                with explaining(path):
                    self._migrate()
                stat = path.stat()
                self._identity = stat.st_dev, stat.st_ino
                self._to_truncate = True  # whatever an earlier process left in the write-ahead log
                self._to_vacuum = bool(
                    self._rows(
                        "SELECT 1 FROM customers WHERE deleted_at IS NOT NULL AND wiped_at IS NULL LIMIT 1"
                    )
                )
                self.wipe()
            self._undo = undo.pop_all()

    @contextmanager
    def turn(
        self, sleep: Callable[[float], object] = time.sleep, waiting: Callable[[], object] | None = None
    ) -> Iterator[None]:
        """
        Be the only one who writes, among the daemon and a resync, for as long as the block takes: what is
        read in it to decide on a write is still so when it is written.

        Args:
            sleep: Waits a moment; may raise to give up.
            waiting: Called once if another process has the turn.
        """
        told = False
        while not self._turn.try_to_take():
            if waiting is not None and not told:
                waiting()
                told = True
            sleep(_TURN_LOOK_S)
        try:
            yield
        finally:
            self._turn.give_back()

    def _migrate(self) -> None:
        if self._connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return
        # Only now: a file that is up to date needs no sqlite-utils, whose import costs 0.1 s.
        from sqlite_utils import Database

        from state.schema import migrate

        migrate(Database(self._connection, execute_plugins=False))

    def _close_connection(self) -> None:
        """In turn, since closing checkpoints; but a resync that hangs in its own must not hold up an end."""
        until = time.monotonic() + _TURN_AT_CLOSE_S
        while not (taken := self._turn.try_to_take()) and time.monotonic() < until:
            time.sleep(_TURN_LOOK_S)
        self._connection.close()
        if taken:
            self._turn.give_back()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def check_still_there(self) -> None:
        """
        Raises:
            StateFileError: The file this was opened on has been moved, deleted or replaced meanwhile.
        """
        try:
            now = self.path.stat()
        except OSError:
            found = False
        else:
            found = (now.st_dev, now.st_ino) == self._identity
        if not found:
            raise StateFileError(
                f"{self.path} was moved, deleted or replaced while in use. What was committed is in the file "
                "that was there: put it back, or start again with what is there now."
            )

    def check_room(self, warn: Callable[..., object]) -> None:
        """
        Say when the disk runs out, or when a reader that never ends has let the write-ahead log
        grow, which is then emptied as soon as the reader lets it (faults C12, C15).

        Args:
            warn: Takes a name and figures in megabytes.
        """
        free = shutil.disk_usage(self.path.parent).free
        if free < LOW_DISK_BYTES:
            warn("disk.low", free_mb=free // 1_000_000)
        beside = self.path.with_name(self.path.name + "-wal")
        size = beside.stat().st_size if beside.exists() else 0
        if size > LARGE_WAL_BYTES:
            warn("wal.large", mb=size // 1_000_000)
            self._to_truncate = True

    def check_pages(self) -> None:
        """
        Let SQLite look at every page once (PRAGMA quick_check: 0.04 s for 43 MB).

        Raises:
            StateFileError: The file is damaged.
        """
        verdict = str(self._rows("PRAGMA quick_check(1)")[0][0])
        if verdict != "ok":
            raise damaged(self.path, verdict)

    def close(self) -> None:
        """Close the file and give the writer's lock back; closing twice is closing once."""
        self._undo.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE: a deferred one could find at its first write that it read something stale."""
        with explaining(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                failpoint("transaction.commit")
                self._connection.execute("COMMIT")
                failpoint("transaction.committed")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Any]:
        with explaining(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def _rows_in(self, sql: str, values: Iterable[str]) -> Iterator[Any]:
        """Run *sql*, whose one `{}` becomes the parameters, for *values* slice by slice."""
        wanted = list(values)
        for start in range(0, len(wanted), _PARAMETERS):
            part = wanted[start : start + _PARAMETERS]
            yield from self._rows(sql.format(",".join("?" * len(part))), part)

    # What is known

    def watermark(self) -> datetime | None:
        """Every change recorded before this has been taken in; None before the first poll (semantics 3.1)."""
        rows = self._rows("SELECT position FROM watermark WHERE feed = ?", (writing.FEED,))
        return from_text(rows[0][0]) if rows else None

    def seen_changes(self) -> dict[str, datetime]:
        """Ids of the changes taken in near the watermark, and when they were recorded."""
        return {row[0]: from_text(row[1]) for row in self._rows("SELECT id, recorded_at FROM seen_changes")}

    def conversations(self, ids: Iterable[str]) -> dict[str, StoredConversation]:
        """The stored conversations among *ids*, each with the transitions `events` records of it."""
        ids = set(ids)
        found = {
            row[0]: StoredConversation(
                id=row[0],
                customer_id=row[1],
                status=Status(row[2]),
                created_at=from_text(row[3]) if row[3] else None,
                closed_at=from_text(row[4]) if row[4] else None,
                updated_at=from_text(row[5]),
            )
            for row in self._rows_in(
                "SELECT id, customer_id, status, created_at, closed_at, updated_at FROM conversations"
                " WHERE id IN ({})",
                ids,
            )
        }
        for conversation_id, transition, occurred_at in self._rows_in(
            "SELECT conversation_id, transition, occurred_at FROM events WHERE conversation_id IN ({})"
            " ORDER BY occurred_at",
            found,
        ):
            found[conversation_id].recorded.append(
                TransitionRecord(Transition(transition), from_text(occurred_at))
            )
        return found

    def deleted_customers(self, ids: Iterable[str]) -> dict[str, str]:
        """Those of *ids* of whom nothing may be sent any more, and why (semantics 5.1)."""
        return dict(
            self._rows_in(
                "SELECT id, reason FROM customers WHERE deleted_at IS NOT NULL AND id IN ({})", set(ids)
            )
        )

    # Taking in

    def take_in(self, taken: TakenIn) -> None:
        """
        Write what a chunk of changes came to, and the new watermark, in one transaction (semantics 4.1).

        Args:
            taken: An event already recorded under the same message id is left as it is.
        """
        with self._transaction() as db:
            failpoint("take_in.begin")
            if taken.seen_since is not None:
                db.execute("DELETE FROM seen_changes WHERE recorded_at < ?", (to_text(taken.seen_since),))
            db.executemany(
                "INSERT OR IGNORE INTO seen_changes (id, recorded_at) VALUES (?, ?)",
                ((id_, to_text(at)) for id_, at in taken.seen),
            )
            failpoint("take_in.seen")
            writing.write_conversations(db, taken.conversations)
            writing.write_merges(db, taken)
            writing.write_changes(db, taken)
            failpoint("take_in.conversations")
            writing.write_events(db, taken)
            for customer_id, (at, reason) in taken.deletions.items():
                writing.erase_customer(db, customer_id, at, reason)
            writing.write_bad_lines(db, taken.bad_lines)
            failpoint("take_in.events")
            if taken.resync is not None and taken.position is not None:
                db.execute(
                    "UPDATE resyncs SET position = ? WHERE id = ?", (to_text(taken.position), taken.resync)
                )
            elif taken.position is not None:
                writing.move_watermark(db, taken.position)
            failpoint("take_in.watermark")
        if taken.deletions:
            self._to_truncate = self._to_vacuum = True
            self.wipe()

    def known_bad_lines(self, lines: Iterable[BadLine]) -> set[str]:
        """The `bad_line_id` of those *lines* that are in quarantine already: the stretch is read twice."""
        ids = (writing.bad_line_id(line) for line in lines)
        return {row[0] for row in self._rows_in("SELECT id FROM quarantine WHERE id IN ({})", ids)}

    def wipe(self) -> None:
        """
        Overwrite what erased payloads have left: in the write-ahead log by emptying it, and, after a customer
        was deleted, in pages that SQLite has rearranged since by rebuilding the file (VACUUM;
        `secure_delete` alone does not reach copies that moving a cell leaves behind).

        A reader in the way, or a full disk, delays it to the next call; it never fails a cycle.
        """
        if not (self._to_truncate or self._to_vacuum):
            return
        # A checkpoint would wait for readers as long as a write waits for a lock.
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            if self._to_vacuum:
                self._connection.execute("VACUUM")
                self._connection.execute(
                    "UPDATE customers SET wiped_at = ? WHERE wiped_at IS NULL", (to_text(utc_now()),)
                )
                self._to_vacuum, self._to_truncate = False, True
            self._to_truncate = bool(
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            )
        except sqlite3.OperationalError:
            self._to_truncate = True
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")

    def erase_old_payloads(self, delivered_before: datetime, limit: int = 5_000) -> int:
        """Forget the payloads of events delivered before then, at most *limit* at once (semantics 5.3)."""
        due = (
            # Left to itself, SQLite takes the index by status, and reads every delivered event.
            "SELECT rowid FROM events INDEXED BY delivered_payloads"
            " WHERE status = 'delivered' AND payload IS NOT NULL AND delivered_at < ?"
        )
        parameters = (to_text(delivered_before),)
        if not self._rows(due + " LIMIT 1", parameters):
            return 0
        with self._transaction() as db:
            # S608: both halves are constants of this function.
            erased = db.execute(
                f"UPDATE events SET payload = NULL WHERE rowid IN ({due} LIMIT {limit:d})",  # noqa: S608
                parameters,
            ).rowcount
        self._to_truncate = True
        self.wipe()
        return erased

    # Resyncs and reconciling

    def begin_resync(self, since: datetime, until: datetime) -> Resync:
        """Begin to read an interval again, or go on where an interrupted resync of the same one stopped."""
        rows = self._rows(
            "SELECT id, position FROM resyncs WHERE since = ? AND until = ? AND finished_at IS NULL"
            " ORDER BY id DESC LIMIT 1",
            (to_text(since), to_text(until)),
        )
        if rows:
            return Resync(rows[0][0], since, until, from_text(rows[0][1]))
        with self._transaction() as db:
            id_ = db.execute(
                "INSERT INTO resyncs (since, until, position, started_at) VALUES (?, ?, ?, ?)",
                (to_text(since), to_text(until), to_text(since), to_text(utc_now())),
            ).lastrowid
        return Resync(id_ or 0, since, until, since)

    def unfinished_resync(self) -> Resync | None:
        """The newest resync that was interrupted."""
        rows = self._rows(
            "SELECT id, since, until, position FROM resyncs WHERE finished_at IS NULL"
            " ORDER BY id DESC LIMIT 1"
        )
        return Resync(rows[0][0], *map(from_text, rows[0][1:])) if rows else None

    def finish_resync(self, id_: int) -> None:
        """The whole interval has been read."""
        with self._transaction() as db:
            db.execute("UPDATE resyncs SET finished_at = ? WHERE id = ?", (to_text(utc_now()), id_))

    def last_reconciled(self) -> datetime | None:
        """When a conversation was last checked against Gladly."""
        rows = self._rows("SELECT max(checked_at) FROM conversations")
        return from_text(rows[0][0]) if rows[0][0] else None

    def quiet_conversations(self, before: datetime, limit: int) -> list[StoredConversation]:
        """Open conversations that nothing has changed since *before*, those longest unchecked first."""
        rows = self._rows(
            "SELECT id FROM conversations WHERE status IN ('OPEN', 'WAITING') AND updated_at < ?"
            " ORDER BY coalesce(checked_at, ''), updated_at LIMIT ?",
            (to_text(before), limit),
        )
        return list(self.conversations(row[0] for row in rows).values())

    def mark_checked(self, ids: Iterable[str]) -> None:
        """These conversations have been checked against Gladly."""
        at = to_text(utc_now())
        with self._transaction() as db:
            db.executemany("UPDATE conversations SET checked_at = ? WHERE id = ?", ((at, id_) for id_ in ids))

    def forget_old_changes(self, seen_before: datetime, limit: int = 5_000) -> int:
        """Forget decisions about changes seen before then, at most *limit* at once. Returns how many."""
        oldest = (
            "SELECT id FROM changes WHERE id IN (SELECT id FROM changes ORDER BY id LIMIT ?) AND seen_at < ?"
        )
        parameters = (limit, to_text(seen_before))
        if not self._rows(oldest + " LIMIT 1", parameters):
            return 0
        with self._transaction() as db:
            # S608: joined from constants.
            return db.execute(f"DELETE FROM changes WHERE id IN ({oldest})", parameters).rowcount  # noqa: S608

    # The outbox

    def pending(self, after: tuple[str, int] | None, limit: int) -> list[PendingEvent]:
        """The next *limit* events to deliver, in recorded order, beginning after a position of that order."""
        rows = self._rows(
            "SELECT occurred_at, rowid, message_id, CAST(payload AS BLOB) FROM events"
            " WHERE status = 'pending' AND (occurred_at, rowid) > (?, ?) ORDER BY occurred_at, rowid LIMIT ?",
            (*(after or ("", 0)), limit),
        )
        return [PendingEvent((row[0], row[1]), row[2], row[3]) for row in rows]

    def has_pending(self) -> bool:
        """Whether anything waits to be delivered."""
        return bool(self._rows("SELECT 1 FROM events WHERE status = 'pending' LIMIT 1"))

    def mark_delivered(self, message_ids: Sequence[str]) -> None:
        """Segment answered 2xx for these."""
        now = utc_now()
        at, long_ago = to_text(now), to_text(now - MAY_DUPLICATE_AFTER)
        with self._transaction() as db:
            db.executemany(
                "UPDATE events SET status = 'delivered', delivered_at = ?, reason = CASE WHEN attempts > 0"
                " AND created_at < ? THEN 'may be a duplicate: an earlier attempt was over 20 hours ago' END,"
                " attempts = attempts + 1 WHERE message_id = ? AND status = 'pending'",
                ((at, long_ago, id_) for id_ in message_ids),
            )

    def mark_rejected(self, message_id: str, reason: str) -> None:
        """Segment refuses this one event; it is kept and can be retried (semantics 4.4)."""
        with self._transaction() as db:
            db.execute(
                "UPDATE events SET status = 'rejected', reason = ?, attempts = attempts + 1"
                " WHERE message_id = ? AND status = 'pending'",
                (reason, message_id),
            )

    def mark_attempted(self, message_ids: Sequence[str], reason: str) -> None:
        """An attempt failed for a reason that is not these events': they stay pending (semantics 4.5)."""
        with self._transaction() as db:
            db.executemany(
                "UPDATE events SET attempts = attempts + 1, reason = ?"
                " WHERE message_id = ? AND status = 'pending'",
                ((reason, id_) for id_ in message_ids),
            )

    def retry(self, message_ids: Sequence[str] | None) -> int:
        """Rejected events become pending again: those named, or all (None). Returns how many."""
        with self._transaction() as db:
            again = "UPDATE events SET status = 'pending', reason = NULL WHERE status = 'rejected'"
            if message_ids is None:
                return db.execute(again).rowcount
            return sum(db.execute(again + " AND message_id = ?", (id_,)).rowcount for id_ in message_ids)

    def dismiss(self, ids: Sequence[str] | None) -> int:
        """
        A person has seen these of the quarantine, or all (None): they wait for nobody any more, and their
        lines are erased; ids and reasons stay, so that a line read again is known. Returns how many.
        """
        with self._transaction() as db:
            seen = "UPDATE quarantine SET dismissed_at = ?, line = NULL WHERE dismissed_at IS NULL"
            now = to_text(utc_now())
            if ids is None:
                return db.execute(seen, (now,)).rowcount
            return sum(db.execute(seen + " AND id = ?", (now, id_)).rowcount for id_ in ids)

    # Cycles and the watermark

    def record_poll(self, poll: Poll, position: datetime | None = None) -> None:
        """Write a finished cycle, and move the watermark with it where nothing else had to be written."""
        with self._transaction() as db:
            failpoint("poll.record")
            if position is not None:
                writing.move_watermark(db, position)
            writing.write_poll(db, poll)

    def reset_watermark(self, to: datetime) -> None:
        """Put the watermark elsewhere; what is recorded stays, so nothing is sent twice (semantics 3.7)."""
        with self._transaction() as db:
            writing.move_watermark(db, to)
            db.execute("DELETE FROM seen_changes")

    def replay(self, since: datetime) -> int:
        """Send the delivered events recorded since then again, with their message ids. Returns how many."""
        with self._transaction() as db:
            return db.execute(
                "UPDATE events SET status = 'pending', delivered_at = NULL WHERE status = 'delivered'"
                " AND payload IS NOT NULL AND occurred_at >= ?",
                (to_text(since),),
            ).rowcount
