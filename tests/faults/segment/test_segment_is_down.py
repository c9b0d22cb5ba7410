"""Segment is down, for however long (faults D3, D9)."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from state.instants import from_text, to_text
from support.checker import problems
from support.endpoints import BATCH, EVENTS
from support.proxy_actions import swallow
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize(
    ("hours", "status"),
    [(1, 503), (13, 500), (13, 408), (13, 429), (72, 503)],
    ids=lambda value: f"{value} h" if value < 100 else str(value),
)
def test_however_long_segment_is_down_everything_is_kept_and_polling_goes_on(
    begin, sandbox, impatient, status, hours
):
    """
    The failure is logged once. When it ends, everything goes out unchanged and in order, followed by what
    happened meanwhile (faults D3).
    """
    world = sandbox.world
    sandbox.clock.advance(-3600 * hours)
    program = begin(SYNC__START="1h")
    headers = {"Retry-After": "0"} if status == 429 else {}
    sandbox.faults.add("segment", BATCH, Fault(status, headers, times=None))
    steps = 6
    with capture_logs() as logs:
        for n in range(steps):
            world.open_conversation(world.add_customer(f"Customer {n}", recorded=False))
            (error,) = program.run().errors
            assert exit_code_of(error) == 1
            assert f"answered {status}" in str(error)
            assert "pending" in str(error)
            assert len(program.events(status="pending")) == n + 1
            sandbox.clock.advance(3600 * hours / steps)
    assert [entry["event"] for entry in logs].count("segment.failed") == 1
    assert sandbox.inbox.attempts == []
    refused = {r.body for r in sandbox.segment_requests if r.body}
    sandbox.faults.clear()
    assert program.run().errors == []
    assert program.statuses() == {"delivered"}
    order = [e["userId"] for e in sandbox.inbox.received]
    assert order == [t.customer_id for t in world.truth()]
    assert all(b'"%s"' % a.message_id.encode() in b"".join(refused) for a in sandbox.inbox.attempts)
    assert all(any(a.raw in body for body in refused) for a in sandbox.inbox.attempts)
    assert problems(sandbox) == []


def _hours_pass(path, hours):
    """Make the events in the outbox look as if they had been put there that many hours earlier."""
    with closing(sqlite3.connect(path)) as connection, connection:
        rows = connection.execute("SELECT message_id, created_at FROM events").fetchall()
        for id_, at in rows:
            earlier = to_text(from_text(at) - timedelta(hours=hours))
            connection.execute("UPDATE events SET created_at = ? WHERE message_id = ?", (earlier, id_))


@pytest.mark.parametrize(
    ("hours", "tried", "marked"),
    [
        pytest.param(19, True, False, id="tried 19 h ago"),
        pytest.param(21, True, True, id="tried 21 h ago"),
        pytest.param(21, False, False, id="made 21 h ago, never tried"),
    ],
)
def test_what_may_have_arrived_before_segment_forgot_it_is_marked(
    begin, sandbox, proxy, monkeypatch, hours, tried, marked, tuned
):
    """
    Segment drops repeats for about a day. An event delivered after that may be a duplicate of an earlier
    attempt (faults D3).
    """
    tuned(retry={"max_attempts": 1})
    busy_minutes(sandbox, 2)
    program = begin(segment=proxy.url)
    if tried:
        proxy.on(BATCH, swallow("reset"))
        program.run()
    else:
        with monkeypatch.context() as polling_only:
            polling_only.setattr("sync.pipeline.delivery.pack", lambda *_, **__: iter(()))
            program.run()
    program.close()
    _hours_pass(program.path, hours)
    program.restart()
    proxy.script.clear()
    program.run()
    assert program.statuses() == {"delivered"}
    reasons = {e["reason"] for e in program.events()}
    if marked:
        assert all(reason and "duplicate" in reason for reason in reasons)
    else:
        assert reasons == {None}


def test_an_event_delivered_six_hours_late_keeps_its_time(begin, sandbox, impatient):
    """
    Segment would move `timestamp` by `sentAt`. So there is no `sentAt`, neither in an event nor beside it
    (faults D9).
    """
    busy_minutes(sandbox, 2)
    program = begin()
    sandbox.faults.add("segment", BATCH, Fault(503, times=None))
    program.run()
    sandbox.clock.advance(6 * 3600)
    refused = [r.body for r in sandbox.segment_requests]
    sandbox.faults.clear()
    assert program.run().errors == []
    assert all(set(json.loads(body)) == {"batch"} for body in refused)
    assert all("sentAt" not in json.loads(a.raw) for a in sandbox.inbox.attempts)
    assert all(e["timestamp"] == e["originalTimestamp"] for e in sandbox.inbox.received)
    assert problems(sandbox) == []


def test_polling_goes_on_while_segment_is_down(begin, sandbox, impatient):
    """A failing delivery does not stop the poll. The watermark moves, and the outbox grows (faults D3)."""
    sandbox.stop_segment()
    program = begin()
    positions = []
    for n in range(3):
        sandbox.world.open_conversation(sandbox.world.add_customer(f"Customer {n}"))
        program.run()
        positions.append(program.watermark)
        sandbox.clock.advance(30)
    assert positions == sorted(set(positions))
    assert [r.path for r in sandbox.gladly_requests].count(EVENTS) == 3
    sandbox.start_segment()
    program.run()
    assert problems(sandbox) == []
