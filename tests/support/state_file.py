"""What the state file holds, read from outside."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from state.locks import Turn
from support.installation import Installation


def rows(path: Path, sql: str, *parameters: object) -> list[Any]:
    """Ask the state file directly and read-only. Return the rows as tuples."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql, parameters).fetchall()


def quarantined(path: Path) -> list[tuple[str, str]]:
    """Return the lines in quarantine and their reasons, in the order they were put there."""
    return rows(path, "SELECT line, reason FROM quarantine ORDER BY rowid")


def state_bytes(installation: Installation) -> dict[str, bytes]:
    """Return the bytes of the state file and of its log, by file name."""
    files = installation.directory.glob(installation.state_path.name + "*")
    held = {file.name: file.read_bytes() for file in files if not file.name.endswith((".lock", "-shm"))}
    return {name: content for name, content in held.items() if content}  # a reader leaves an empty log


def a_minute_later(path):
    """
    Move the waits for a second answer a minute back, as if that minute had passed since the first.
    """
    then = "strftime('%Y-%m-%dT%H:%M:%fZ', {}, '-61 seconds')"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE not_found SET seen_at = {then.format('seen_at')}")
        db.execute(f"UPDATE events SET next_attempt_at = {then.format('next_attempt_at')}")


@contextmanager
def turn_of_a_resync(path: Path) -> Iterator[None]:
    """Hold the turn on the state file for the time of a block, as a resync does that takes long."""
    turn = Turn(path.resolve())
    with closing(turn), turn.held(time.sleep, None):
        yield
