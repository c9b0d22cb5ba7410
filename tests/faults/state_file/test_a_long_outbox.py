"""The outbox has grown long (faults C15)."""

import contextlib
import sqlite3
import time
from datetime import timedelta

import pytest

from sandbox import Fault
from state.reader import Reader
from state.store import Store
from support.chunks import nth_chunk
from support.processes import errors_of

pytestmark = pytest.mark.long


def test_a_long_outbox_is_kept_whole_and_drained_in_order(installation):
    """
    Segment is down for long. `once` gives up soon, and `status` raises the alarm. No event is dropped or
    moved (faults C15).
    """
    sandbox, count = installation.sandbox, 20_000
    with Store(installation.state_path) as store:
        for number in range(4):
            chunk = nth_chunk(number, count // 4)
            chunk.position = sandbox.clock.now() - timedelta(minutes=1)
            store.commit(chunk)
    down = Fault(status=503, headers={"Retry-After": "600"}, times=None)
    sandbox.faults.add("segment", "*", down)
    begun = time.monotonic()
    done = installation.run("once")
    assert time.monotonic() - begun < 20
    assert done.returncode == 1
    assert "Segment" in errors_of(done)
    with contextlib.closing(sqlite3.connect(installation.state_path)) as db, db:
        db.execute("UPDATE events SET created_at = '2026-11-20T08:00:00.000Z'")
    alarm = installation.run("status", "--max-lag", "1h")
    assert alarm.returncode == 1
    assert "oldest pending event" in errors_of(alarm)
    sandbox.faults.clear()
    posts = len(sandbox.segment_requests)
    assert installation.run("once").returncode == 0
    sent = [attempt.message_id for attempt in sandbox.inbox.attempts]
    assert sent == [f"message-conversation-{number}-{n}" for number in range(4) for n in range(count // 4)]
    assert len(sandbox.segment_requests) - posts < count / 500
    with Reader(installation.state_path) as reader:
        assert {status: n for status, n in reader.event_counts().items() if n} == {"delivered": count}
