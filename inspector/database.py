"""
Gives Datasette the state file: live, read-only, and possibly not there yet.

Three things set it apart from Datasette's own `Database`:

* In this process, only SQLite opens the file. POSIX drops all locks of a process on a file when any of its
  descriptors of that file is closed (SQLite, "How To Corrupt", 2.2). Without our lock, a daemon that ends
  would delete the write-ahead log that we read, and we would show an old state for ever.
* The file may be missing, or be replaced while we look. The demo does both. Each query makes sure that the
  file is still the one that its thread has open.
* Where there is none yet, an empty one in memory stands in for it. So every page and every query works from
  the start, and finds nothing.
"""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from datasette.database import Database, QueryInterrupted
from datasette.utils import sqlite_timelimit

from state.role_watch import Holder, RoleWatch
from state.schema.migration import empty_state
from state.schema.version import APPLICATION_ID

P = ParamSpec("P")
T = TypeVar("T")

# The name in Datasette's addresses: /state/events.
NAME = "state"

# How long a query waits for SQLite while the daemon recovers or truncates the log.
_BUSY_TIMEOUT_S = 5.0

# An answer is given again for this many times as long as the question took.
_REST = 10

_Identity = tuple[int, int] | None


class _Held(NamedTuple):
    identity: _Identity
    connection: sqlite3.Connection


# misc: Datasette comes without types.
class StateDatabase(Database):  # type: ignore[misc]
    """Reads the state file with one read-only connection for each of Datasette's threads."""

    def __init__(self, datasette: Any, path: Path) -> None:
        super().__init__(datasette, path=str(path.absolute()), is_mutable=True)
        self.file = path.absolute()
        self._own = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._guard = threading.Lock()
        # Answers by key, each with the time until which it is given again (monotonic).
        self._answers: dict[str, tuple[float, Any]] = {}
        # One for each file that was here. Closing one while SQLite has its file open ends SQLite's locks.
        self._watches: dict[_Identity, RoleWatch] = {}

    async def ask(
        self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """
        Return the answer to a question, which may ask several of `state.queries`.

        Args:
            question: A function that takes a connection and then *args* and *kwargs*.

        Raises:
            QueryInterrupted: The question took longer than Datasette allows a query.
        """

        def within_the_limit(connection: sqlite3.Connection) -> T:
            with sqlite_timelimit(connection, self.ds.sql_time_limit_ms):
                try:
                    return question(connection, *args, **kwargs)
                except sqlite3.OperationalError as error:
                    if error.args == ("interrupted",):
                        raise QueryInterrupted(error, question.__name__, args) from error
                    raise

        return await self.execute_fn(within_the_limit)

    async def ask_rested(
        self,
        key: str,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """
        Return the answer to a question, or its last answer while asking again would take too much time.

        A question that took one second is asked again after ten: it takes at most a tenth of the time.

        Args:
            key: The name under which the answer is kept.
            question: A function that takes a connection and then *args* and *kwargs*.
        """
        until, answer = self._answers.get(key, (0.0, None))
        if time.monotonic() >= until:
            began = time.monotonic()
            answer = await self.ask(question, *args, **kwargs)
            ended = time.monotonic()
            self._answers[key] = (ended + _REST * (ended - began), answer)
        rested: T = answer
        return rested

    async def execute(self, *args: Any, **more: Any) -> Any:
        """Run a query as Datasette does. One that fails is not printed: its parameters may be an e-mail."""
        return await super().execute(*args, **{**more, "log_sql_errors": False})

    async def execute_fn(self, fn: Callable[[sqlite3.Connection], T]) -> T:
        """Run *fn* in a thread, with that thread's connection."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.ds.executor, lambda: fn(self._connection()))

    async def execute_write_fn(self, *_: object, **__: object) -> None:
        """
        Refuse to write.

        Raises:
            OperationalError: Always. No page of Datasette's that we serve asks for this.
        """
        raise sqlite3.OperationalError("the state file is only read here")

    def connect(self, write: bool = False) -> sqlite3.Connection:
        """
        Refuse to open the file in Datasette's own way, which could write. See `execute_fn`.

        Raises:
            OperationalError: Always.
        """
        raise sqlite3.OperationalError("the state file is only read here")

    @property
    def size(self) -> int:
        """Return the size of the file in bytes. Return 0 while there is no file."""
        identity = self._identity()
        return self.file.stat().st_size if identity else 0

    @property
    def is_there(self) -> bool:
        """Return whether there is a state file yet."""
        return self._identity() is not None

    def holder(self) -> Holder:
        """Return whether a process runs cycles over the file at this moment, and its id."""
        identity = self._identity()
        if identity is None:
            return Holder(False)
        with self._guard:
            if identity not in self._watches:
                self._watches[identity] = RoleWatch(self.file)
            return self._watches[identity].holder()

    def close(self) -> None:
        """Close the connections of all threads. No thread may be running a query."""
        with self._guard:
            while self._all:
                self._all.pop().close()
            while self._watches:
                self._watches.popitem()[1].close()

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
            identity, connection = None, empty_state()
        self.ds._prepare_connection(connection, self.name)
        connection.execute("PRAGMA query_only = 1")
        with self._guard:
            self._all.append(connection)
        self._own.held = _Held(identity, connection)
        return connection

    def _open(self) -> sqlite3.Connection | None:
        """Open the file. Return None while the first cycle is still making it, or where it is not ours."""
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
