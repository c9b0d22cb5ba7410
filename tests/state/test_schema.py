"""The tables, views and version of the state file (interface 4), and how an older file comes to them."""

import sqlite3
from contextlib import closing

import pytest

from state.errors import NewerSchemaError, OlderSchemaError, StateError
from state.instants import to_text, utc_now
from state.locks import MAIN, RESYNC
from state.reader import Reader, read_status
from state.records import TakenIn
from state.schema.steps import STEPS
from state.schema.version import APPLICATION_ID, CURRENT, SCHEMA_VERSION
from state.store import Store
from support.state_samples import (
    NEXT_RELEASE,
    content_of,
    conversation,
    copy_as_after_a_kill,
    eight,
    event,
    query,
    schema_of,
    take_in,
    whole_file,
)

# Interface 4, column for column.
PUBLIC = {
    "watermark": {"feed", "position", "updated_at"},
    "conversations": {"id", "customer_id", "status", "created_at", "closed_at", "updated_at"},
    "events": {
        "message_id",
        "conversation_id",
        "customer_id",
        "event",
        "occurred_at",
        "status",
        "reason",
        "payload",
        "attempts",
        "created_at",
        "delivered_at",
    },
    "polls": {
        "id",
        "started_at",
        "finished_at",
        "window_start",
        "window_end",
        "changes",
        "created",
        "closed",
        "delivered",
        "requests",
        "outcome",
        "error",
    },
    "seen_changes": {"id", "recorded_at"},
    "quarantine": {"id", "seen_at", "source", "reason", "line"},
}
KEYS = {
    "watermark": "feed",
    "conversations": "id",
    "events": "message_id",
    "polls": "id",
    "seen_changes": "id",
    "quarantine": "id",
}


@pytest.mark.parametrize("table", PUBLIC)
def test_a_new_file_has_the_tables_and_columns_people_query(path, store, table):
    """Every table of interface 4 has at least its columns, under its key."""
    columns = {row[1]: row[5] for row in query(path, f"PRAGMA table_info({table})")}
    assert PUBLIC[table] <= set(columns)
    assert [name for name, in_key in columns.items() if in_key] == [KEYS[table]]


@pytest.mark.parametrize("view", ["open_conversations", "needs_attention", "daily_counts", "delivery_lag"])
def test_a_new_file_has_the_views_people_ask(path, store, view):
    """The views are there and answer, with nothing yet."""
    assert query(path, f"SELECT * FROM {view}") == []


def test_the_version_counts_the_steps(path, store):
    """`PRAGMA user_version` is the number of steps, and the file is marked as ours."""
    assert query(path, "PRAGMA user_version") == [(len(STEPS),)]
    assert len(STEPS) == SCHEMA_VERSION == CURRENT.version
    assert query(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


@pytest.fixture
def older(path):
    """A file of this release with something in it, which is an older one to the next release."""
    with Store(path) as store:
        take_in(store, event("m-1"), conversations=[conversation("c-1")], position=eight())
    return path


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
            take_in(store, event("m-2"), deletions={"customer": (eight(), "customer was deleted")})
            take_in(store, event("m-3"))
            older = copy_as_after_a_kill(older, tmp_path / "killed")
    before = whole_file(older)

    with pytest.raises(
        OlderSchemaError,
        match=rf"version {SCHEMA_VERSION} .* needs version {SCHEMA_VERSION + 1}.*once.*run.*migrates it",
    ):
        Store(older, role, schema=NEXT_RELEASE)

    assert whole_file(older) == before
    Store(older).close()


def test_reading_an_older_file_changes_nothing(older):
    """`status` and the other reading commands answer, beside a daemon that has not been restarted yet."""
    before = whole_file(older)
    with Reader(older, NEXT_RELEASE) as reader:
        assert (reader.quarantined(), reader.needs_attention()) == (0, [])
        assert (reader.event_counts()["pending"], reader.version()) == (1, SCHEMA_VERSION)
    assert read_status(older, utc_now(), NEXT_RELEASE)["watermark"] == to_text(eight())
    assert whole_file(older) == before


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
        store.erasure.wipe()
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


def test_a_creation_that_was_cut_short_is_completed(path):
    """A file that got its mark and nothing else is empty to a reader, and is finished by a writer."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with Reader(path) as reader:
        assert (reader.watermark(), reader.event_counts()["pending"], reader.events()) == (None, 0, [])
    with Store(path) as store:
        assert store.watermark() is None
