"""
Finds out whether the state file is a copy of an earlier state that somebody put back (faults H1.20).

What the sync reads again after that has been sent before, perhaps with other content. Segment drops repeats
for about a day only. Later ones are marked as possible duplicates (`Outbox.mark_delivered`).
"""

from datetime import datetime
from pathlib import Path

from state.file import explaining
from state.instants import to_text
from state.locks import MAIN, FileLock, note_in
from state.writer.connection import WriterConnection


class Restores:
    """
    Compares the file with what its lock file says of it, and keeps that up to date.

    The lock file notes the watermark and the inode of the state file. A file whose watermark is older, or
    whose inode is another, was put back. So was a file beside which no process has noted anything, even if
    `check` has made a lock file there.

    Args:
        connection: The connection of the store.
        path: The state file, with all links resolved.
        lock: The lock of the main role, where this process has it. Only then is anything noted.
        is_scratch: Whether the file is a copy for a dry run. It is never taken for one that was put back.
    """

    def __init__(
        self, connection: WriterConnection, path: Path, lock: FileLock | None, *, is_scratch: bool = False
    ) -> None:
        self._connection = connection
        self._inode = path.stat().st_ino
        self._lock = lock
        self._noted = note_in(path, MAIN) if lock is None else lock.note
        if is_scratch:
            self._noted = None

    def note_if_put_back(self, now: datetime) -> bool:
        """
        Write down that the file was put back, if it was, and return whether it was.

        Args:
            now: The present instant. What was recorded before it may have been sent already.
        """
        rows = self._connection.rows("SELECT position FROM watermark")
        if not rows:
            self._write("")  # the file is new, and its first watermark may come in another process
            return False
        position = rows[0][0]
        if is_put_back := self._is_put_back(position):
            with explaining(self._connection.path):
                self._connection.raw.execute(
                    "INSERT INTO restores (found_at, position) VALUES (?, ?)", (to_text(now), position)
                )
        self._write(position)
        return is_put_back

    def _is_put_back(self, position: str) -> bool:
        if self._noted is None:
            return False  # a release that noted nothing wrote the lock file
        inode, _, noted = self._noted.partition(" ")
        return inode != str(self._inode) or noted > position

    def moved(self, position: datetime) -> None:
        """Note that the watermark has moved."""
        self._write(to_text(position))

    def _write(self, position: str) -> None:
        self._noted = f"{self._inode} {position}"
        if self._lock is not None:
            self._lock.write_note(self._noted)
