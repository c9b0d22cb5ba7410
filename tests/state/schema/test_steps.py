"""The tables and views of the state file (interface 4), which people query."""

import sqlite3
from contextlib import closing

import pytest

from state.instants import to_text, utc_now
from state.records import Status
from state.schema.steps import STEPS
from state.schema.version import APPLICATION_ID, CURRENT, SCHEMA_VERSION
from support.state_samples import (
    EVENT_COLUMNS,
    commit,
    conversation,
    eight,
    event,
    query,
)


def test_days_are_counted_by_event(path, busy):
    """How many of each event a day had, and what became of them."""
    assert query(
        path, "SELECT day, event, events, delivered, pending, rejected, suppressed FROM daily_counts"
    ) == [
        ("2026-11-21", "Gladly Conversation Created", 1, 0, 0, 0, 1),
        ("2026-11-20", "Gladly Conversation Closed", 1, 0, 1, 0, 0),
        ("2026-11-20", "Gladly Conversation Created", 2, 1, 0, 1, 0),
    ]


def test_open_conversations_are_listed_with_their_age(path, store):
    """Open and waiting ones, those unchanged longest first, with the hours they have been open."""
    now = utc_now()
    old, new = conversation("old", at=eight(0)), conversation("new", at=eight(9), status=Status.WAITING)
    old.created_at = new.created_at = now.replace(microsecond=0)
    commit(store, conversations=[new, old, conversation("closed", status=Status.CLOSED)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE conversations SET created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-6 hours')"
            " WHERE id = 'old'"
        )
    assert query(path, "SELECT id, hours_open FROM open_conversations") == [("old", 6.0), ("new", 0.0)]


def test_the_delay_of_each_delivery_is_listed(path, store):
    """From Gladly's record of the change to Segment's answer, in seconds."""
    commit(store, event("m-1"), event("m-2"))
    store.outbox.mark_delivered(["m-1"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE events SET delivered_at = ? WHERE message_id = 'm-1'", (to_text(eight(2.5)),)
        )
    assert query(path, "SELECT message_id, seconds FROM delivery_lag") == [("m-1", 2.5)]


# Interface 4, column for column.
PUBLIC = {
    "watermark": {"feed", "position", "updated_at"},
    "conversations": {"id", "customer_id", "status", "created_at", "closed_at", "updated_at"},
    "events": EVENT_COLUMNS | {"type"},
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
    "receivers": {"id", "accepted_at"},
    "seen_changes": {"id", "recorded_at"},
    "quarantine": {"id", "seen_at", "source", "reason", "line"},
}


KEYS = {
    "watermark": "feed",
    "conversations": "id",
    "events": "message_id",
    "polls": "id",
    "receivers": "id",
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
