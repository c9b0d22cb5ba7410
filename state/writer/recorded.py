"""The events that are recorded: which of them are due, and what became of them (semantics 2.4)."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from state.failpoints import failpoint
from state.instants import from_text, to_text
from state.records import EventType, LookedUp, LookedUpEvent, RecordedEvent, Transition
from state.writer.connection import WriterConnection
from state.writer.erasure import Erasure, erase_customer

# No look-up waits longer than this. A later instant was written while this machine's clock was ahead.
_LONGEST_WAIT = timedelta(days=1)

# A held event waits, and so do the later events of its conversation.
_DUE = """
    SELECT message_id, conversation_id, customer_id, transition, event, occurred_at, created_at, attempts,
           agent_id, CAST(payload AS BLOB), waits_for, type
    FROM events AS e
    WHERE status = 'recorded'
    AND NOT (next_attempt_at IS NOT NULL AND next_attempt_at > :now AND next_attempt_at < :far)
    AND NOT EXISTS (
        SELECT 1 FROM events AS earlier
        WHERE earlier.conversation_id = e.conversation_id AND earlier.status = 'recorded'
        AND (earlier.occurred_at, earlier.rowid) < (e.occurred_at, e.rowid)
        AND earlier.next_attempt_at IS NOT NULL
        AND earlier.next_attempt_at > :now AND earlier.next_attempt_at < :far)
    ORDER BY occurred_at, rowid LIMIT :limit
"""


class Recorded:
    """
    The recorded events, in recorded order.

    Args:
        connection: The connection of the store.
        erasure: Told when a customer's data was erased.
    """

    def __init__(self, connection: WriterConnection, erasure: Erasure) -> None:
        self._connection = connection
        self._erasure = erasure

    def due(self, now: datetime, limit: int) -> list[RecordedEvent]:
        """
        Return the next events to look up, in recorded order.

        An event that a look-up holds back is left out until its next attempt, and so are the later events of
        its conversation.

        Args:
            now: The instant from which waits count.
            limit: How many events to return at most.
        """
        found = self._connection.rows(
            _DUE, {"now": to_text(now), "far": to_text(now + _LONGEST_WAIT), "limit": limit}
        )
        return [
            RecordedEvent(
                message_id=row[0],
                conversation_id=row[1],
                customer_id=row[2],
                transition=Transition(row[3]),
                event=row[4],
                occurred_at=from_text(row[5]),
                recorded_at=from_text(row[6]),
                attempts=row[7],
                agent_id=row[8],
                payload=row[9],
                waits_for=row[10],
                type=EventType(row[11]),
            )
            for row in found
        ]

    def next_due(self) -> datetime | None:
        """Return when the next look-up that failed is made again. Return None when none is."""
        found = self._connection.rows(
            "SELECT min(next_attempt_at) FROM events"
            " WHERE next_attempt_at IS NOT NULL AND status = 'recorded'"
        )
        return from_text(found[0][0]) if found[0][0] else None

    def waiting(self) -> tuple[int, str]:
        """Return how many events are recorded and not looked up, and why the first of them waits."""
        found = self._connection.rows(
            "SELECT count(*) OVER (), coalesce(reason, '') FROM events WHERE status = 'recorded'"
            " ORDER BY next_attempt_at IS NULL, occurred_at LIMIT 1"
        )
        return found[0] if found else (0, "")

    def was_sent(self, conversation_id: str) -> bool:
        """Return whether an event of a conversation has left for Segment, or is about to."""
        return bool(
            self._connection.rows(
                "SELECT 1 FROM events WHERE conversation_id = ?"
                " AND status IN ('pending', 'delivered', 'rejected') LIMIT 1",
                (conversation_id,),
            )
        )

    def not_found_since(self, kind: str, ids: Iterable[str]) -> dict[str, datetime]:
        """Return which of *ids* Gladly answered with 404 before, and when it did so first."""
        found = self._connection.rows_in(
            f"SELECT id, seen_at FROM not_found WHERE kind = '{kind}' AND id IN ({{}})",  # noqa: S608 (constant)
            set(ids),
        )
        return {id_: from_text(at) for id_, at in found}

    def finish(self, looked_up: LookedUp) -> None:
        """
        Write what a step of look-ups came to, in one transaction (semantics 4.1).

        Args:
            looked_up: What to write. An event that is not `recorded` any more is left as it is.
        """
        with self._connection.transaction() as db:
            failpoint("lookup.begin")
            db.executemany(
                "UPDATE conversations SET customer_id = ?, created_at = ?, status = CASE WHEN status IN"
                " ('OPEN', 'WAITING') THEN coalesce(?, status) ELSE status END WHERE id = ?",
                (
                    (c.customer_id, c.created_at and to_text(c.created_at), c.status and c.status.value, c.id)
                    for c in looked_up.conversations
                ),
            )
            failpoint("lookup.conversations")
            _write_events(db, looked_up.events)
            for kind, id_, at in looked_up.not_found:
                db.execute("INSERT OR IGNORE INTO not_found VALUES (?, ?, ?)", (kind, id_, to_text(at)))
            db.executemany("DELETE FROM not_found WHERE kind = ? AND id = ?", looked_up.found)
            for customer_id, (at, reason) in looked_up.deletions.items():
                erase_customer(db, customer_id, at, reason)
            failpoint("lookup.events")
        if looked_up.deletions:
            self._erasure.rebuild()

    def look_up_again(self) -> None:
        """
        Let the owners of all pending events be looked up once more, before those events leave.

        A gap that was read from Gladly's report does not show who was deleted in it (semantics 3.5). The
        events keep their bytes. The topics of conversations are no longer known either.
        """
        with self._connection.transaction() as db:
            db.execute("UPDATE events SET status = 'recorded' WHERE status = 'pending'")
            db.execute("UPDATE conversations SET topic_changes = NULL WHERE topic_changes IS NOT NULL")

    def retry(self, message_ids: Sequence[str] | None) -> int:
        """Look up held events again at once: those named, or all (None). Return how many there were."""
        return self._change("next_attempt_at = NULL, attempts = 0", message_ids)

    def dismiss(self, message_ids: Sequence[str] | None) -> int:
        """Give held events up: those named, or all (None). Return how many there were."""
        return self._change(
            "status = 'suppressed', reason = 'dismissed', next_attempt_at = NULL, waits_for = NULL,"
            " payload = NULL",
            message_ids,
        )

    def _change(self, what: str, message_ids: Sequence[str] | None) -> int:
        with self._connection.transaction() as db:
            # S608: what is set is a constant of this class.
            sql = f"UPDATE events SET {what} WHERE status = 'recorded' AND next_attempt_at IS NOT NULL"  # noqa: S608
            if message_ids is None:
                return db.execute(sql).rowcount
            return sum(db.execute(sql + " AND message_id = ?", (id_,)).rowcount for id_ in message_ids)


def _write_events(db: sqlite3.Connection, events: Sequence[LookedUpEvent]) -> None:
    """Write what became of events. One that was looked up begins to count its attempts anew."""
    db.executemany(
        "UPDATE events SET status = ?, reason = ?, payload = CAST(? AS TEXT), customer_id = ?, waits_for = ?,"
        " next_attempt_at = ?, attempts = ? WHERE message_id = ? AND status = 'recorded'",
        (
            (
                e.status.value,
                e.reason,
                e.payload,
                e.customer_id,
                e.waits_for,
                e.next_attempt_at and to_text(e.next_attempt_at),
                e.attempts,
                e.message_id,
            )
            for e in events
        ),
    )
