"""
The state file as a file: who may write it, whether it is ours, and how a connection to it is set up.

Durability (semantics 4.6): WAL with `synchronous=FULL`, so every commit is on the disk before it counts and
a power cut costs at most work that had not been committed, which is read again. `secure_delete` overwrites
what is erased (semantics 5.1).
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.errors import (
    NewerSchemaError,
    StateError,
    StateFileError,
    StateWriteError,
    damaged,
)
from state.schema.version import APPLICATION_ID, SCHEMA_VERSION

# The write-ahead log is copied into the file at so many pages (40 MB). SQLite's 1,000 are one chunk of a file
# with millions of rows, whose indexes are written all over: each commit would wait for that, too.
CHECKPOINT_PAGES = 10_000

# How long a statement waits for another connection's lock. Readers never lock a WAL file for long; what
# does is a person's own transaction in the sqlite3 shell.
BUSY_TIMEOUT_MS = 15_000

# What every SQLite 3 file begins with, and how long its header is (SQLite file format, 1.3).
_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """
    Open the state file, in autocommit mode: transactions are begun and ended by name.

    Raises:
        StateFileError: The file is missing (read-only), not SQLite, not ours, damaged or not writable.
        NewerSchemaError: A newer release wrote it.
        StateWriteError: The disk is full.
    """
    is_new = _look_before_touching(path, read_only=read_only)
    if not is_new:
        connection = _open(path, "ro")
        with _closing_on_error(connection, path):
            _refuse_newer(connection, path)
        if read_only:
            return connection
        connection.close()
    connection = _open(path, "rw")
    with _closing_on_error(connection, path):
        _keep_to_the_owner(path)
        if is_new:
            # While the file still has a rollback journal: this way the mark is in the file itself, where
            # the next start looks for it, and not only in a write-ahead log that a crash may leave behind.
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def is_there(path: Path) -> bool:
    """
    Whether there is a state file to read: an empty one is what a first start that was cut short leaves.

    Raises:
        StateFileError: The path cannot be looked at, or its directory does not exist.
    """
    try:
        if not path.parent.is_dir():
            raise StateFileError(f"The directory {path.parent} of the state file does not exist. Create it.")
        return path.exists() and (path.is_dir() or path.stat().st_size > 0)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StateFileError(f"{path} cannot be opened ({why}). Check state.path.") from error


def log_size(path: Path) -> int:
    """Return the size of the write-ahead log of the state file, in bytes. Return 0 where there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except OSError:
        return 0


def _keep_to_the_owner(path: Path) -> None:
    """Its siblings have the mode that the file had when they were made."""
    for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(FileNotFoundError):
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


def _open(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with explaining(path):
        # One thread at a time uses it (the cycle's), but not always the one that opened it.
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


@contextmanager
def _closing_on_error(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        with explaining(path):
            yield
    except BaseException:
        connection.close()
        raise


def _look_before_touching(path: Path, *, read_only: bool) -> bool:
    """
    Refuse what is not ours before SQLite, which creates and repairs what it opens, sees it.

    Returns: whether the file is new (missing or empty; it has then been created, for its owner alone).
    """
    try:
        if not path.parent.is_dir():
            raise StateFileError(f"The directory {path.parent} of the state file does not exist. Create it.")
        if path.is_dir():
            raise StateFileError(f"{path} is a directory. Point state.path at a file.")
        if not path.exists() or not path.stat().st_size:
            if read_only:
                raise StateFileError(f"There is no state file at {path} yet. The first cycle creates it.")
            # Created by hand for its mode: SQLite gives -wal and -shm the mode of the file (semantics 5.4).
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return True
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if not header.startswith(_MAGIC):
            raise StateFileError(
                f"{path} is not an SQLite file; it was left as it is. Point state.path at another file, "
                "or restore the state file from a copy."
            )
        if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
            raise StateFileError(
                f"{path} is an SQLite file of another program; it was left as it is. "
                "Point state.path at another file."
            )
        if not read_only and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
            raise StateFileError(f"{path} or its directory cannot be written by this user.")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StateFileError(f"{path} cannot be opened ({why}). Check state.path.") from error
    return False


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a damaged one is refused here
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise NewerSchemaError(
            f"{path} has schema version {version} and this release knows up to {SCHEMA_VERSION}; it was "
            "left as it is. Install the release that wrote it, or a newer one."
        )


def explained(error: sqlite3.Error, path: Path) -> StateError:
    """Turn what SQLite says into what a person can do about it."""
    text = str(error)
    if isinstance(error, sqlite3.DatabaseError) and ("malformed" in text or "not a database" in text):
        return damaged(path, text)
    if "readonly" in text or "unable to open" in text:
        return StateFileError(f"{path} cannot be written ({text}). Check its owner, mode and directory.")
    if "locked" in text or "busy" in text:
        return StateWriteError(
            f"{path} was locked by another connection for {BUSY_TIMEOUT_MS // 1000} s ({text}). "
            "Nothing is lost; the next cycle tries again. Close what holds a transaction open."
        )
    return StateWriteError(
        f"{path} could not be written ({text}). Nothing is lost and the watermark has not moved: "
        "free space on that disk, and the next cycle carries on."
    )


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Let no SQLite error leave the state store unexplained."""
    try:
        yield
    except sqlite3.Error as error:
        raise explained(error, path) from error
