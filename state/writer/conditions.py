"""Keeps what is wrong and goes on, for those who only read the file: the table `conditions`."""

from datetime import datetime

from state.findings import Condition
from state.instants import from_text, to_text, utc_now
from state.writer.connection import WriterConnection


class Conditions:
    """
    Notes when a condition begins, changes and ends. Only the process of the main role does this.

    A condition that is noted again as it is costs no write.
    """

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection
        self._noted: dict[str, tuple[Condition, str]] | None = None  # with the instant it began, as text

    def set(self, condition: Condition, since: datetime | None = None) -> None:
        """
        Note that something is wrong. A condition that was noted before keeps the instant at which it began.

        Args:
            condition: What is wrong.
            since: When it began. None takes the present instant.

        Raises:
            StateWriteError: The file could not be written.
        """
        noted = self._all()
        before = noted.get(condition.id)
        if before is not None and before[0] == condition:
            return
        began = before[1] if before is not None else to_text(since or utc_now())
        with self._connection.transaction() as db:
            db.execute(
                "INSERT INTO conditions (id, what, reason, since, command) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET what = excluded.what, reason = excluded.reason,"
                " command = excluded.command",
                (condition.id, condition.what, condition.reason, began, condition.command),
            )
        noted[condition.id] = condition, began

    def clear(self, id_: str) -> bool:
        """
        Note that a condition is over, and return whether it had been noted.

        Raises:
            StateWriteError: The file could not be written.
        """
        noted = self._all()
        if id_ not in noted:
            return False
        with self._connection.transaction() as db:
            db.execute("DELETE FROM conditions WHERE id = ?", (id_,))
        del noted[id_]
        return True

    def since(self, id_: str) -> datetime | None:
        """Return when a condition began. Return None while it is not noted."""
        found = self._all().get(id_)
        return from_text(found[1]) if found is not None else None

    def _all(self) -> dict[str, tuple[Condition, str]]:
        if self._noted is None:
            rows = self._connection.rows("SELECT id, what, reason, command, since FROM conditions")
            self._noted = {row[0]: (Condition(*row[:4]), row[4]) for row in rows}
        return self._noted
