"""Wraps the one connection through which a process writes the state file: its transactions and its reads."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from state.failpoints import failpoint
from state.file import explaining

# SQLite before 3.32 takes 999 parameters a statement. Ids are asked for in slices below that.
_PARAMETERS = 900


class WriterConnection:
    """
    An open connection that turns every SQLite error into a `StateError`, which says what to do.

    Args:
        path: The state file, for messages.
        raw: The connection, in autocommit mode.
    """

    def __init__(self, path: Path, raw: sqlite3.Connection) -> None:
        self.path = path
        self.raw = raw

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        Make the block one transaction. Where the block raises, nothing of it is written.

        The transaction begins with BEGIN IMMEDIATE, because a deferred transaction could find at its first
        write that what it has read is out of date.

        Raises:
            StateWriteError: The transaction could not be written.
        """
        with explaining(self.path):
            self.raw.execute("BEGIN IMMEDIATE")
            try:
                yield self.raw
                failpoint("transaction.commit")
                self.raw.execute("COMMIT")
                failpoint("transaction.committed")
            except BaseException:
                if self.raw.in_transaction:
                    self.raw.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> list[Any]:
        """Return all rows that *sql* finds, as tuples."""
        with explaining(self.path):
            return self.raw.execute(sql, parameters).fetchall()

    def rows_in(self, sql: str, values: Iterable[str]) -> Iterator[Any]:
        """Run *sql* for *values*, slice by slice. The one `{}` in *sql* becomes the slice's parameters."""
        wanted = list(values)
        for start in range(0, len(wanted), _PARAMETERS):
            part = wanted[start : start + _PARAMETERS]
            yield from self.rows(sql.format(",".join("?" * len(part))), part)
