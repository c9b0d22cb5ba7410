"""Keeps the outbox: which events are to be delivered, and what Segment answered about them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from state.instants import to_text, utc_now
from state.records import PendingEvent
from state.writer.connection import WriterConnection

# Segment drops repeats of a messageId for about 24 hours (Segment docs, "Handling Duplicate Data"). An event
# that is delivered so long after it was recorded is marked if there was an earlier attempt: that attempt may
# have arrived. So is an event that was recorded so long ago if the state file was put back from a copy since:
# it may have been delivered before.
MAY_DUPLICATE_AFTER = timedelta(hours=20)

_AN_ATTEMPT = "may be a duplicate: an earlier attempt was over 20 hours ago"
_A_COPY = "may be a duplicate: the state file was put back from a copy"


class Outbox:
    """Reads the pending events, and notes what became of each."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def pending(self, after: tuple[str, int] | None, limit: int) -> list[PendingEvent]:
        """
        Return the next events to deliver, in the order in which Gladly recorded their changes.

        Args:
            after: The position of the last event of the page before; None begins at the beginning.
            limit: How many events to return at most.
        """
        rows = self._connection.rows(
            "SELECT occurred_at, rowid, message_id, CAST(payload AS BLOB) FROM events"
            " WHERE status = 'pending' AND (occurred_at, rowid) > (?, ?) ORDER BY occurred_at, rowid LIMIT ?",
            (*(after or ("", 0)), limit),
        )
        return [PendingEvent((row[0], row[1]), row[2], row[3]) for row in rows]

    def mark_delivered(self, message_ids: Sequence[str], now: datetime | None = None) -> None:
        """
        Note that Segment answered 2xx for these events.

        Args:
            message_ids: The events. Those that are not pending any more are left alone.
            now: The present instant. None takes this machine's clock.
        """
        now = now or utc_now()
        at, long_ago = to_text(now), to_text(now - MAY_DUPLICATE_AFTER)
        with self._connection.transaction() as db:
            (put_back_at,) = db.execute("SELECT max(found_at) FROM restores").fetchone()
            db.executemany(
                "UPDATE events SET status = 'delivered', delivered_at = ?, reason = CASE"
                " WHEN attempts > 0 AND created_at < ? THEN ?"
                " WHEN occurred_at < ? AND occurred_at < ? THEN ? END,"
                " attempts = attempts + 1 WHERE message_id = ? AND status = 'pending'",
                ((at, long_ago, _AN_ATTEMPT, long_ago, put_back_at, _A_COPY, id_) for id_ in message_ids),
            )

    def mark_rejected(self, message_id: str, reason: str) -> None:
        """Note that Segment refuses this one event. The event is kept and can be retried (semantics 4.4)."""
        with self._connection.transaction() as db:
            db.execute(
                "UPDATE events SET status = 'rejected', reason = ?, attempts = attempts + 1"
                " WHERE message_id = ? AND status = 'pending'",
                (reason, message_id),
            )

    def mark_attempted(self, message_ids: Sequence[str], reason: str) -> None:
        """
        Note that an attempt failed for a reason outside these events. They stay pending (semantics 4.5).

        Args:
            message_ids: The events of the attempt. Those that are not pending any more are left alone.
            reason: Why it failed.
        """
        with self._connection.transaction() as db:
            db.executemany(
                "UPDATE events SET attempts = attempts + 1, reason = ?"
                " WHERE message_id = ? AND status = 'pending'",
                ((reason, id_) for id_ in message_ids),
            )

    def retry(self, message_ids: Sequence[str] | None) -> int:
        """Make rejected events pending again: those named, or all (None). Return how many there were."""
        with self._connection.transaction() as db:
            again = "UPDATE events SET status = 'pending', reason = NULL WHERE status = 'rejected'"
            if message_ids is None:
                return db.execute(again).rowcount
            return sum(db.execute(again + " AND message_id = ?", (id_,)).rowcount for id_ in message_ids)

    def dismiss(self, message_ids: Sequence[str] | None) -> int:
        """Give rejected events up: those named, or all (None). Return how many there were."""
        with self._connection.transaction() as db:
            given_up = (
                "UPDATE events SET status = 'suppressed', reason = 'dismissed', payload = NULL"
                " WHERE status = 'rejected'"
            )
            if message_ids is None:
                return db.execute(given_up).rowcount
            return sum(db.execute(given_up + " AND message_id = ?", (id_,)).rowcount for id_ in message_ids)

    def replay(self, since: datetime) -> int:
        """
        Make the delivered events recorded at or after *since* pending again, with their message ids.

        Events whose payload is erased are left alone. Return how many events are pending again.
        """
        with self._connection.transaction() as db:
            return db.execute(
                "UPDATE events SET status = 'pending', delivered_at = NULL WHERE status = 'delivered'"
                " AND payload IS NOT NULL AND occurred_at >= ?",
                (to_text(since),),
            ).rowcount
