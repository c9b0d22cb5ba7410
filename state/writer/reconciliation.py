"""Finds the quiet conversations for the reconciler, and notes when each was last compared."""

from collections.abc import Iterable
from datetime import datetime

from state.instants import from_text, to_text, utc_now
from state.records import StoredConversation
from state.writer.connection import WriterConnection
from state.writer.conversations import stored_conversations


class Reconciliation:
    """Reads and notes when stored conversations were last compared with Gladly's."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def last_reconciled(self, now: datetime | None = None) -> datetime | None:
        """
        Return when a conversation was last compared with Gladly. Return None when none ever was.

        Args:
            now: The present instant; None takes this machine's clock. A comparison noted for a later instant
                does not count: it was written while the clock was ahead.
        """
        rows = self._connection.rows(
            "SELECT max(checked_at) FROM conversations WHERE checked_at <= ?", (to_text(now or utc_now()),)
        )
        return from_text(rows[0][0]) if rows[0][0] else None

    def open_conversations(self) -> int:
        """Return how many conversations are stored as open."""
        rows = self._connection.rows(
            "SELECT sum(n) FROM counts WHERE counted = 'conversations' AND status IN ('OPEN', 'WAITING')"
        )
        return int(rows[0][0] or 0)

    def quiet_conversations(
        self, before: datetime, limit: int, now: datetime | None = None
    ) -> list[StoredConversation]:
        """
        Return open conversations that have not changed, and were not compared, since *before*.

        Those that were never compared come first, then those whose comparison is longest ago.

        Args:
            before: The instant.
            limit: How many to return at most.
            now: The present instant; None takes this machine's clock. A comparison noted for a later instant
                does not count.
        """
        rows = self._connection.rows(
            "SELECT id FROM conversations WHERE status IN ('OPEN', 'WAITING') AND updated_at < :before"
            " AND (checked_at IS NULL OR checked_at < :before OR checked_at > :now)"
            " ORDER BY coalesce(checked_at, ''), updated_at LIMIT :limit",
            {"before": to_text(before), "now": to_text(now or utc_now()), "limit": limit},
        )
        return list(stored_conversations(self._connection, (row[0] for row in rows)).values())

    def mark_checked(self, ids: Iterable[str], now: datetime | None = None) -> None:
        """
        Note that these conversations have just been compared with Gladly.

        Args:
            ids: The conversations.
            now: The present instant. None takes this machine's clock.
        """
        at = to_text(now or utc_now())
        with self._connection.transaction() as db:
            db.executemany("UPDATE conversations SET checked_at = ? WHERE id = ?", ((at, id_) for id_ in ids))
