"""
`segment.gzip` sends the same events in fewer bytes, and loses nothing where the receiver does not take gzip.
"""

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
    """Return whether the body of this POST is gzip."""
    return post.headers.get("content-encoding") == "gzip"


def refuses_gzip(status):
    """Return an action of a receiver that does not know Content-Encoding. It passes plain batches on."""

    def action(exchange):
        if exchange.request.header("content-encoding") == "gzip":
            assert exchange.request.body
            return exchange.send(RawResponse(status, "No", [("Content-Type", "text/plain")], b"not JSON"))
        return exchange.send(exchange.forward())

    return action


def test_the_same_events_arrive_at_fewer_bytes(begin, sandbox):
    """What arrives is what is stored. At most a quarter of those bytes were on the wire."""
    busy_minutes(sandbox, 50)
    program = begin(SEGMENT__GZIP="true")
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 100)
    (post,) = sandbox.segment_requests
    assert is_compressed(post)
    size = sum(len(attempt.raw) for attempt in sandbox.inbox.attempts)
    assert post.body_bytes < size / 4
    assert problems(sandbox) == []


def test_nothing_is_compressed_by_default(begin, sandbox):
    """
    Compression is off by default. It costs a little CPU time, and some Segment-compatible receivers do not
    take it.
    """
    busy_minutes(sandbox, 2)
    assert begin().run().errors == []
    assert not is_compressed(sandbox.segment_requests[0])


@pytest.mark.parametrize("status", [400, 413, 415])
def test_a_receiver_that_takes_no_gzip_is_sent_plain_batches(begin, sandbox, proxy, status):
    """The first batch shows it. It is logged once, and no event is rejected for it."""
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
    """
    When a receiver that has taken gzip answers 400, it refuses the events. The batch is halved at once, and
    not repeated uncompressed.
    """
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
    """A batch that is compressed again has the same bytes (semantics 4.3)."""
    busy_minutes(sandbox, 5)
    sandbox.faults.add("segment", BATCH, Fault(503, times=MAX_ATTEMPTS + 1))
    program = begin(SEGMENT__GZIP="true")
    assert len(program.run().errors) == 1
    assert program.run().errors == []
    bodies = {post.body for post in sandbox.segment_requests if post.status == 503}
    assert len(bodies) == 1
    assert gzip.decompress(bodies.pop()).startswith(b'{"batch":[')
