"""Notes which receivers have taken events. A refusal is blamed on an event only there (semantics 4.4)."""

from datetime import datetime, timedelta

from state.instants import to_text, utc_now
from state.writer.connection import WriterConnection

# An acceptance is noted again after this. So it costs no write for each batch.
_NOTED_AGAIN_AFTER = timedelta(minutes=30)


class Receivers:
    """
    Reads and notes when each receiver last took events.

    A receiver is a write key at an address. Its id holds the key's fingerprint, and never the key.
    """

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def has_accepted(self, receiver: str, since: datetime) -> bool:
        """Return whether *receiver* took an event at or after *since*."""
        return bool(
            self._connection.rows(
                "SELECT 1 FROM receivers WHERE id = ? AND accepted_at BETWEEN ? AND ?",
                (receiver, to_text(since), to_text(utc_now())),
            )
        )

    def note_accepted(self, receiver: str) -> None:
        """Note that *receiver* has just taken an event."""
        now = utc_now()
        if self.has_accepted(receiver, now - _NOTED_AGAIN_AFTER):
            return
        with self._connection.transaction() as db:
            db.execute("INSERT OR REPLACE INTO receivers VALUES (?, ?)", (receiver, to_text(now)))
