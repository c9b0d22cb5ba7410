"""Looks whether a process has the state file open for writing, and disturbs nothing."""

import contextlib
import fcntl
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from state.locks import MAIN, Role, locked_byte

# As for the locks themselves (`state/locks.py`): None where the system has no such question.
_GET_LOCK: int | None = getattr(fcntl, "F_OFD_GETLK", None)


class Holder(NamedTuple):
    """
    Whether a process has a role, and which one.

    Attributes:
        is_there: Whether a process has it.
        process_id: Its id, as that process sees it. None where nobody has the role, or the id is not known.
    """

    is_there: bool
    process_id: int | None = None


class RoleWatch:
    """
    Look whether a process has a role, without taking a lock and without creating a file.

    Open it before SQLite opens the state file in this process, and close it after SQLite has closed it:
    closing a descriptor of a file ends the locks that SQLite has on it in this process.

    Args:
        path: The state file. It may be missing.
        role: The role.
    """

    def __init__(self, path: Path, role: Role = MAIN) -> None:
        itself = path.resolve()
        self._lock_path = itself.with_name(itself.name + role.suffix)
        self._byte = locked_byte(role.suffix)
        self._fd: int | None = None
        if _GET_LOCK is not None:
            with contextlib.suppress(OSError):
                self._fd = os.open(itself, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def holder(self) -> Holder:
        """Return whether a process has the role at this moment, and its id."""
        if not self._is_held():
            return Holder(False)
        try:
            first = self._lock_path.read_text("ascii", "replace").partition("\n")[0].strip()
        except OSError:
            first = ""
        return Holder(True, int(first) if first.isdecimal() else None)

    def _is_held(self) -> bool:
        if self._fd is not None and _GET_LOCK is not None:
            asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, self._byte, 1, 0)
            with contextlib.suppress(OSError):
                answer = fcntl.fcntl(self._fd, _GET_LOCK, asked)
                return bool(struct.unpack("hhqqi4x", answer)[0] != fcntl.F_UNLCK)
        return self._is_lock_file_held()

    def _is_lock_file_held(self) -> bool:
        """
        Look at the lock file, where the state file itself has no such locks.

        The lock can only be tried. It is shared and given back at once.
        """
        try:
            fd = os.open(self._lock_path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def close(self) -> None:
        """Close the state file as this watch opened it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
