"""
Decides who may write the state file: one process for each role, and one process at a time.

A process takes a role when it opens the file and keeps it until it closes the file. The processes of
different roles take turns: a process has the turn while it reads something and writes what follows from it.

A lock is held on the state file itself, and on a lock file beside it. The lock on the file holds for every
name and every mount of it. The lock file says which process has the lock, and stays where the state file is
replaced.
"""

import contextlib
import errno
import fcntl
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from state.errors import StateFileError, StateLockedError

# A process that waits for the turn looks again after so many seconds.
_TURN_LOOK_S = 0.05


# Where our locks are in the state file: far behind SQLite's own (at 2^30), and behind every end of a file.
_FIRST_LOCKED_BYTE = 1 << 60

# A lock file holds a process id and a note, and no more than this.
_LOCK_FILE_BYTES = 200

# Linux has locks on a part of a file that belong to a descriptor. Those of POSIX end when the process closes
# any descriptor of the file. Elsewhere the lock file alone is locked.
_SET_LOCK: int | None = getattr(fcntl, "F_OFD_SETLK", None)


class Role(NamedTuple):
    """
    What a process holds the state file for. One process at a time has a role.

    Attributes:
        suffix: What the name of the role's lock file adds to the name of the state file.
        what: The words with which a message names the process that has the role.
    """

    suffix: str
    what: str


MAIN = Role(".lock", "a daemon, or a cycle still running")
RESYNC = Role(".resync.lock", "a resync")
AUDIT = Role(".audit.lock", "an audit")


class FileLock:
    """
    A lock between processes: on the state file itself, and `flock` on a file that stands next to it.

    The kernel gives the lock back when the process ends, however it ends. The lock file stays, because
    removing it would race with a process that is opening it.

    The state file must be closed by SQLite before this lock is closed: to close a descriptor of a file ends
    the locks that SQLite has on it in this process.

    Args:
        path: The state file.
        suffix: What the name of the lock file adds to the name of the state file.
        create: Whether taking the lock creates a missing state file, which is empty then.

    Attributes:
        note: What `write_note` has written, in this process or an earlier one; empty where nothing has been
            written since the lock file was made. None where an older release wrote the lock file, or the lock
            has not been taken.

    Raises:
        StateFileError: The lock file cannot be written.
    """

    def __init__(self, path: Path, suffix: str, *, create: bool = True) -> None:
        self.note: str | None = None
        self._itself = _RangeLock(path, suffix, create=create)
        self._path = path.with_name(path.name + suffix)
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateFileError(
                f"{self._path} cannot be written ({error.strerror}). "
                "Check state.path and that its directory exists and belongs to this user."
            ) from error

    def try_to_take(self) -> bool:
        """
        Take the lock if no other process has it, and write this process's id into the lock file.

        Returns: whether this process has the lock now.

        Raises:
            StateFileError: The file system does not support locks.
        """
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise StateFileError(
                f"{self._path} cannot be locked ({error.strerror}). Keep the state file on a local disk."
            ) from error
        if not self._itself.try_to_take():
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            return False
        self.note = _note(self._read())
        self._write()
        return True

    def write_note(self, note: str) -> None:
        """Write a note into the lock file, one line. It stays there when the lock is given back."""
        self.note = note
        self._write()

    def _write(self) -> None:
        with contextlib.suppress(OSError):  # on a full disk nothing is written, and the lock holds
            note = "" if self.note is None else f"{self.note}\n"
            written = os.pwrite(self._fd, f"{os.getpid()}\n{note}".encode(), 0)
            os.ftruncate(self._fd, written)

    def _read(self) -> str:
        return os.pread(self._fd, _LOCK_FILE_BYTES, 0).decode("ascii", "replace")

    def give_back(self) -> None:
        """Let another process take the lock."""
        self._itself.give_back()
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    @property
    def holder(self) -> str:
        """Return the id of the process that took the lock last, as text. Return `""` if it is not known."""
        return self._read().partition("\n")[0].strip()

    def close(self) -> None:
        """Close the lock file, and the state file as this lock opened it, which gives the lock back."""
        self._itself.close()
        os.close(self._fd)


def locked_byte(suffix: str) -> int:
    """Return which byte of the state file is locked for the lock file with this suffix."""
    return _FIRST_LOCKED_BYTE + zlib.crc32(suffix.encode())


class _RangeLock:
    """
    A lock on one byte of the state file, which no name or mount of the file escapes.

    A file that cannot be opened is not locked: whoever opens it next says what is wrong with it.
    """

    def __init__(self, path: Path, name: str, *, create: bool) -> None:
        self._path = path
        self._byte = locked_byte(name)
        self._flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        self._fd: int | None = None

    def try_to_take(self) -> bool:
        """Take the lock. Return False where another process has it."""
        if self._fd is None and _SET_LOCK is not None:
            with contextlib.suppress(OSError, ValueError):
                self._fd = os.open(self._path, self._flags, 0o600)
        return self._set(fcntl.F_WRLCK)

    def give_back(self) -> None:
        """Let another process take the lock."""
        self._set(fcntl.F_UNLCK)

    def _set(self, kind: int) -> bool:
        if self._fd is None or _SET_LOCK is None:
            return True
        try:
            # struct flock of 64-bit Linux: type, whence, start, length, process id.
            fcntl.fcntl(self._fd, _SET_LOCK, struct.pack("hhqqi4x", kind, os.SEEK_SET, self._byte, 1, 0))
        except OSError as error:
            # Any other error: this file system has no such locks. The lock file is locked all the same.
            return error.errno not in (errno.EAGAIN, errno.EACCES)
        return True

    def close(self) -> None:
        """Close the file, which gives the lock back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _note(content: str) -> str | None:
    if not content:
        return ""
    lines = content.split("\n")
    # A release that knew no notes wrote one line. An empty second line says that nothing is noted yet.
    return lines[1] if len(lines) > 2 else None


def note_in(path: Path, role: Role) -> str | None:
    """
    Return the note in the lock file of a role that another process may have.

    Args:
        path: The state file, with all links resolved.
        role: The role.

    Returns: the note; empty where there is no lock file, and None where it holds none.
    """
    try:
        return _note(path.with_name(path.name + role.suffix).read_text("ascii", "replace"))
    except OSError:
        return ""


def take_role(path: Path, role: Role, *, create: bool = True) -> FileLock:
    """
    Take a role for this process.

    Args:
        path: The state file, with all links resolved: another name for the file is the same file.
        role: The role.
        create: Whether a missing state file is created, empty.

    Returns: the lock; closing it gives the role back.

    Raises:
        StateLockedError: Another process has this role. The message names its process id.
        StateFileError: The lock file cannot be written.
    """
    lock = FileLock(path, role.suffix, create=create)
    if lock.try_to_take():
        return lock
    who = f"process {lock.holder}" if lock.holder else "another process"
    lock.close()
    raise StateLockedError(f"{path} is held by {who} ({role.what}). Stop it, or wait until it has finished.")


class Turn:
    """
    The turn among those who have the file open for writing: the daemon, a resync, an audit.

    The threads of one process take turns, too. They share one connection to the file.

    The turn is fair: a process that gives it back while the other one waits gets it again after the other
    one. Whoever waits for the turn holds a second lock, the place at the head of the queue, until it has the
    turn. Nobody takes the turn without that place. The queue has one place: a third process waits for that.

    Args:
        path: The state file, with all links resolved.

    Attributes:
        looks: How often this process has looked in vain. It grows for as long as it waits.

    Raises:
        StateFileError: The lock file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.looks = 0
        self._in_this_process = threading.Lock()  # the locks on files belong to the whole process
        with contextlib.ExitStack() as undo:
            self._lock = FileLock(path, ".turn.lock")
            undo.callback(self._lock.close)
            self._place = FileLock(path, ".queue.lock")
            undo.pop_all()

    @contextmanager
    def held(self, sleep: Callable[[float], object], waiting: Callable[[], object] | None) -> Iterator[None]:
        """
        Hold the turn for as long as the block takes. Wait for it first.

        Args:
            sleep: Waits so many seconds. It may raise, which ends the waiting.
            waiting: Called once if another process has the turn.
        """
        told = False

        def wait_for(try_to_take: Callable[[], bool]) -> None:
            nonlocal told
            while not try_to_take():
                if waiting is not None and not told:
                    waiting()
                    told = True
                self.looks += 1
                sleep(_TURN_LOOK_S)

        wait_for(lambda: self._in_this_process.acquire(blocking=False))
        try:
            wait_for(self._place.try_to_take)
            try:
                wait_for(self._lock.try_to_take)
            finally:
                self._place.give_back()
            try:
                yield
            finally:
                self._lock.give_back()
        finally:
            self._in_this_process.release()

    @contextmanager
    def held_if_free_within(self, seconds: float) -> Iterator[None]:
        """Hold the turn for as long as the block takes. If *seconds* pass first, run the block without it."""
        until = time.monotonic() + seconds
        while not (taken := self._lock.try_to_take()) and time.monotonic() < until:
            time.sleep(_TURN_LOOK_S)
        try:
            yield
        finally:
            if taken:
                self._lock.give_back()

    def close(self) -> None:
        """Close the lock files."""
        self._place.close()
        self._lock.close()
