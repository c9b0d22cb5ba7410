"""A transaction is written whole or not at all, and every error says what to do."""

import sqlite3
from contextlib import closing

import pytest

from state.errors import StateError, StateWriteError
from state.reader import Reader
from state.records import (
    BadLine,
    TakenIn,
)
from support.state_samples import (
    EVERYTHING,
    POLL,
    commit,
    content_of,
    eight,
    event,
    ids,
    outbox,
    query,
)


@pytest.mark.parametrize(
    "table", ["seen_changes", "conversations", "customers", "events", "quarantine", "watermark"]
)
def test_where_one_write_fails_nothing_is_written(path, store, table):
    """Whichever table refuses, every table and the watermark stay as they were (semantics 4.1)."""
    commit(store, event("m-0", customer="ben"), position=eight(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        before = content_of(path)

        with pytest.raises(StateWriteError, match="refused"):
            store.commit(EVERYTHING)

        assert content_of(path) == before
        somebody.execute("DROP TRIGGER refuse")
    store.commit(EVERYTHING)
    assert store.watermark() == eight(100)


def test_a_full_disk_loses_nothing(path, store):
    """The message names the file and what to do, the watermark has not moved, and space mends it."""
    commit(store, event("m-0"), position=eight(1))
    before = content_of(path)
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 30}")
    large = [event(f"m-{n}", padding=20_000) for n in range(1, 100)]

    with pytest.raises(StateWriteError, match=rf"{path} could not be written.*full.*watermark has not moved"):
        commit(store, *large, position=eight(2))

    assert content_of(path) == before
    assert (store.watermark(), ids(outbox(store))) == (eight(1), ["m-0"])
    store._connection.execute("PRAGMA max_page_count = 1000000")
    commit(store, *large, position=eight(2))
    assert len(outbox(store)) == 100


def test_an_error_of_the_callers_rolls_back_too(path, store):
    """A record that cannot be written leaves no half of a chunk and no open transaction."""
    before = content_of(path)
    broken = BadLine("events", "not JSON", None)
    with pytest.raises(TypeError):
        store.commit(TakenIn(position=eight(), events=[event("m-1")], bad_lines=[broken]))
    assert content_of(path) == before
    commit(store, event("m-1"), position=eight())


def test_a_poll_and_the_watermark_it_moves_are_one_transaction(path, store):
    """Where the row of the poll cannot be written, the watermark has not moved."""
    query(path, "CREATE TRIGGER refuse BEFORE INSERT ON polls BEGIN SELECT RAISE(ABORT, 'refused'); END")
    with pytest.raises(StateWriteError):
        store.record_poll(POLL, eight(5))
    assert store.watermark() is None


def test_no_sqlite_error_leaves_the_store_unexplained(store):
    """Whatever SQLite says becomes a StateError, which the commands know how to tell."""
    store._connection.execute("DROP TABLE seen_changes")
    with pytest.raises(StateError):
        store.seen_changes()


def test_a_reader_sees_only_what_is_committed(path, store):
    """In the middle of a transaction the file is, to others, as it was before it."""
    seen_meanwhile = []

    def bad_lines():  # written after the events, in the same transaction
        with Reader(path) as reader:
            seen_meanwhile.append((reader.event_counts()["pending"], reader.watermark()))
        yield BadLine("events", "not JSON", b"{")

    store.commit(TakenIn(position=eight(), events=[event("m-1")], bad_lines=bad_lines()))

    assert seen_meanwhile == [(0, None)]
    with Reader(path) as reader:
        assert reader.event_counts()["pending"] == 1


def test_a_transaction_of_somebody_else_is_waited_for_and_then_said(path, store):
    """A lock held too long costs that write alone, and the message says whose work it is to end it."""
    store._connection.execute("PRAGMA busy_timeout = 50")  # fifteen seconds are long for a test
    before = content_of(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateWriteError, match=rf"{path} was locked by another connection"):
            commit(store, event("m-1"), position=eight())
        somebody.execute("ROLLBACK")
    assert content_of(path) == before
    commit(store, event("m-1"), position=eight())
    assert len(outbox(store)) == 1
