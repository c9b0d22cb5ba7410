"""Keeps the lines of the feed and of reports that could not be read, for a person to see."""

import json
from collections.abc import Iterable, Sequence

from state.instants import to_text, utc_now
from state.records import BadLine
from state.writer.connection import WriterConnection


class Quarantine:
    """Finds and dismisses the lines that could not be read."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def known_bad_lines(self, lines: Iterable[BadLine]) -> set[str]:
        """Return the ids of those *lines* that are in quarantine already: the overlap is read twice."""
        ids = (line.id for line in lines)
        return {row[0] for row in self._connection.rows_in("SELECT id FROM quarantine WHERE id IN ({})", ids)}

    def dismiss(self, ids: Sequence[str] | None) -> int:
        """
        Note that a person has seen these lines and gaps, or all (None). They need no attention any more.

        Their text is erased. Their ids and reasons stay, so that a line that is read again is recognised.
        Return how many were dismissed.
        """
        with self._connection.transaction() as db:
            seen = "UPDATE quarantine SET dismissed_at = ?, line = NULL WHERE dismissed_at IS NULL"
            now = to_text(utc_now())
            if ids is None:
                return db.execute(seen, (now,)).rowcount
            return sum(db.execute(seen + " AND id = ?", (now, id_)).rowcount for id_ in ids)

    def erase_lines(self, texts: Sequence[str]) -> int:
        """
        Erase the lines in which one of these texts stands. Their ids and reasons stay.

        Return how many were erased.
        """
        with self._connection.transaction() as db:
            return db.execute(
                "UPDATE quarantine SET line = NULL"
                " WHERE EXISTS (SELECT 1 FROM json_each(?) AS text WHERE instr(line, text.value))",
                (json.dumps(list(texts)),),
            ).rowcount
