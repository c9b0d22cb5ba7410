"""
Opens the state file: checks that it is ours, keeps it to its owner, and sets up each connection.

Opening a file that has tables changes nothing in it. Durability (semantics 4.6): WAL with `synchronous=FULL`,
so every commit is on the disk before it counts. A power cut costs at most work that had not been committed,
and that work is read again. `secure_delete` overwrites what is erased (semantics 5.1).
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from state.errors import (
    DiskFullError,
    NewerSchemaError,
    OlderSchemaError,
    StateError,
    StateFileError,
    StateWriteError,
    damaged,
)
from state.schema.version import APPLICATION_ID, CURRENT, Schema

# When the write-ahead log has so many pages (60 MB), it is copied into the file. SQLite's default is 1,000.
# In a file with millions of rows one chunk fills these, because it changes indexes all over the file. Each
# commit would then wait for the copying.
CHECKPOINT_PAGES = 15_000

# How long a statement waits for another connection's lock. Readers never lock a WAL file for long. A person's
# own transaction in the sqlite3 shell does.
BUSY_TIMEOUT_MS = 15_000

# The files that SQLite has open for writing in this process: device and inode.
_open_here: list[tuple[int, int]] = []

# What every SQLite 3 file begins with, and how long its header is (SQLite file format, 1.3).
_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100


def open_for_reading(path: Path, schema: Schema = CURRENT) -> sqlite3.Connection:
    """
    Open the state file read-only.

    Args:
        path: The state file.
        schema: The schema that this release knows. A file of an older schema is opened, too.

    Raises:
        StateFileError: The file is missing, not SQLite, not ours or damaged.
        NewerSchemaError: A newer release wrote it.
    """
    if _is_missing_or_empty(path):
        raise StateFileError(f"There is no state file at {path} yet. The first cycle creates it.")
    _refuse_foreign(path)
    return _open_ours(path, schema)


def open_for_writing(path: Path, schema: Schema = CURRENT, *, migrating: bool = False) -> sqlite3.Connection:
    """
    Open the state file for writing, in autocommit mode: the caller executes BEGIN and COMMIT.

    A file that is missing or empty is created, marked as ours and without tables.

    Args:
        path: The state file.
        schema: The schema that this release needs.
        migrating: Whether the caller will migrate the file. If not, a file of an older schema is refused.

    Raises:
        StateFileError: The file is not SQLite, not ours, damaged or not writable.
        NewerSchemaError: A newer release wrote it.
        OlderSchemaError: An older release wrote it, and the caller does not migrate.
        StateWriteError: The disk is full.
    """
    is_new = _is_missing_or_empty(path)
    if is_new:
        _create(path)
    else:
        _refuse_foreign(path)
        check_writable(path)
        with contextlib.closing(_open_ours(path, schema)) as reading:
            version = version_of(reading)
        if 0 < version < schema.version and not migrating:
            raise OlderSchemaError(
                f"{path} has schema version {version} and this release needs version {schema.version}; "
                "it was left as it is. `gladly-segment once` or `gladly-segment run` migrates it. "
                "Then repeat this command."
            )
    connection = _open(path, "rw")
    with _closing_on_error(connection, path):
        _keep_to_the_owner(path)
        if is_new:
            # The mark is set while the file still has a rollback journal. So the mark is in the file itself,
            # where the next start looks for it. After a crash, a mark set later may be only in the log.
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    """Return the version of the file's schema. Return 0 for a file whose creation was cut short."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def is_there(path: Path) -> bool:
    """
    Return whether there is a state file to read. An empty file does not count: nothing was written yet.

    Raises:
        StateFileError: The path cannot be looked at, or its directory does not exist.
    """
    return not _is_missing_or_empty(path, or_directory=True)


def check_writable(path: Path) -> None:
    """
    Make sure that this user may write the file and its directory. Write nothing.

    Raises:
        StateFileError: The file or its directory cannot be written.
    """
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise StateFileError(f"{path} or its directory cannot be written by this user.")


@contextmanager
def open_here(identity: tuple[int, int]) -> Iterator[None]:
    """
    Note that SQLite has a state file open for writing in this process, for as long as the block takes.

    Nothing but SQLite may open and close the file meanwhile: POSIX drops the locks of a process on a file
    when any of its descriptors of that file is closed (SQLite, "How To Corrupt", 2.2). Another program would
    then delete the write-ahead log that is still written.

    Args:
        identity: The device and the inode of the file.
    """
    _open_here.append(identity)
    try:
        yield
    finally:
        _open_here.remove(identity)


def log_size(path: Path) -> int:
    """Return the size of the write-ahead log of the state file, in bytes. Return 0 where there is none."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size
    except (OSError, ValueError):  # ValueError: a path such as "." has no name
        return 0


def explained(error: sqlite3.Error, path: Path) -> StateError:
    """Return the error that tells a person what to do about an error of SQLite."""
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
    return DiskFullError(
        f"{path} could not be written ({text}). Nothing is lost and the watermark has not moved: "
        "free space on that disk, and the next cycle carries on."
    )


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Turn every SQLite error of the block into a `StateError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise explained(error, path) from error


def _is_missing_or_empty(path: Path, *, or_directory: bool = False) -> bool:
    with _explaining_the_path(path):
        if not path.parent.is_dir():
            raise StateFileError(f"The directory {path.parent} of the state file does not exist. Create it.")
        if path.is_dir():
            if or_directory:
                return False
            raise StateFileError(f"{path} is a directory. Point state.path at a file.")
        return not path.exists() or not path.stat().st_size


def _create(path: Path) -> None:
    """Create the file for its owner alone. SQLite gives -wal and -shm the same mode (semantics 5.4)."""
    with _explaining_the_path(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _refuse_foreign(path: Path) -> None:
    """Refuse a file that is not ours before SQLite opens it. SQLite repairs what it opens."""
    with _explaining_the_path(path):
        stat = path.stat()
        if (stat.st_dev, stat.st_ino) in _open_here:
            return  # it was looked at when it was opened
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


def _open_ours(path: Path, schema: Schema) -> sqlite3.Connection:
    """Open read-only, and refuse a damaged file and one of a newer schema."""
    connection = _open(path, "ro")
    with _closing_on_error(connection, path):
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()  # a damaged one is refused here
        version = version_of(connection)
        if version > schema.version:
            raise NewerSchemaError(
                f"{path} has schema version {version} and this release knows up to {schema.version}; it was "
                "left as it is. Install the release that wrote it, or a newer one."
            )
    return connection


def _open(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    with explaining(path):
        # One thread at a time uses the connection: the cycle's, which may not be the one that opened it.
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return connection


def _keep_to_the_owner(path: Path) -> None:
    """Take the rights of others away from the file, and from -wal and -shm, which have its old mode."""
    for each in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with contextlib.suppress(FileNotFoundError):
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)


@contextmanager
def _closing_on_error(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    try:
        with explaining(path):
            yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def _explaining_the_path(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise StateFileError(f"{path} cannot be opened ({why}). Check state.path.") from error
