"""The tables, views and version of the state file (interface 4), and how older files come to them."""

import sqlite3
from contextlib import closing

import pytest
from sqlite_utils import Database

from state.errors import NewerSchemaError, StateError
from state.reader import Reader
from state.schema.steps import migrations
from state.schema.version import APPLICATION_ID, COUNTS_SINCE, SCHEMA_VERSION
from state.store import Store
from support.state_samples import content_of, query, schema_of

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
STEPS = [step.name for step in migrations.pending(Database(memory=True))]


def file_of_an_older_release(path, steps, journal="wal"):
    """Make a file as a release with only the first *steps* migrations left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA journal_mode = {journal}")
        stop_before = STEPS[steps] if steps < len(STEPS) else None
        migrations.apply(Database(connection), stop_before=stop_before)
        connection.execute(f"PRAGMA user_version = {steps}")


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


def test_the_version_counts_the_migrations(path, store):
    """`PRAGMA user_version` is the number of migrations, and the file is marked as ours."""
    assert query(path, "PRAGMA user_version") == [(len(STEPS),)]
    assert len(STEPS) == SCHEMA_VERSION
    assert query(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


@pytest.mark.parametrize("steps", range(len(STEPS)), ids=lambda steps: f"with {steps} of {len(STEPS)} steps")
def test_a_migrated_file_has_the_schema_of_a_new_one(tmp_path, steps):
    """It makes no difference through how many releases a file has come."""
    Store(tmp_path / "new.db").close()
    file_of_an_older_release(tmp_path / "old.db", steps)
    Store(tmp_path / "old.db").close()
    assert schema_of(tmp_path / "old.db") == schema_of(tmp_path / "new.db")
    assert query(tmp_path / "old.db", "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_migrating_keeps_what_was_stored(path):
    """An older release's watermark is where it was."""
    file_of_an_older_release(path, 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO watermark VALUES ('conversations', '2026-11-20T08:00:00.000Z', '')")
    with Store(path) as store:
        assert store.watermark().isoformat() == "2026-11-20T08:00:00+00:00"


def test_a_file_of_the_last_release_is_read_before_it_migrates(path):
    """`status` and the other reading commands answer beside a daemon that has not been restarted yet."""
    file_of_an_older_release(path, SCHEMA_VERSION - 1)
    with Reader(path) as reader:
        assert (reader.quarantined(), reader.needs_attention(), reader.watermark()) == (0, [], None)


def test_a_file_without_counts_is_counted_and_from_then_on_counts_itself(path):
    """Before it is migrated by whoever reads it, afterwards by what the migration found."""
    file_of_an_older_release(path, COUNTS_SINCE - 1)
    with closing(sqlite3.connect(path)) as connection, connection:
        for n, status in enumerate(["delivered", "delivered", "pending"]):
            connection.execute(
                "INSERT INTO events (message_id, conversation_id, customer_id, transition, event,"
                " occurred_at, status) VALUES (?, 'c', 'u', 'created', 'e', '', ?)",
                (f"m-{n}", status),
            )
    expected = {"pending": 1, "delivered": 2, "rejected": 0, "suppressed": 0}
    with Reader(path) as reader:
        assert reader.event_counts() == expected
    with Store(path) as store, Reader(path) as reader:
        assert reader.event_counts() == expected
        store.outbox.mark_delivered(["m-2"])
        assert reader.event_counts() == expected | {"pending": 0, "delivered": 3}


def test_a_migration_that_fails_leaves_the_file_at_its_old_version(path):
    """All steps and the version are one transaction: the file is at the old version or at the new one."""
    file_of_an_older_release(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW delivery_lag AS SELECT 1")  # in the way of the last step
    schema, content = schema_of(path), content_of(path)

    with pytest.raises(StateError, match="delivery_lag"):
        Store(path)

    assert schema_of(path) == schema
    assert content_of(path) == content
    assert query(path, "PRAGMA user_version") == [(1,)]


def test_after_a_migration_that_failed_the_next_start_migrates(path):
    """Once what was in the way is gone, nothing else has to be mended."""
    file_of_an_older_release(path, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE VIEW delivery_lag AS SELECT 1")
        with pytest.raises(StateError):
            Store(path)
        connection.execute("DROP VIEW delivery_lag")
    Store(path).close()
    assert query(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_opening_a_file_that_is_up_to_date_writes_nothing_to_it(path):
    """A restart is no change: the file stays as it is, byte for byte."""
    Store(path).close()
    before = path.read_bytes()
    Store(path).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("open_it", [Store, Reader], ids=["for writing", "for reading"])
@pytest.mark.parametrize("journal", ["wal", "delete"])
def test_a_newer_schema_is_refused_untouched(path, open_it, journal):
    """A newer release's file keeps every byte and its mode, and the message names both versions."""
    file_of_an_older_release(path, len(STEPS), journal)
    with closing(sqlite3.connect(path)) as connection:
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
