"""
The outbox is delivered batch by batch, also while a poll takes long. Trouble at one end does not disturb the
other.
"""

import itertools
import math
import threading
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from sandbox.world.bulk import fill
from support.checker import problems
from support.endpoints import BATCH, CONVERSATIONS, PROFILES
from support.outbox_samples import fill_outbox, payload_of
from support.proxy_actions import hang_up, stall
from support.state_file import rows
from support.worlds import busy_minutes
from sync.errors import StoppedError
from sync.http.retry import RetryPolicy
from sync.reports import CycleObserver
from sync.segment.limits import SegmentLimits

MAX_ATTEMPTS = RetryPolicy().max_attempts
BATCH_MAX_BYTES = SegmentLimits().batch_max_bytes


@pytest.fixture
def small_chunks(tuned):
    """Make a chunk of four transitions, and make whatever is pending due at once."""
    tuned(delivery={"part_batch_after_s": 0.0})
    tuned(gladly={"chunk_transitions": 4})


def batches_under_way(program):
    """Return the list of the batches that Segment's client is sending at the moment."""
    segment, on_the_way = program.pipeline.ends.segment, []
    deliver = segment.deliver

    def and_note(batch, body=None, **more):
        on_the_way.append(batch)
        try:
            yield from deliver(batch, body, **more)
        finally:
            on_the_way.remove(batch)

    segment.deliver = and_note
    return on_the_way


def look_ups_after(sandbox, at):
    """Return how many conversations and profiles were asked for after that moment (`time.monotonic`)."""
    return sum(r.at > at and r.path.count("/") == 4 for r in sandbox.gladly_requests)


def test_whole_batches_leave_while_the_poll_still_fetches(begin, sandbox):
    """There is at most one POST more than the bytes need."""
    fill(sandbox.world, conversations=1_000, closed_fraction=0.6, over_s=400)
    program = begin(GLADLY__REQUESTS_PER_SECOND="100000")
    result = program.run()
    assert result.errors == []
    assert result.poll.delivered == 1_600
    posts = sandbox.segment_requests
    sizes = [post.body_bytes for post in posts]
    assert max(sizes) <= BATCH_MAX_BYTES
    assert len(sizes) <= math.ceil(sum(sizes) / BATCH_MAX_BYTES) + 1
    assert look_ups_after(sandbox, posts[0].at) > 300
    assert problems(sandbox) == []


def test_part_of_a_batch_leaves_once_it_has_waited(begin, sandbox, small_chunks):
    """The events go out once each in recorded order. They are marked as delivered while the poll goes on."""
    busy_minutes(sandbox, 20)
    program = begin()
    seen = []
    sandbox.faults.add("gladly", PROFILES, Fault(delay_s=0.01, times=None))
    take_in = program.store.commit

    def and_look(taken):
        seen.append(len(program.events(status="delivered")))
        take_in(taken)

    program.store.commit = and_look
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 40)
    assert seen[0] == 0
    assert seen[-1] > 20
    received = [event["messageId"] for event in sandbox.inbox.received]
    assert received == [event["message_id"] for event in program.events()]
    assert problems(sandbox) == []


def test_a_backlog_leaves_beside_a_long_poll(begin, sandbox, down, small_chunks):
    """What an earlier cycle could not deliver does not wait for the end of this poll."""
    busy_minutes(sandbox, 5)
    program = begin()
    sandbox.faults.add("segment", BATCH, down)
    assert [str(e).endswith("pending.") for e in program.run().errors] == [True]
    program.restart()  # the pause ends with the cycle
    sandbox.faults.clear()
    later = [sandbox.world.add_customer(f"Later {n}", recorded=False) for n in range(12)]
    for customer in later:
        sandbox.world.open_conversation(customer)
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(delay_s=0.02, times=None))
    assert program.run().poll.delivered == 22
    posts = [request for request in sandbox.segment_requests if request.status == 200]
    assert look_ups_after(sandbox, posts[0].at) > 10
    assert problems(sandbox) == []


def test_a_segment_that_hangs_does_not_hold_the_poll_up(begin, sandbox, proxy, small_chunks):
    """The poll makes all its requests to Gladly while one request to Segment waits for its answer."""
    busy_minutes(sandbox, 20)
    answered = threading.Event()

    def hang(exchange):
        answered.wait(20)
        return stall(0.0)(exchange)

    proxy.on(BATCH, hang, times=1)
    program = begin(segment=proxy.url)
    take_in, chunks = program.store.commit, itertools.count(1)

    def and_count(taken):
        take_in(taken)
        if next(chunks) == 10:  # the last
            answered.set()

    program.store.commit = and_count
    result = program.run()
    assert answered.is_set()
    assert (result.errors, result.poll.delivered) == ([], 40)
    assert problems(sandbox) == []


def test_a_segment_that_fails_beside_a_poll_is_asked_as_rarely_as_at_its_end(
    begin, sandbox, impatient, small_chunks
):
    """
    Only one request's attempts are made. The failure is logged when it happens, not an hour later. All events
    stay pending, in order.
    """
    busy_minutes(sandbox, 20)
    sandbox.faults.add("segment", BATCH, Fault(503, times=None))
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(delay_s=0.01, times=None))
    program = begin()
    with capture_logs() as logs:
        result = program.run()
    assert ["answered 503" in str(error) for error in result.errors] == [True]
    assert len(sandbox.segment_requests) == MAX_ATTEMPTS
    assert look_ups_after(sandbox, sandbox.segment_requests[-1].at) > 20
    assert [line["event"] for line in logs].count("segment.failed") == 1
    assert result.poll.changes == 40
    assert program.statuses() == {"pending"}
    sandbox.faults.clear()
    assert program.run().poll.delivered == 40
    received = [event["messageId"] for event in sandbox.inbox.received]
    assert received == [event["message_id"] for event in program.events()]
    assert problems(sandbox) == []


def test_a_segment_that_comes_back_within_a_poll_is_found(begin, sandbox, impatient, small_chunks, tuned):
    """After a pause the sync tries again beside the same poll, and the cycle is a good one."""
    tuned(delivery={"again_after_s": 0.05})
    busy_minutes(sandbox, 20)
    sandbox.faults.add("segment", BATCH, Fault(503, times=MAX_ATTEMPTS))
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(delay_s=0.01, times=None))
    program = begin()
    with capture_logs() as logs:
        result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 40)
    said = [line["event"] for line in logs if line["event"].startswith("segment.")]
    assert said == ["segment.failed", "segment.recovered"]
    assert problems(sandbox) == []


def test_a_refused_key_is_not_tried_again_beside_a_poll(begin, sandbox, small_chunks, tuned):
    """The poll may take as long as it likes. A person has to correct the key (faults A16)."""
    tuned(delivery={"again_after_s": 0.0})
    busy_minutes(sandbox, 20)
    sandbox.faults.add("segment", BATCH, Fault(401, times=None))
    program = begin()
    assert ["refused the write key" in str(error) for error in program.run().errors] == [True]
    assert len(sandbox.segment_requests) == 1
    assert program.statuses() == {"pending"}


def test_one_bad_event_is_found_beside_a_poll_and_the_others_go_out(begin, sandbox, small_chunks):
    """The batch is split there as at the end of a poll (semantics 4.4)."""
    bad = busy_minutes(sandbox, 20)[3]
    sandbox.faults.reject_message(
        lambda event: event["properties"]["conversationId"] == bad and event["event"].endswith("Closed")
    )
    program = begin()
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 39)
    (rejected,) = program.events(status="rejected")
    assert (rejected["conversation_id"], rejected["event"]) == (bad, "Gladly Conversation Closed")


def test_nothing_is_under_way_when_a_customer_is_erased(begin, sandbox, proxy, small_chunks, tuned):
    """
    Nothing of the customer is sent from then on, not even by an attempt of a request that began before
    (semantics 5.1).
    """
    # Looked up again, and so found to be deleted.
    tuned(gladly={"kept_profiles": 0}, look_up={"step_events": 2})
    world, customer = sandbox.world, sandbox.world.add_customer("Ida Roe", recorded=False)
    for _ in range(3):
        world.close(world.open_conversation(customer))
    proxy.on(BATCH, stall(0.5), times=1)
    program = begin(segment=proxy.url)
    finish, erasing, on_the_way = program.store.recorded.finish, [], batches_under_way(program)

    def and_look(looked_up):
        if looked_up.deletions:
            erasing.append((len(proxy.seen), len(on_the_way)))
        finish(looked_up)
        if customer.id not in world.deleted:
            world.delete(customer.id)

    program.store.recorded.finish = and_look
    result = program.run()
    assert erasing == [(1, 0)]  # a request had been made, and was over
    assert (result.errors, result.poll.delivered) == ([], 2)
    assert [event["payload"] for event in program.events()] == [None] * 6
    assert len(proxy.seen) == 1


def test_what_a_resync_has_found_leaves_beside_it(begin, sandbox, small_chunks):
    """No request is under way between the resync's turns, when a daemon beside it may write."""
    program = begin(SYNC__START="now")
    assert program.run().errors == []
    busy_minutes(sandbox, 20)
    now = sandbox.clock.now()
    delivered = []
    on_the_way = batches_under_way(program)
    for progress in program.pipeline.resync.run(now - timedelta(minutes=20), now):
        assert on_the_way == []
        delivered.append(progress.delivered)
    assert len(delivered) > 8
    assert delivered[2] > 0
    assert delivered[-1] == 40
    assert problems(sandbox) == []


def test_a_stop_beside_a_poll_notes_what_is_known(begin, sandbox, small_chunks):
    """
    The events that Segment has answered for are delivered. Those under way are sent again, with the same
    bytes.
    """
    busy_minutes(sandbox, 20)
    program = begin()
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(delay_s=0.01, times=None))
    take_in, chunks = program.store.commit, itertools.count(1)

    def and_stop(taken):
        take_in(taken)
        if next(chunks) == 6:
            program.stop.set()

    program.store.commit = and_stop
    with pytest.raises(StoppedError):
        program.run()
    arrived = {event["messageId"] for event in sandbox.inbox.received}
    delivered = {event["message_id"] for event in program.events(status="delivered")}
    assert delivered
    assert delivered <= arrived
    program.restart()
    assert program.run().errors == []
    assert program.statuses() == {"delivered"}
    assert problems(sandbox) == []


def test_a_connection_that_breaks_beside_a_poll_costs_no_event(
    begin, sandbox, proxy, impatient, small_chunks
):
    """The same bytes are sent again, as at the end of a poll."""
    busy_minutes(sandbox, 20)
    proxy.on(BATCH, hang_up(100), times=1)
    program = begin(segment=proxy.url)
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], 40)
    assert problems(sandbox) == []


class Heard(CycleObserver):
    """What the observer heard: the message ids of each batch that was acknowledged, and those rejected."""

    def __init__(self):
        self.batches, self.refused = [], []

    def delivered(self, events):
        self.batches.append([event.message_id for event in events])

    def rejected(self, event):
        self.refused.append(event.message_id)


def deliver(parts):
    """Deliver the outbox, and return how many events were acknowledged."""
    with parts.deliverer.begin() as delivery:
        delivery.finish()
    return delivery.delivered


def test_the_outbox_leaves_in_order_and_the_observer_hears_it(parts_of, sandbox, ago):
    """The outbox has more events than one page of it. An event that is too large is rejected unsent."""
    heard = Heard()
    parts = parts_of(observer=heard)
    sizes = [32_001 if n == 7 else None for n in range(1_200)]
    fill_outbox(parts.store, [payload_of(n, size) for n, size in enumerate(sizes)], ago(60))
    assert deliver(parts) == 1_199
    expected = [f"message-{n}" for n in range(1_200) if n != 7]
    assert [attempt.message_id for attempt in sandbox.inbox.attempts] == expected
    assert list(itertools.chain(*heard.batches)) == expected
    assert heard.refused == ["message-7"]
    assert len(heard.batches) == parts.deliverer.batches == len(sandbox.segment_requests)


def test_after_a_failure_nothing_more_is_sent_in_this_cycle(parts, sandbox, ago):
    """The events stay pending, with the attempt counted. The next cycle tries again."""
    fill_outbox(parts.store, [payload_of(n, 30_000) for n in range(40)], ago(60))
    sandbox.faults.add("segment", BATCH, Fault(503))
    assert deliver(parts) == 0
    assert "answered 503" in str(parts.ends.segment_health.error)
    assert len(sandbox.segment_requests) == 1
    attempts = rows(parts.store.path, "SELECT attempts FROM events ORDER BY occurred_at")
    assert attempts == [(1,)] * 16 + [(0,)] * 24
    assert deliver(parts) == 40
    assert parts.ends.segment_health.error is None


def test_an_empty_outbox_costs_no_request(parts, sandbox):
    """Segment's health stays as it was found."""
    assert deliver(parts) == 0
    assert sandbox.segment_requests == []
    assert parts.deliverer.batches == 0
