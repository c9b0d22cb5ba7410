"""The state file as a file: what is refused and left alone, and who may read it."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from state.errors import StateFileError
from state.reader import Reader
from state.store import Store
from support.state_samples import bytes_around, commit, event

BOTH = pytest.mark.parametrize("open_it", [Store, Reader], ids=["for writing", "for reading"])


def not_sqlite(path):
    path.write_bytes(b"Dear diary, \x00\xff" * 500)


def shorter_than_a_header(path):
    path.write_bytes(b"SQLite")


def of_another_program(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name)")


def with_its_schema_overwritten(path):
    Store(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + b"\xa5" * 3996 + whole[4096:])


def cut_to_its_header(path):
    Store(path).close()
    path.write_bytes(path.read_bytes()[:100])


@BOTH
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(not_sqlite, "not an SQLite file", id="a diary"),
        pytest.param(shorter_than_a_header, "not an SQLite file", id="a few bytes"),
        pytest.param(of_another_program, "of another program", id="another program's"),
        pytest.param(with_its_schema_overwritten, "is damaged", id="ours, overwritten"),
        pytest.param(cut_to_its_header, "is damaged", id="ours, cut short"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_and_left_as_it_is(path, open_it, spoil, why):
    """Whatever is not a whole state file of ours keeps every byte and its mode; the message names it."""
    spoil(path)
    path.chmod(0o644)
    before = path.read_bytes()

    with pytest.raises(StateFileError, match=why) as refused, open_it(path) as opened:
        # A damaged file may show itself only when it is read.
        opened.watermark()

    assert str(path) in str(refused.value)
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o644


@BOTH
def test_a_directory_in_its_place_is_refused(path, open_it):
    """The message names it, and it stays empty."""
    path.mkdir()
    with pytest.raises(StateFileError, match=rf"{path} is a directory"):
        open_it(path)
    assert list(path.iterdir()) == []


@BOTH
def test_a_directory_that_is_missing_is_named_and_not_made(tmp_path, open_it):
    """A mistyped path makes no directories."""
    with pytest.raises(StateFileError, match="missing"):
        open_it(tmp_path / "missing" / "state.db")
    assert list(tmp_path.iterdir()) == []


def test_reading_a_file_that_is_missing_makes_none(path):
    """Looking is not creating."""
    with pytest.raises(StateFileError, match="no state file"):
        Reader(path)
    assert bytes_around(path) == {}


# Root may write everything, so this is tried as somebody who may not.
_AS_A_PLAIN_USER = """
import os, sys
from pathlib import Path
import sqlite_utils, state.schema.migration
from state.errors import StateFileError
from state.store import Store
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    Store(Path(sys.argv[1]))
except StateFileError as error:
    print(error)
"""


@pytest.fixture
def shared_directory():
    """A directory that everybody may look into (pytest's own may not)."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    yield directory
    directory.chmod(0o755)
    shutil.rmtree(directory)


@pytest.mark.parametrize(
    ("file_mode", "directory_mode"),
    [pytest.param(0o444, 0o777, id="file"), pytest.param(0o666, 0o555, id="directory")],
)
def test_a_file_that_may_not_be_written_is_refused_and_left_as_it_is(
    shared_directory, file_mode, directory_mode
):
    """A read-only file or directory is said to be one, before anything is written or made."""
    path = shared_directory / "state.db"
    Store(path).close()
    for lock in shared_directory.glob("*.lock"):  # these are not what it stumbles over
        lock.chmod(0o666)
    path.chmod(file_mode)
    shared_directory.chmod(directory_mode)
    before = path.read_bytes()

    refused = subprocess.run(
        [sys.executable, "-c", _AS_A_PLAIN_USER, str(path)],
        env={**os.environ, "COVERAGE_PROCESS_CONFIG": ""},  # what measures coverage writes files, too
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (refused.stderr, str(path) in refused.stdout) == ("", True)
    assert "cannot be written" in refused.stdout
    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == file_mode


@pytest.fixture
def usual_umask():
    """The umask most systems have, under which files are readable by all unless somebody minds."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes_around(path):
    return {file.name: file.stat().st_mode & 0o777 for file in path.parent.glob(path.name + "*")}


@pytest.mark.usefixtures("usual_umask")
def test_the_file_and_its_siblings_are_readable_by_their_owner_alone(path):
    """The state file, its write-ahead log, its index and its lock hold mode 0600 (semantics 5.4)."""
    with Store(path) as store:
        commit(store, event("m-1"))
        modes = modes_around(path)
    assert {"state.db", "state.db-wal", "state.db-shm", "state.db.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}


@pytest.mark.usefixtures("usual_umask")
def test_a_reader_leaves_nothing_that_others_can_read(path):
    """What SQLite makes beside the file for a reader has the file's own mode."""
    Store(path).close()
    with Reader(path) as reader:
        reader.watermark()
        assert set(modes_around(path).values()) == {0o600}


@pytest.mark.usefixtures("usual_umask")
def test_a_file_that_others_could_read_is_closed_to_them(path):
    """A file copied back with the usual mode is put right when it is opened for writing."""
    Store(path).close()
    path.chmod(0o644)
    Store(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("usual_umask")
def test_an_empty_file_is_taken_as_new_and_closed_to_others(path):
    """`touch` and a creation cut short look the same: the file becomes a state file, for its owner alone."""
    path.touch(0o644)
    with Store(path) as store:
        assert store.watermark() is None
    assert path.stat().st_mode & 0o777 == 0o600
