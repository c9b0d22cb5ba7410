"""Notes which audited days a person has seen."""

from collections.abc import Sequence

from state.instants import to_text, utc_now
from state.writer.connection import WriterConnection


class AuditedDays:
    """Dismisses the days that could not be proved, or were mended (semantics 6.2)."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def dismiss(self, days: Sequence[str] | None) -> int:
        """
        Note that a person has seen these days, or all (None). They need no attention any more.

        Return how many were dismissed.
        """
        with self._connection.transaction() as db:
            seen = "UPDATE audits SET dismissed_at = ? WHERE dismissed_at IS NULL AND outcome <> 'complete'"
            now = to_text(utc_now())
            if days is None:
                return db.execute(seen, (now,)).rowcount
            return sum(db.execute(seen + " AND day = ?", (now, day)).rowcount for day in days)
