"""The state file has one writer, whatever becomes of its lock files and by whatever name it is opened."""

import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from state.errors import StateLockedError
from state.locks import MAIN, RESYNC, Turn
from state.reader import Reader
from state.store import Store
from support.chunks import commits_in, nth_chunk
from support.confinement import in_a_mount_namespace
from support.state_file import rows

ROOT = Path(__file__).parents[3]


@contextmanager
def held(path, role="MAIN"):
    """Let another process hold the file, as a daemon does."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(path), role],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def lose_the_lock_files(path):
    """Delete every lock file, and keep the path."""
    for lock in path.parent.glob("*.lock"):
        lock.unlink()
    return path


def replace_the_lock_files(path):
    """Put other files in place of the lock files, as a restored directory has them."""
    for lock in path.parent.glob("*.lock"):
        lock.unlink()
        lock.write_text("1\n")
    return path


def another_name(path):
    """Return a hard link in the same directory."""
    os.link(path, path.with_name("other.db"))
    return path.with_name("other.db")


def another_directory(path):
    """Return a hard link in another directory."""
    (path.parent / "elsewhere").mkdir()
    os.link(path, path.parent / "elsewhere" / path.name)
    return path.parent / "elsewhere" / path.name


def a_link_to_another_name(path):
    """Return a symbolic link to a hard link."""
    link = path.with_name("link.db")
    link.symlink_to(another_name(path))
    return link


@pytest.mark.parametrize("role", ["MAIN", "RESYNC"])
@pytest.mark.parametrize(
    "escape",
    [lose_the_lock_files, replace_the_lock_files, another_name, another_directory, a_link_to_another_name],
)
def test_a_second_writer_is_turned_away(tmp_path, escape, role):
    """The lock is on the state file itself. It is free as soon as its process has ended (faults H3.8)."""
    path = tmp_path / "state.db"
    other = {"MAIN": MAIN, "RESYNC": RESYNC}[role]
    with held(path, role) as holder:
        by = escape(path)
        with pytest.raises(StateLockedError, match="is held by"):
            Store(by, other)
        assert holder.poll() is None
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        Store(path, other).close()


def test_a_file_mounted_alone_in_two_places_has_one_writer(tmp_path):
    """So two containers have it that mount the file and not its directory (faults H3.8)."""
    done = subprocess.run(
        [*in_a_mount_namespace(), sys.executable, "-c", _TWO_MOUNTS, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "turned away\n", "")


def test_a_daemon_and_a_resync_take_turns_without_their_lock_files(tmp_path):
    """The turn is a lock on the state file, too (faults H3.8)."""
    path = tmp_path / "state.db"
    with Store(path) as store, store.turn():
        lose_the_lock_files(path)
        with closing(Turn(path)) as turn, turn.held_if_free_within(0.1):
            assert not turn._lock.try_to_take()


def test_a_reader_in_the_writers_process_leaves_its_locks_alone(tmp_path):
    """
    A scrape of the metrics reads the file in the daemon's process. Another program that then opens and closes
    the file does not take itself for the last one, and leaves the log to the daemon (faults H3.8).
    """
    path = tmp_path / "state.db"
    with Store(path) as store:
        store.commit(nth_chunk(1))
        for _ in range(3):
            with Reader(path) as reader:
                assert reader.watermark()
        subprocess.run([sys.executable, "-c", _SHELL, str(path)], check=True)
        store.commit(nth_chunk(2))
        found = subprocess.run(
            [sys.executable, "-c", _SHELL, str(path)], check=True, capture_output=True, text=True
        )
        assert found.stdout == "2\n"
        assert commits_in(store) == 2
    assert rows(path, "SELECT count(*) FROM events") == [(2,)]


def test_looking_at_a_missing_file_creates_none(tmp_path, installation):
    """`check` before the first cycle takes the lock and leaves no file (faults H3.8)."""
    assert "will be created" in installation.run("check").stdout
    assert not installation.state_path.exists()


_HOLDER = """
import sys
from pathlib import Path
from state.locks import MAIN, RESYNC
from state.store import Store
with Store(Path(sys.argv[1]), {"MAIN": MAIN, "RESYNC": RESYNC}[sys.argv[2]]):
    print("held", flush=True)
    sys.stdin.read()
"""

_SHELL = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(*db.execute("SELECT count(*) FROM events").fetchone())
db.close()
"""

_TWO_MOUNTS = """
import subprocess, sys
from pathlib import Path
from state.errors import StateLockedError
from state.store import Store
here = Path(sys.argv[1])
Store(here / "state.db").close()
for name in ("one", "two"):
    (here / name).mkdir()
    (here / name / "state.db").touch()
    subprocess.run(["mount", "--bind", here / "state.db", here / name / "state.db"], check=True)
with Store(here / "one" / "state.db"):
    try:
        Store(here / "two" / "state.db")
    except StateLockedError:
        print("turned away")
"""
