"""
Decides who may write the state file: one process for each role, and one process at a time.

A process takes a role when it opens the file and keeps it until it closes the file. The processes of
different roles take turns: a process has the turn while it reads something and writes what follows from it.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from state.errors import StateFileError, StateLockedError

# A process that waits for the turn looks again after so many seconds.
_TURN_LOOK_S = 0.05


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


class FileLock:
    """
    A lock between processes: `flock` on a file that stands next to the state file.

    The kernel gives the lock back when the process ends, however it ends. The lock file stays, because
    removing it would race with a process that is opening it.

    Args:
        path: The state file.
        suffix: What the name of the lock file adds to the name of the state file.

    Raises:
        StateFileError: The lock file cannot be written.
    """

    def __init__(self, path: Path, suffix: str) -> None:
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
        with contextlib.suppress(OSError):  # on a full disk the id is not written, and the lock holds
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        return True

    def give_back(self) -> None:
        """Let another process take the lock."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    @property
    def holder(self) -> str:
        """Return the id of the process that took the lock last, as text. Return `""` if it is not known."""
        return os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()

    def close(self) -> None:
        """Close the lock file, which gives the lock back."""
        os.close(self._fd)


def take_role(path: Path, role: Role) -> FileLock:
    """
    Take a role for this process.

    Args:
        path: The state file, with all links resolved: another name for the file is the same file.
        role: The role.

    Returns: the lock; closing it gives the role back.

    Raises:
        StateLockedError: Another process has this role. The message names its process id.
        StateFileError: The lock file cannot be written.
    """
    lock = FileLock(path, role.suffix)
    if lock.try_to_take():
        return lock
    who = f"process {lock.holder}" if lock.holder else "another process"
    lock.close()
    raise StateLockedError(f"{path} is held by {who} ({role.what}). Stop it, or wait until it has finished.")


class Turn:
    """
    The turn among the processes that have the file open for writing: the daemon and a resync.

    The turn is fair: a process that gives it back while the other one waits gets it again after the other
    one. Whoever waits for the turn holds a second lock, the place at the head of the queue, until it has the
    turn. Nobody takes the turn without that place. There are two roles, so the queue has one place.

    Args:
        path: The state file, with all links resolved.

    Attributes:
        looks: How often this process has looked in vain. It grows for as long as it waits.

    Raises:
        StateFileError: The lock file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.looks = 0
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

        def wait_for(lock: FileLock) -> None:
            nonlocal told
            while not lock.try_to_take():
                if waiting is not None and not told:
                    waiting()
                    told = True
                self.looks += 1
                sleep(_TURN_LOOK_S)

        wait_for(self._place)
        try:
            wait_for(self._lock)
        finally:
            self._place.give_back()
        try:
            yield
        finally:
            self._lock.give_back()

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
