"""Segment is slow, down, or refuses; what is sent is sent once, in order and unchanged (D1-D3, D7-D11)."""

import json
import re
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from state import TakenIn
from state.instants import from_text, to_text
from support.checker import problems
from support.program import (
    BATCH,
    EVENTS,
    busy_minutes,
    fill_outbox,
    payload_of,
    pending,
)
from support.raw_server import Proxy, RawServer, cut, drip, hang_up, redirect, stall, swallow, wrong_length
from sync.cli.main import exit_code_of
from sync.segment.client import SegmentClient
from sync.stop import Stop


@pytest.fixture
def proxy(sandbox):
    with Proxy(sandbox.segment_url) as running:
        yield running


def sent_twice(inbox):
    """The bytes of every event that came more than once, by message id."""
    raws = {}
    for attempt in inbox.attempts:
        raws.setdefault(attempt.message_id, []).append(attempt.raw)
    return {id_: came for id_, came in raws.items() if len(came) > 1}


# D1, D2: nobody knows whether it arrived


def test_d1_a_batch_that_arrived_but_was_not_acknowledged_is_sent_again_byte_for_byte(
    begin, sandbox, proxy, impatient, tuned
):
    """Under the same messageIds, so that Segment keeps one of the two."""
    tuned(segment={"request_deadline_s": 0.4})
    busy_minutes(sandbox, 5)
    proxy.on(BATCH, swallow("never"), times=2)
    program = begin(segment=proxy.url)
    assert program.run().errors == []
    again = sent_twice(sandbox.inbox)
    assert len(again) == 10
    assert all(len(came) == 3 and len(set(came)) == 1 for came in again.values())
    assert program.statuses() == {"delivered"}
    assert problems(sandbox) == []


def test_d1_the_same_bytes_also_come_from_the_next_process(begin, sandbox, proxy, tuned):
    """An event is pending until Segment has answered, whoever sends it then."""
    tuned(retry={"max_attempts": 1})
    busy_minutes(sandbox, 2)
    proxy.on(BATCH, swallow("reset"), times=1)
    program = begin(segment=proxy.url)
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert "Segment could not be reached" in str(error)
    assert [(e["status"], e["attempts"]) for e in program.events()] == [("pending", 1)] * 4
    program.restart()
    assert program.run().errors == []
    assert [(e["status"], e["attempts"]) for e in program.events()] == [("delivered", 2)] * 4
    assert all(len(set(came)) == 1 for came in sent_twice(sandbox.inbox).values())
    assert problems(sandbox) == []


def _slow_close(exchange):
    exchange.send_head(200, "OK", [("Connection", "close")])
    exchange.sock.sendall(exchange.forward().body)
    exchange.pause(0.2)


@pytest.mark.parametrize(
    ("fault", "repeats"),
    [
        pytest.param(hang_up(0), False, id="reset before the body"),
        pytest.param(hang_up(0, "close"), False, id="closed before the body"),
        pytest.param(hang_up(100), False, id="reset in the body"),
        pytest.param(hang_up(100, "close"), False, id="closed in the body"),
        pytest.param(swallow("reset"), True, id="reset after the body"),
        pytest.param(swallow("close"), True, id="closed after the body"),
        pytest.param(cut(5), True, id="the answer cut by a close"),
        pytest.param(cut(5, "reset"), True, id="the answer cut by a reset"),
        pytest.param(cut(5, framing="chunked"), True, id="the answer in chunks, cut"),
        pytest.param(stall(0.1, "after", "reset"), True, id="reset after the answer's head"),
        pytest.param(wrong_length(+10), True, id="the answer shorter than it says"),
        pytest.param(drip(bytes_per_s=200), False, id="a slow answer"),
        pytest.param(_slow_close, False, id="a slow close"),
    ],
)
def test_d2_a_connection_that_breaks_anywhere_costs_no_event(
    begin, sandbox, proxy, impatient, fault, repeats
):
    """It is made again within the cycle, and the same bytes are sent."""
    busy_minutes(sandbox, 20)
    proxy.on(BATCH, fault, times=1)
    program = begin(segment=proxy.url)
    result = program.run()
    assert result.errors == []
    assert result.poll.delivered == 40
    again = sent_twice(sandbox.inbox)
    assert len(again) == (40 if repeats else 0)
    assert all(len(set(came)) == 1 for came in again.values())
    assert problems(sandbox) == []


# D3: down for long


@pytest.mark.parametrize(
    ("hours", "status"),
    [(1, 503), (13, 500), (13, 408), (13, 429), (72, 503)],
    ids=lambda value: f"{value} h" if value < 100 else str(value),
)
def test_d3_however_long_segment_is_down_everything_is_kept_and_polling_goes_on(
    begin, sandbox, impatient, status, hours
):
    """Said once; when it ends all goes out in order, as it was, and what happened meanwhile after it."""
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
    """As if the events now in the outbox had been put there that much earlier."""
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
def test_d3_what_may_have_arrived_before_segment_forgot_it_is_marked(
    begin, sandbox, proxy, monkeypatch, hours, tried, marked, tuned
):
    """Segment drops repeats for about a day: delivered after that, an earlier attempt may be a duplicate."""
    tuned(retry={"max_attempts": 1})
    busy_minutes(sandbox, 2)
    program = begin(segment=proxy.url)
    if tried:
        proxy.on(BATCH, swallow("reset"))
        program.run()
    else:
        with monkeypatch.context() as polling_only:
            polling_only.setattr("sync.pipeline.delivery.pack", lambda events, **_: iter(()))
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


# D7: answers that point elsewhere


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_d7_a_redirect_is_an_error_and_nothing_counts_as_sent(begin, sandbox, proxy, status):
    """It would turn the POST into a GET that answers 200; the write key goes nowhere else."""
    busy_minutes(sandbox, 2)

    def handler(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"success":true}')

    with RawServer(handler) as elsewhere:
        proxy.on(BATCH, redirect(f"{elsewhere.url}/v1/batch", status))
        program = begin(segment=proxy.url)
        (error,) = program.run().errors
        assert exit_code_of(error) == 1
        assert re.search(rf"answered {status} with a redirect, which is never followed", str(error))
        assert "segment.base_url or segment.region" in str(error)
        assert elsewhere.seen == []
    assert [path for _, path in proxy.seen] == [BATCH]
    assert program.statuses() == {"pending"}
    assert sandbox.inbox.attempts == []
    proxy.script.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []


# D8, D9: sent as stored, whenever


def test_d8_what_an_earlier_release_stored_goes_out_byte_for_byte(begin, sandbox):
    """Also where this release would have written it otherwise."""
    program = begin()
    old = b'{ "messageId" : "message-0", "event":"Gladly Conversation Created","type":"track",' + (
        b'"userId":"\\u0061", "timestamp": "2026-11-02T12:00:00Z" ,"properties":{"old":1.50} }'
    )
    fill_outbox(program.store, [old], sandbox.clock.now())
    sandbox.faults.add("segment", BATCH, Fault(503, taken=True))
    assert program.run().errors == []
    assert [a.raw for a in sandbox.inbox.attempts] == [old, old]


def test_d8_a_transition_read_again_after_its_payload_was_erased_is_not_sent_again(begin, sandbox):
    """What has been sent is known by its id when its content is long gone; a reset sends nothing twice."""
    busy_minutes(sandbox, 5)
    program = begin()
    program.run()
    assert program.store.erase_old_payloads(sandbox.clock.now() + timedelta(days=1)) == 10
    before = program.events()
    program.store.reset_watermark(sandbox.clock.now() - timedelta(minutes=10))
    program.restart()
    assert program.run().poll.changes == 10
    assert program.events() == before
    assert {e["payload"] for e in before} == {None}
    assert len(sandbox.inbox.attempts) == 10
    assert problems(sandbox) == []


def test_d8_the_same_transitions_have_the_same_message_ids_in_an_empty_store(begin, sandbox):
    """A lost state file repeats what Segment then drops: one messageId, one content."""
    busy_minutes(sandbox, 5)
    program = begin()
    program.run()
    program.close()
    for file in program.path.parent.glob("gladly-segment.db*"):
        file.unlink()
    program.restart()
    program.run()
    assert len(sandbox.inbox.attempts) == 20
    assert all(len(set(came)) == 1 for came in sent_twice(sandbox.inbox).values())
    assert problems(sandbox) == []


def test_d9_an_event_delivered_six_hours_late_keeps_its_time(begin, sandbox, impatient):
    """There is no `sentAt`, by which Segment would move `timestamp`, in an event nor beside it."""
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


# D10, D11: order and load


@pytest.mark.parametrize("failing", [1, 2, 3], ids=["the first", "the second", "the third"])
def test_d10_no_event_overtakes_one_whose_batch_failed(begin, sandbox, tuned, failing):
    """Of several batches the one that fails ends the delivery; the next cycle goes on exactly there."""
    tuned(retry={"max_attempts": 1})
    program = begin()
    fill_outbox(program.store, [payload_of(n, 30_000) for n in range(60)], sandbox.clock.now())
    for _ in range(failing - 1):
        sandbox.faults.add("segment", BATCH, Fault())
    sandbox.faults.add("segment", BATCH, Fault(503))
    (error,) = program.run().errors
    assert "503" in str(error)
    done = 16 * (failing - 1)
    assert [e["status"] for e in program.events()] == ["delivered"] * done + ["pending"] * (60 - done)
    assert program.run().errors == []
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(60)]


def test_d10_a_conversation_s_creation_arrives_before_its_close(begin, sandbox, proxy, impatient):
    """Whatever breaks in between: batches fail before and after they arrive."""
    ids = busy_minutes(sandbox, 40)
    proxy.on(BATCH, hang_up(500), nth=1).on(BATCH, swallow("reset"), nth=2).on(BATCH, hang_up(), nth=3)
    program = begin(segment=proxy.url)
    program.run()
    program.run()
    order = [(e["properties"]["conversationId"], e["event"].split()[-1]) for e in sandbox.inbox.received]
    assert order == [(id_, kind) for id_ in ids for kind in ("Created", "Closed")]
    assert problems(sandbox) == []


def test_d11_a_backlog_of_fifty_thousand_leaves_in_full_batches_at_a_flat_cost(begin, sandbox, monkeypatch):
    """No more requests than it takes, at a cost per event that does not grow."""
    program = begin()
    count = 50_000
    payload, at = payload_of(0, 300), sandbox.clock.now()
    for first in range(0, count, 25_000):
        numbers = range(first, first + 25_000)
        program.store.take_in(
            TakenIn(
                events=[pending(n, payload.replace(b"message-0", b"message-%d" % n), at) for n in numbers]
            )
        )
    costs, mark = [time.thread_time()], program.store.mark_delivered

    def marking(ids):
        mark(ids)
        costs.append(time.thread_time())

    monkeypatch.setattr(program.store, "mark_delivered", marking)
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], count)
    posts = sandbox.segment_requests
    assert len(posts) <= count * 310 / 490_000 + 1
    assert all(r.body_bytes > 480_000 for r in posts[:-1])
    half = len(costs) // 2  # in this thread's CPU time, whatever else the machine does
    assert costs[-1] - costs[half] < 2 * (costs[half] - costs[0]) + 0.2
    assert len(sandbox.inbox) == count


def test_d11_a_limit_on_requests_is_kept_to_while_a_backlog_drains(begin, sandbox, tuned):
    """A 429 with its wait slows the drain down and loses nothing."""
    tuned(segment={"batch_max_events": 10})
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(60)], sandbox.clock.now())
    for _ in range(3):
        sandbox.faults.add("segment", BATCH, Fault())
        sandbox.faults.add("segment", BATCH, Fault(429, {"X-RateLimit-Reset": "0.3"}))
    began = time.monotonic()
    assert program.run().errors == []
    assert time.monotonic() - began >= 0.9
    assert Counter(r.status for r in sandbox.segment_requests) == {200: 6, 429: 3}
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(60)]


def test_d11_ten_instances_do_not_come_back_in_step(sandbox):
    """Each waits a different while after the same refusal, so a recovering Segment is not hit at once."""
    instances = 10
    sandbox.segment.check_write_key = False
    sandbox.faults.add("segment", BATCH, Fault(503, times=instances))
    together = threading.Barrier(instances)
    batch = [pending(0, payload_of(0), sandbox.clock.now())]

    def instance(n):
        client = SegmentClient(sandbox.segment_url, f"key-{n}", stop=Stop())
        together.wait()
        for _ in client.deliver(batch):
            pass
        client.close()

    threads = [threading.Thread(target=instance, args=(n,)) for n in range(instances)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moments = {}
    for request in sandbox.segment_requests:
        moments.setdefault(request.user, []).append(request.at)
    waits = sorted(later - earlier for earlier, later in moments.values())
    assert len(waits) == instances
    assert 0.2 <= waits[0] < waits[-1] <= 2
    assert waits[-1] - waits[0] > 0.05



def test_d3_polling_goes_on_while_segment_is_down(begin, sandbox, impatient):
    """A failing delivery costs the poll nothing: the watermark moves, the outbox grows."""
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
