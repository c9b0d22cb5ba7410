"""The pure room is pure: importing it brings neither HTTP nor SQLite into the process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOM = Path(__file__).parents[2] / "sync" / "events"

IMPURE = {"requests", "urllib3", "sqlite3", "socket", "http.client", "structlog", "tenacity", "apscheduler"}


@pytest.mark.parametrize("file", sorted(path.stem for path in ROOM.glob("[a-z]*.py")))
def test_a_file_of_the_pure_room_imports_nothing_impure(file):
    """In a fresh interpreter, with all that it imports in turn."""
    look = f"import sys, sync.events.{file}; print(*sorted(sys.modules), sep='\\n')"
    # Coverage measures processes by importing itself, and much else, into them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    done = subprocess.run(
        [sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True
    )
    assert not IMPURE & set(done.stdout.splitlines())
