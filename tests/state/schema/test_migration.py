"""How a file comes to a newer schema, and that nothing but migrating changes it."""

import sqlite3
from contextlib import closing

import pytest

from state.errors import NewerSchemaError, OlderSchemaError, StateError
from state.instants import utc_now
from state.locks import MAIN, RESYNC
from state.reader import Reader
from state.records import TakenIn
from state.schema.version import SCHEMA_VERSION
from state.store import Store
from support.state_samples import (
    NEXT_RELEASE,
    commit,
    content_of,
    copy_as_after_a_kill,
    eight,
    event,
    query,
    schema_of,
    whole_file,
)


def test_a_migrated_file_has_the_schema_of_a_new_one(tmp_path, older):
    """It makes no difference whether a file was made by an older release."""
    Store(tmp_path / "new.db", schema=NEXT_RELEASE).close()
    Store(older, migrate=True, schema=NEXT_RELEASE).close()
    assert schema_of(older) == schema_of(tmp_path / "new.db")
    assert query(older, "PRAGMA user_version") == [(NEXT_RELEASE.version,)]


@pytest.mark.parametrize("role", [MAIN, RESYNC], ids=["run or once", "resync"])
def test_migrating_keeps_what_was_stored(older, role):
    """The watermark is where it was, and so are all rows."""
    before = content_of(older)
    with Store(older, role, migrate=True, schema=NEXT_RELEASE) as store:
        assert store.watermark() == eight()
    assert {name: rows for name, rows in content_of(older).items() if name in before} == before | {
        "_sqlite_migrations": query(older, "SELECT * FROM _sqlite_migrations")
    }


@pytest.mark.parametrize("role", [MAIN, RESYNC], ids=["watermark reset", "retry and dismiss"])
@pytest.mark.parametrize("leftovers", [False, True], ids=["whole", "with a log of a killed process"])
def test_an_older_file_is_refused_untouched_unless_it_is_to_be_migrated(tmp_path, older, role, leftovers):
    """The message names both versions and what migrates; the older release goes on with its file."""
    if leftovers:
        with Store(older) as store:
            commit(store, event("m-2"), deletions={"customer": (eight(), "customer was deleted")})
            commit(store, event("m-3"))
            older = copy_as_after_a_kill(older, tmp_path / "killed")
    before = whole_file(older)

    with pytest.raises(
        OlderSchemaError,
        match=rf"version {SCHEMA_VERSION} .* needs version {SCHEMA_VERSION + 1}.*once.*run.*migrates it",
    ):
        Store(older, role, schema=NEXT_RELEASE)

    assert whole_file(older) == before
    Store(older).close()


def test_a_migration_that_fails_leaves_the_file_at_its_old_version(older):
    """All steps and the version are one transaction: the file is at the old version or at the new one."""
    query(older, "CREATE VIEW notes AS SELECT 1")  # in the way of the next release's step
    schema, content = schema_of(older), content_of(older)

    with pytest.raises(StateError, match="notes"):
        Store(older, migrate=True, schema=NEXT_RELEASE)

    assert schema_of(older) == schema
    assert content_of(older) == content
    assert query(older, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_after_a_migration_that_failed_the_next_start_migrates(older):
    """Once what was in the way is gone, nothing else has to be mended."""
    query(older, "CREATE VIEW notes AS SELECT 1")
    with pytest.raises(StateError):
        Store(older, migrate=True, schema=NEXT_RELEASE)
    query(older, "DROP VIEW notes")
    Store(older, migrate=True, schema=NEXT_RELEASE).close()
    assert query(older, "PRAGMA user_version") == [(NEXT_RELEASE.version,)]


@pytest.mark.parametrize("migrate", [False, True])
def test_opening_a_file_that_is_up_to_date_writes_nothing_to_it(path, migrate):
    """A restart is no change: the file stays as it is, byte for byte."""
    Store(path).close()
    before = path.read_bytes()
    Store(path, migrate=migrate).close()
    assert path.read_bytes() == before


def test_opening_wipes_and_rebuilds_nothing(path):
    """An erasure that an earlier process could not finish is left to the next cycle."""
    with Store(path) as store:
        store.commit(TakenIn(deletions={"customer": (eight(), "customer was deleted")}))
    with closing(sqlite3.connect(path)) as somebody, somebody:
        somebody.execute("UPDATE customers SET wiped_at = NULL")
    before = whole_file(path)
    with Store(path) as store:
        assert whole_file(path) == before
        store.erasure.wipe(utc_now())
    assert query(path, "SELECT count(*) FROM customers WHERE wiped_at IS NULL") == [(0,)]


@pytest.mark.parametrize("open_it", [Store, Reader], ids=["for writing", "for reading"])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_newer_schema_is_refused_untouched(path, open_it, journal):
    """A newer release's file keeps every byte and its mode, and the message names both versions."""
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    path.chmod(0o640)
    before = path.read_bytes()

    with pytest.raises(NewerSchemaError, match=rf"version {SCHEMA_VERSION + 1} .* up to {SCHEMA_VERSION}"):
        open_it(path)

    assert path.read_bytes() == before
    assert path.stat().st_mode & 0o777 == 0o640
