"""Another process holds a lock on the state file (faults C5)."""

import contextlib
import sqlite3
import time

import pytest

from state.errors import StateWriteError
from state.instants import from_text
from state.store import Store
from support.chunks import commits_in, nth_chunk
from support.processes import running
from support.recovery import assert_nothing_lost
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


def test_a_lock_of_another_process_is_waited_for(installation):
    """A transaction in someone's sqlite3 shell delays a cycle, and does not make it fail (faults C5)."""
    history(installation.sandbox)
    assert installation.run("once").returncode == 0
    people_writing_in(installation.sandbox, 1, seconds_ago=20)
    with contextlib.closing(sqlite3.connect(installation.state_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with running(installation, "once") as waiting:
            time.sleep(1.2)
            assert waiting.poll() is None
            other.execute("ROLLBACK")
            assert waiting.wait(10) == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_a_lock_held_too_long_is_an_error_that_passes(tmp_path):
    """
    The sentence names the file and the remedy, and nothing is written. The next attempt succeeds (faults C5).
    """
    with (
        Store(tmp_path / "state.db") as store,
        contextlib.closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other,
    ):
        store._connection.execute("PRAGMA busy_timeout = 50")
        store.commit(nth_chunk(1))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateWriteError, match=r"state\.db was locked by another connection") as raised:
            store.commit(nth_chunk(2))
        assert "Close what holds a transaction open" in str(raised.value)
        other.execute("ROLLBACK")
        assert commits_in(store) == 1
        store.commit(nth_chunk(2))
        assert commits_in(store) == 2


def test_every_transaction_takes_the_write_lock_at_its_beginning(tmp_path):
    """
    A deferred transaction could find at its first write that its reads are out of date, and fail at once
    (faults C5).
    """
    with Store(tmp_path / "state.db") as store:
        said: list[str] = []
        store._connection.set_trace_callback(said.append)
        store.commit(nth_chunk(1))
        store.outbox.mark_delivered(["message-conversation-1-0"])
        store.outbox.retry(None)
        store.reset_watermark(from_text("2026-11-20T08:00:00Z"))
        store.outbox.replay(from_text("2026-11-20T08:00:00Z"))
        begins = [statement for statement in said if statement.upper().startswith("BEGIN")]
    assert begins == ["BEGIN IMMEDIATE"] * 5
