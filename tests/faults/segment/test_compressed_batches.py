"""`segment.gzip`: the same events at fewer bytes, and nothing lost where the receiver does not take them."""

import gzip

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from support.checker import problems
from support.endpoints import BATCH
from support.outbox_samples import fill_outbox, payload_of
from support.proxy import RawResponse
from support.worlds import busy_minutes
from sync.http.retry import RetryPolicy

MAX_ATTEMPTS = RetryPolicy().max_attempts


def is_compressed(post):
    return post.headers.get("content-encoding") == "gzip"


def refuses_gzip(status):
    """A receiver that knows nothing of Content-Encoding; what it is sent plain it passes on."""

    def action(exchange):
        if exchange.request.header("content-encoding") == "gzip":
            assert exchange.request.body
            return exchange.send(RawResponse(status, "No", [("Content-Type", "text/plain")], b"not JSON"))
        return exchange.send(exchange.forward())

    return action


def test_the_same_events_arrive_at_fewer_bytes(begin, sandbox):
    """What arrives is what is stored, and a quarter of it or less was on the line."""
    busy_minutes(sandbox, 50)
    program = begin(SEGMENT__GZIP="true")
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 100)
    (post,) = sandbox.segment_requests
    assert is_compressed(post)
    size = sum(len(attempt.raw) for attempt in sandbox.inbox.attempts)
    assert post.body_bytes < size / 4
    assert problems(sandbox) == []


def test_unless_asked_for_nothing_is_compressed(begin, sandbox):
    """Off by default: it costs a little CPU, and not every Segment-compatible receiver takes it."""
    busy_minutes(sandbox, 2)
    assert begin().run().errors == []
    assert not is_compressed(sandbox.segment_requests[0])


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_receiver_that_takes_no_gzip_is_sent_plain_batches(begin, sandbox, proxy, status):
    """Found with the first batch, said once, and no event is blamed for it."""
    busy_minutes(sandbox, 4)
    proxy.on(BATCH, refuses_gzip(status))
    program = begin(segment=proxy.url, SEGMENT__GZIP="true")
    with capture_logs() as logs:
        for n in range(2):
            sandbox.world.open_conversation(sandbox.world.add_customer(f"Later {n}", recorded=False))
            assert program.run().errors == []
    assert [line["event"] for line in logs].count("gzip.refused") == 1
    assert len(proxy.seen) == 3
    assert program.statuses() == {"delivered"}
    assert problems(sandbox) == []


def test_a_bad_event_is_found_among_compressed_ones(begin, sandbox):
    """A receiver that has taken gzip means the events by its 400: halved at once, with no plain repeat."""
    program = begin(SEGMENT__GZIP="true")
    fill_outbox(program.store, [payload_of(n) for n in range(2)], sandbox.clock.now())
    assert program.run().poll.delivered == 2
    sandbox.faults.reject_message(lambda event: event["userId"] == "customer-5")
    fill_outbox(program.store, [payload_of(n) for n in range(10)], sandbox.clock.now())
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 7)
    (rejected,) = program.events(status="rejected")
    assert rejected["message_id"] == "message-5"
    assert all(is_compressed(post) for post in sandbox.segment_requests)


def test_every_attempt_is_the_same_bytes(begin, sandbox, impatient):
    """Compressed anew, a batch is what it was (semantics 4.3)."""
    busy_minutes(sandbox, 5)
    sandbox.faults.add("segment", BATCH, Fault(503, times=MAX_ATTEMPTS + 1))
    program = begin(SEGMENT__GZIP="true")
    assert len(program.run().errors) == 1
    assert program.run().errors == []
    bodies = {post.body for post in sandbox.segment_requests if post.status == 503}
    assert len(bodies) == 1
    assert gzip.decompress(bodies.pop()).startswith(b'{"batch":[')
