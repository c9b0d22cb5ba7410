"""
The state file as Datasette sees it: live, read-only, and there or not.

Three things set it apart from Datasette's own `Database`:

* Nothing in this process opens the file but SQLite. POSIX drops all locks of a process on a file when any
  of its descriptors of that file is closed (SQLite, "How To Corrupt", 2.2); without its lock here, a daemon
  that ends would delete the write-ahead log under us, and we would show an old state for ever.
* The file may be missing, or be replaced while we look (the demo does both). Each query looks whether the
  file is still the one that its thread has open.
* Where there is none yet, an empty one with the same tables, in memory, stands in for it: every page and
  every query works from the start, and finds nothing.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from datasette.database import Database

from state.schema.version import APPLICATION_ID

T = TypeVar("T")

# The name in Datasette's addresses: /state/events.
NAME = "state"

# How long a query waits where SQLite has to wait: while the daemon recovers or truncates the log.
_BUSY_TIMEOUT_S = 5.0

_Identity = tuple[int, int] | None


class _Held(NamedTuple):
    identity: _Identity
    connection: sqlite3.Connection


# misc: Datasette comes without types.
class StateDatabase(Database):  # type: ignore[misc]
    """The state file, read-only, one connection for each of Datasette's threads."""

    def __init__(self, datasette: Any, path: Path) -> None:
        super().__init__(datasette, path=str(path.absolute()), is_mutable=True)
        self.file = path.absolute()
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        # What took long to count, and until when it need not be counted again (`inspector.questions`).
        self.answers: dict[str, tuple[float, Any]] = {}

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run *fn* in a thread, with that thread's connection."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.ds.executor, lambda: fn(self._connection()))

    async def execute_write_fn(self, *_: object, **__: object) -> None:
        """
        Raises:
            OperationalError: Always. No page of Datasette's that we serve asks for this.
        """
        raise sqlite3.OperationalError("the state file is only read here")

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """
        Raises:
            OperationalError: Always: Datasette's own way to open a file could write; see `execute_fn`.
        """
        raise sqlite3.OperationalError("the state file is only read here")

    @property
    def size(self) -> int:
        """Bytes; 0 while there is no file."""
        identity = self._identity()
        return self.file.stat().st_size if identity else 0

    @property
    def is_there(self) -> bool:
        """Whether there is a state file yet."""
        return self._identity() is not None

    def close(self) -> None:
        """Close the connections of all threads; none may be running a query."""
        with self._guard:
            while self._all:
                self._all.pop().close()

    def _identity(self) -> _Identity:
        try:
            stat = self.file.stat()
        except OSError:
            return None
        return (stat.st_dev, stat.st_ino) if stat.st_size else None

    def _connection(self) -> sqlite3.Connection:
        identity = self._identity()
        held: _Held | None = getattr(self._own, "held", None)
        if held is not None:
            if held.identity == identity:
                return held.connection
            self._own.held = None
            with self._guard:
                if held.connection in self._all:
                    self._all.remove(held.connection)
            held.connection.close()
        connection = self._open() if identity else None
        if connection is None:
            identity, connection = None, _empty()
        self.ds._prepare_connection(connection, self.name)
        connection.execute("PRAGMA query_only = 1")
        with self._guard:
            self._all.append(connection)
        self._own.held = _Held(identity, connection)
        return connection

    def _open(self) -> sqlite3.Connection | None:
        """Open the file; None while its first cycle is still making it, or where it is not ours."""
        connection = sqlite3.connect(
            f"{self.file.as_uri()}?mode=ro",
            uri=True,
            timeout=_BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,  # closed from the main thread
        )
        try:
            ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
            if ours and connection.execute("PRAGMA user_version").fetchone()[0]:
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None


def _empty() -> sqlite3.Connection:
    from sqlite_utils import Database as SqliteUtilsDatabase

    from state.schema.migration import migrate

    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    migrate(SqliteUtilsDatabase(connection, execute_plugins=False))
    return connection
