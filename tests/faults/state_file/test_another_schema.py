"""The state file is of an older or a newer release (faults C11)."""

import contextlib
import signal
import sqlite3
from pathlib import Path

import pytest

from state.errors import NewerSchemaError, StateFileError
from state.schema.version import SCHEMA_VERSION
from state.store import Store
from support.processes import FAILPOINT
from support.recovery import assert_nothing_lost
from support.state_file import rows, state_bytes
from support.state_samples import NEXT_RELEASE
from support.worlds import history

pytestmark = pytest.mark.long


def test_a_kill_inside_the_first_migration_leaves_an_empty_file(installation):
    """The half-made file is empty, and `status` can read it. The next cycle completes it (faults C11)."""
    installation.settings[FAILPOINT] = "migrate.commit"
    assert installation.run("once").returncode == -signal.SIGKILL
    del installation.settings[FAILPOINT]
    assert rows(installation.state_path, "SELECT name FROM sqlite_master") == []
    assert installation.run("status").returncode == 0
    history(installation.sandbox)
    assert_nothing_lost(installation)
    assert rows(installation.state_path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


# As `once` of the next release opens the file.
_MIGRATE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from state.store import Store
from support.state_samples import NEXT_RELEASE
Store(Path(sys.argv[1]), migrate=True, schema=NEXT_RELEASE).close()
"""


@pytest.mark.parametrize("name", ["migrate.begin", "migrate.commit"])
def test_a_file_of_an_older_release_survives_a_kill_in_its_migration(installation, name):
    """
    The file's content is there before and after the kill. The next start migrates the file (faults C11).
    """

    def migrate():
        process = installation.start(str(installation.state_path), program=["-c", _MIGRATE])
        process.communicate()
        return process.returncode

    history(installation.sandbox)
    assert_nothing_lost(installation)
    events = rows(installation.state_path, "SELECT * FROM events")
    installation.settings[FAILPOINT] = name
    assert migrate() == -signal.SIGKILL
    del installation.settings[FAILPOINT]
    assert rows(installation.state_path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert rows(installation.state_path, "SELECT * FROM events") == events
    assert_nothing_lost(installation)
    assert migrate() == 0
    assert rows(installation.state_path, "PRAGMA user_version") == [(NEXT_RELEASE.version,)]
    assert rows(installation.state_path, "SELECT * FROM events") == events
    Store(installation.directory / "fresh.db", schema=NEXT_RELEASE).close()
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    assert rows(installation.state_path, schema) == rows(installation.directory / "fresh.db", schema)


@pytest.mark.parametrize("command", ["once", "run", "status", "check"])
def test_a_file_of_a_newer_release_is_refused_untouched(installation, command):
    """The command ends with exit 2 and names both versions. It does not change a byte (faults C11)."""
    Store(installation.state_path).close()
    with contextlib.closing(sqlite3.connect(installation.state_path)) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = state_bytes(installation)
    done = installation.run(command)
    assert done.returncode == 2
    said = " ".join((done.stderr + done.stdout).split())
    assert f"has schema version 99 and this release knows up to {SCHEMA_VERSION}" in said
    assert state_bytes(installation) == before


def test_a_newer_file_is_an_error_of_its_own(tmp_path):
    """A caller has to do different things about a newer file and about a damaged one (faults C11)."""
    Store(tmp_path / "state.db").close()
    with contextlib.closing(sqlite3.connect(tmp_path / "state.db")) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(NewerSchemaError):
        Store(tmp_path / "state.db")
    assert issubclass(NewerSchemaError, StateFileError)
