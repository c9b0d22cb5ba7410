"""
Opens the state file for writing.

Two kinds of transaction keep the promise that nothing is lost (semantics 4). `Store.commit` writes what was
decided about a chunk of changes, together with the watermark. `Store.outbox` notes what Segment answered.
"""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from state.errors import StateFileError, damaged
from state.failpoints import failpoint
from state.file import explaining, log_size, open_for_writing, open_here, version_of
from state.instants import from_text, to_text, utc_now
from state.locks import MAIN, Role, Turn, take_role
from state.organization import Organization
from state.records import ChangeRecord, CustomerConversation, Poll, StoredConversation, TakenIn
from state.schema.version import CURRENT, Schema
from state.writer import audits, rows
from state.writer.conditions import Conditions
from state.writer.connection import WriterConnection
from state.writer.conversations import changes_near, conversations_of, stored_conversations
from state.writer.erasure import DEFAULT_WIPE_TIMING, Erasure, WipeTiming, erase_customer
from state.writer.feed_hours import FeedHours, count_shown
from state.writer.outbox import Outbox
from state.writer.quarantine import Quarantine
from state.writer.receivers import Receivers
from state.writer.reconciliation import Reconciliation
from state.writer.recorded import Recorded
from state.writer.restores import Restores
from state.writer.resyncs import Resyncs
from state.writer.schedules import expect_cycles, observe_once

# Below this a warning says that the disk runs out. A backlog of a million events is about 1 GB.
LOW_DISK_BYTES = 1_000_000_000

# Above this a warning says that the write-ahead log has grown. A reader that never ends causes that.
LARGE_WAL_BYTES = 100_000_000

# How long closing waits for the turn, in seconds. A resync that hangs must not delay it more.
_TURN_AT_CLOSE_S = 2.0


class Store:
    """
    The state file, open for writing.

    Opening creates a missing file and changes nothing in one that is there, unless it is told to migrate. One
    process at a time has a role. Processes of different roles take turns.

    Args:
        path: The state file. A missing or empty one is created.
        role: What this process holds the file for.
        migrate: Whether to migrate a file of an older schema. If not, such a file is refused.
        schema: The schema of this release.
        sleep: Waits so many seconds while another process has the turn. It may raise, which ends the waiting.
        waiting: Called once if another process has the turn, which may be in a long cycle.
        wiping: When the file is rebuilt after a customer was deleted.
        is_scratch: Whether the file is a copy for a dry run, which nobody needs afterwards.

    Attributes:
        organization: Whose state it is.
        restores: Whether the file is a copy that was put back.
        outbox: The events to deliver, and what becomes of them.
        recorded: The events to look up, and what becomes of them.
        erasure: What must be erased and overwritten.
        conditions: What is wrong and goes on.
        quarantine: The lines that could not be read.
        receivers: Which receivers have taken events.
        resyncs: The past intervals that are read again.
        feed_hours: How many changes the feed showed in each hour.
        reconciliation: When stored conversations were compared with Gladly's.
        audits: The past days that were proved, or not.

    The constructor and every method raise:
        StateFileError: The file is not ours, damaged or not writable. It was not touched.
        NewerSchemaError: A newer release wrote the file. It was not touched.
        OlderSchemaError: An older release wrote the file, and *migrate* is false. It was not touched.
        StateLockedError: Another process has this role.
        StateWriteError: A transaction failed, for example on a full disk, and was rolled back whole.
    """

    def __init__(
        self,
        path: Path,
        role: Role = MAIN,
        *,
        migrate: bool = False,
        schema: Schema = CURRENT,
        sleep: Callable[[float], object] = time.sleep,
        waiting: Callable[[], object] | None = None,
        wiping: WipeTiming = DEFAULT_WIPE_TIMING,
        is_scratch: bool = False,
    ) -> None:
        self.path = path
        itself = path.resolve()  # a link to the file is the same file
        with ExitStack() as undo:
            lock = take_role(itself, role)
            undo.callback(lock.close)
            self._turn = Turn(itself)
            undo.callback(self._turn.close)
            with self.turn(sleep, waiting):
                log_holds_leftovers = log_size(path) > 0
                self._connection = open_for_writing(path, schema, migrating=migrate)
                undo.callback(self._close_connection)
                with explaining(path):
                    self._bring_to(schema)
                stat = path.stat()
                self._identity = stat.st_dev, stat.st_ino
                undo.enter_context(open_here(self._identity))
                self._db = WriterConnection(path, self._connection)
                self.organization = Organization(self._db)
                self.restores = Restores(
                    self._db, itself, lock if role is MAIN else None, is_scratch=is_scratch
                )
                self.outbox = Outbox(self._db)
                self.conditions = Conditions(self._db)
                self.erasure = Erasure(
                    self._db, self.conditions, log_holds_leftovers=log_holds_leftovers, timing=wiping
                )
                self.recorded = Recorded(self._db, self.erasure)
                self.quarantine = Quarantine(self._db)
                self.receivers = Receivers(self._db)
                self.resyncs = Resyncs(self._db)
                self.feed_hours = FeedHours(self._db)
                self.reconciliation = Reconciliation(self._db)
                self.audits = audits.Audits(self._db)
            self._undo = undo.pop_all()

    @contextmanager
    def turn(
        self, sleep: Callable[[float], object] = time.sleep, waiting: Callable[[], object] | None = None
    ) -> Iterator[None]:
        """
        Hold the turn for as long as the block takes. No other process or thread writes in that time.

        What the block reads in order to decide on a write is still true when it writes.

        Args:
            sleep: Waits so many seconds. It may raise, which ends the waiting.
            waiting: Called once if another process has the turn.
        """
        with self._turn.held(sleep, waiting):
            yield

    @property
    def looks_for_the_turn(self) -> int:
        """Return a number that grows for as long as this process waits for the turn."""
        return self._turn.looks

    def _bring_to(self, schema: Schema) -> None:
        """Create the tables, or run the steps that an older file has not had."""
        if version_of(self._connection) != schema.version:
            # Imported here: a file that is up to date needs no sqlite-utils, whose import costs 50 ms.
            from state.schema.migration import migrate

            migrate(self._connection, schema)

    def _close_connection(self) -> None:
        """Close the connection while holding the turn, because closing copies the log into the file."""
        with self._turn.held_if_free_within(_TURN_AT_CLOSE_S):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and give the role back. Closing twice is the same as closing once."""
        self._undo.close()

    # The file itself

    def check_still_there(self) -> None:
        """
        Make sure that the file is still the one that was opened.

        Raises:
            StateFileError: The file has been moved, deleted or replaced.
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
        Warn when the disk runs out or the write-ahead log has grown large (faults C12, C15).

        A reader that never ends lets the log grow. The log is emptied as soon as that reader has gone.

        Args:
            warn: Takes the name of a warning and its figures in megabytes.
        """
        free = shutil.disk_usage(self.path.parent).free
        if free < LOW_DISK_BYTES:
            warn("disk.low", free_mb=free // 1_000_000)
        size = log_size(self.path)
        if size > LARGE_WAL_BYTES:
            warn("wal.large", mb=size // 1_000_000)
            self.erasure.truncate_log_later()

    def check_pages(self) -> None:
        """
        Let SQLite look at every page once (PRAGMA quick_check takes 0.04 s for 43 MB).

        Raises:
            StateFileError: The file is damaged.
        """
        verdict = str(self._db.rows("PRAGMA quick_check(1)")[0][0])
        if verdict != "ok":
            raise damaged(self.path, verdict)

    # What is known

    def watermark(self) -> datetime | None:
        """
        Return the watermark: every change recorded before it has been taken in (semantics 3.1).

        Return None before the first poll.
        """
        found = self._db.rows("SELECT position FROM watermark WHERE feed = ?", (rows.FEED,))
        return from_text(found[0][0]) if found else None

    def seen_changes(self) -> dict[str, datetime]:
        """Return the ids of the changes taken in near the watermark, and when each was recorded."""
        found = self._db.rows("SELECT id, recorded_at FROM seen_changes")
        return {id_: from_text(recorded_at) for id_, recorded_at in found}

    def conversations(
        self, ids: Iterable[str], *, with_transitions: bool = True
    ) -> dict[str, StoredConversation]:
        """
        Return the stored conversations among *ids*.

        Args:
            ids: The conversations.
            with_transitions: Whether to read the transitions that `events` holds of each, too.
        """
        return stored_conversations(self._db, ids, with_transitions=with_transitions)

    def conversations_of(self, customers: Iterable[str], until: datetime) -> list[CustomerConversation]:
        """
        Return the stored conversations of customers, with what `events` records of each up to an instant.

        Args:
            customers: The customers.
            until: The instant, inclusive.
        """
        return conversations_of(self._db, customers, until)

    def changes_near(self, moments: Iterable[tuple[str, datetime]], within: timedelta) -> list[ChangeRecord]:
        """
        Return the changes of conversations taken in earlier, recorded near some instants.

        Args:
            moments: Each an id of a conversation, and an instant.
            within: How far from the instant a change may lie.
        """
        return changes_near(self._db, moments, within)

    def deleted_customers(self, ids: Iterable[str]) -> dict[str, str]:
        """
        Return the deleted customers among *ids*, each with the reason that their events are suppressed.

        A customer who was merged into a deleted one counts as deleted, too.
        """
        return dict(
            self._db.rows_in(
                "WITH RECURSIVE up (of, id) AS (SELECT id, id FROM customers WHERE id IN ({})"
                " UNION SELECT up.of, merged_into FROM up JOIN customers ON customers.id = up.id"
                " WHERE merged_into IS NOT NULL)"
                " SELECT up.of, reason FROM up JOIN customers ON customers.id = up.id"
                " WHERE deleted_at IS NOT NULL",
                set(ids),
            )
        )

    def merges(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the merged customers among *ids*, each with the customer into whom it was merged."""
        return dict(
            self._db.rows_in(
                "SELECT id, merged_into FROM customers WHERE id IN ({}) AND merged_into IS NOT NULL", set(ids)
            )
        )

    # What moves with the watermark

    def commit(self, taken: TakenIn, now: datetime | None = None) -> None:
        """
        Write what a chunk of changes led to, and the new watermark, in one transaction (semantics 4.1).

        Args:
            taken: What to write. An event already recorded under the same message id is left as it is.
            now: The present instant. None takes this machine's clock.
        """
        now = now or utc_now()
        with self._db.transaction() as db:
            failpoint("commit.begin")
            if taken.seen_since is not None:
                db.execute("DELETE FROM seen_changes WHERE recorded_at < ?", (to_text(taken.seen_since),))
            db.executemany(
                "INSERT OR IGNORE INTO seen_changes (id, recorded_at) VALUES (?, ?)",
                ((id_, to_text(at)) for id_, at in taken.seen),
            )
            failpoint("commit.seen")
            rows.write_conversations(db, taken.conversations)
            rows.free_what_is_explained(db, taken.conversations)
            rows.write_merges(db, taken)
            rows.write_changes(db, taken, now)
            failpoint("commit.conversations")
            rows.write_events(db, taken, now)
            for customer_id, (at, reason) in taken.deletions.items():
                erase_customer(db, customer_id, at, reason)
            rows.write_bad_lines(db, taken.bad_lines, now)
            if taken.audit is not None:
                audits.note_missing(db, taken.audit, now)
            failpoint("commit.events")
            self._move_position(db, taken, now)
            failpoint("commit.watermark")
        if taken.position is not None and taken.resync is None:
            self.restores.moved(taken.position)
        if taken.deletions:
            self.erasure.rebuild(now)

    @staticmethod
    def _move_position(db: sqlite3.Connection, taken: TakenIn, now: datetime) -> None:
        if taken.position is None:
            return
        if taken.resync is not None:
            db.execute(
                "UPDATE resyncs SET position = ? WHERE id = ?", (to_text(taken.position), taken.resync)
            )
        else:
            count_shown(db, taken.shown, taken.position)
            rows.move_watermark(db, taken.position, now)

    def record_poll(
        self,
        poll: Poll,
        position: datetime | None = None,
        *,
        every: timedelta | None = None,
        is_alone: bool = False,
    ) -> None:
        """
        Write a finished cycle.

        Args:
            poll: The cycle and its figures.
            position: The new watermark, where the feed showed nothing that had to be written. None leaves
                the watermark.
            every: How often the daemon runs cycles at least, where that has to be written.
            is_alone: Whether the process runs this one cycle, as `once` does.
        """
        with self._db.transaction() as db:
            failpoint("poll.record")
            if position is not None:
                count_shown(db, {}, position)
                rows.move_watermark(db, position, poll.finished_at or utc_now())
            rows.write_poll(db, poll)
            if every is not None:
                expect_cycles(db, every, poll.finished_at or utc_now())
            if is_alone:
                observe_once(db, poll.finished_at or utc_now())
        if position is not None:
            self.restores.moved(position)

    def reset_watermark(self, to: datetime) -> None:
        """Move the watermark to *to*. Recorded events stay, so nothing is sent twice (semantics 3.7)."""
        with self._db.transaction() as db:
            count_shown(db, None, to)
            rows.move_watermark(db, to, utc_now())
            db.execute("DELETE FROM seen_changes")
        self.restores.moved(to)
