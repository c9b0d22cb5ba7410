"""The bytes of the state file are not those that were written (faults C9)."""

import random
import subprocess

import pytest

from state.store import Store
from support.chunks import nth_chunk
from support.installation import Installation
from support.processes import errors_of, running, stderr_of
from support.state_file import state_bytes
from support.worlds import history

pytestmark = pytest.mark.long


def _damaged(installation: Installation, offset: int, garbage: bytes) -> dict[str, bytes]:
    """Overwrite part of the state file, and return the bytes it then has."""
    with installation.state_path.open("r+b") as file:
        file.seek(offset)
        file.write(garbage)
    return state_bytes(installation)


@pytest.fixture
def filled(installation):
    """The installation has a state file of some hundred pages."""
    with Store(installation.state_path) as store:
        for number in range(1, 30):
            chunk = nth_chunk(number, 20)
            chunk.position = None
            store.commit(chunk)
            store.outbox.mark_delivered([event.message_id for event in chunk.events])
    return installation


@pytest.mark.parametrize("command", ["once", "run", "check", "status"])
def test_garbage_in_the_header_is_refused_untouched(filled, command):
    """
    The command ends with exit 2. The file stays byte for byte the same, and no new one is made in its place
    (faults C9).
    """
    before = _damaged(filled, 0, random.Random(9).randbytes(100))
    done = filled.run(command, timeout=20)
    assert done.returncode == 2
    assert f"{filled.state_path.name} is not an SQLite file" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert state_bytes(filled) == before


@pytest.mark.parametrize("command", ["run", "check"])
def test_overwritten_pages_are_found_at_the_start(filled, command):
    """
    They are found before anything is read or sent. The command ends with exit 2, leaves the file untouched,
    and names both remedies (faults C9).
    """
    requests = len(filled.sandbox.gladly_requests)
    middle = filled.state_path.stat().st_size // 2 // 4096 * 4096
    before = _damaged(filled, middle, random.Random(9).randbytes(8 * 4096))
    filled.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "30s"
    with running(filled, command) as process:
        try:
            code = process.wait(8)
        except subprocess.TimeoutExpired:
            pytest.fail(f"`{command}` runs on a damaged file")
        said = stderr_of(filled) + (process.stdout.read() if process.stdout else "")
    assert code == 2
    assert "is damaged" in said
    assert "Restore it from a copy, or move it away" in said
    assert "Traceback" not in said
    assert state_bytes(filled) == before
    if command == "run":
        assert len(filled.sandbox.gladly_requests) == requests


@pytest.mark.parametrize("seed", range(2))
def test_damage_met_in_the_middle_of_a_cycle_is_told_as_such(filled, seed):
    """A cycle does its work on the whole pages, or ends with a documented code and a sentence (faults C9)."""
    draw = random.Random(seed)
    history(filled.sandbox)
    pages = filled.state_path.stat().st_size // 4096
    for _ in range(pages // 4):
        _damaged(filled, 4096 * draw.randrange(1, pages), draw.randbytes(4096))
    done = filled.run("once")
    assert done.returncode in (0, 2), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert "is damaged" in errors_of(done)
