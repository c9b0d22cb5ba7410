"""What Segment's answer means for each event of a batch, and what a request to it looks like."""

import gzip
import random

import pytest

from sandbox import Fault
from state.records import PendingEvent
from support.endpoints import BATCH
from support.outbox_samples import payload_of
from sync.errors import CredentialsRefusedError, RetryableError, UnexpectedAnswerError
from sync.http.retry import RetryPolicy
from sync.segment.batches import body_of
from sync.segment.client import Delivered, Rejected, SegmentClient
from sync.segment.limits import SegmentLimits
from sync.stop import Stop

ONCE = RetryPolicy(max_attempts=1)


@pytest.fixture
def client_of(sandbox):
    """Make a client of the sandbox's Segment."""
    made = []

    def make(**changes):
        options = {"stop": Stop(), "retry": ONCE, **changes}
        made.append(SegmentClient(sandbox.segment_url, sandbox.segment.write_key, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def batch():
    return [PendingEvent(("", n), f"message-{n}", payload_of(n)) for n in range(8)]


def outcomes(client, batch):
    """What became of each event, in order."""
    found = []
    for outcome in client.deliver(batch):
        if isinstance(outcome, Delivered):
            found += [(event.message_id, None) for event in outcome.events]
        else:
            found.append((outcome.event.message_id, outcome.reason))
    return found


def test_a_batch_is_one_request_with_the_stored_bytes(client_of, sandbox, batch):
    """As JSON, under the write key."""
    assert list(client_of().deliver(batch)) == [Delivered(batch)]
    (request,) = sandbox.segment_requests
    assert (request.method, request.path, request.user) == ("POST", BATCH, sandbox.segment.write_key)
    assert request.headers["content-type"] == "application/json"
    assert [attempt.raw for attempt in sandbox.inbox.attempts] == [event.payload for event in batch]


@pytest.mark.parametrize("status", [400, 413])
def test_one_bad_event_is_found_and_the_others_are_delivered(client_of, sandbox, batch, status):
    """By halving, in order (semantics 4.4)."""
    sandbox.faults.reject_message(lambda event: event["messageId"] == "message-5")
    found = outcomes(client_of(), batch)
    assert [id_ for id_, _ in found] == [event.message_id for event in batch]
    assert [id_ for id_, reason in found if reason] == ["message-5"]
    sandbox.faults.clear()
    sandbox.faults.add("segment", BATCH, Fault(status, body=b"not this one"))
    (rejected,) = client_of().deliver(batch[:1], has_accepted=True)
    assert rejected == Rejected(batch[0], f"Segment answered {status}: not this one")


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(401), CredentialsRefusedError, "refused the write key (401)"),
        (Fault(403), CredentialsRefusedError, "refused the write key (403)"),
        (Fault(408), RetryableError, "answered 408"),
        (Fault(429, {"Retry-After": "7"}), RetryableError, "answered 429"),
        (Fault(503), RetryableError, "answered 503"),
        (Fault(200, body=b'{"success":false}'), RetryableError, "answered that it failed"),
        (Fault(200, body=b"<html>"), UnexpectedAnswerError, "with a page"),
        (Fault(302), UnexpectedAnswerError, "answered 302 with a redirect, which is never followed"),
        (Fault(404), UnexpectedAnswerError, "answered 404: that is not Segment's batch endpoint"),
        (Fault(415), UnexpectedAnswerError, "answered 415"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else "",
)
def test_any_other_answer_leaves_all_events_pending(client_of, sandbox, batch, fault, error, says):
    """The error says what came, and nothing is yielded."""
    sandbox.faults.add("segment", BATCH, fault)
    with pytest.raises(error) as raised:
        list(client_of().deliver(batch))
    assert says in str(raised.value)
    assert len(sandbox.segment_requests) == 1


def test_the_wait_that_segment_asks_for_is_in_the_error_and_capped(client_of, sandbox, batch):
    """By the retry policy."""
    sandbox.faults.add("segment", BATCH, Fault(429, {"Retry-After": "700"}))
    with pytest.raises(RetryableError) as raised:
        list(client_of(retry=RetryPolicy(max_attempts=1, longest_retry_after_s=60.0)).deliver(batch))
    assert raised.value.retry_after_s == 60.0


def test_a_failed_request_is_made_again_as_the_policy_says(client_of, sandbox, batch):
    """With the same bytes."""
    sandbox.faults.add("segment", BATCH, Fault(503, times=2))
    policy = RetryPolicy(max_attempts=3, first_backoff_s=0.01)
    assert list(client_of(retry=policy).deliver(batch)) == [Delivered(batch)]
    assert [request.status for request in sandbox.segment_requests] == [503, 503, 200]


def test_a_request_ends_at_the_deadline_of_the_limits(client_of, sandbox, batch):
    """The answer included."""
    sandbox.faults.add("segment", BATCH, Fault(delay_s=5))
    with pytest.raises(RetryableError, match="in time"):
        list(client_of(limits=SegmentLimits(request_deadline_s=0.3)).deliver(batch))


def test_a_compressed_batch_unpacks_to_the_same_bytes(client_of, sandbox, batch):
    """And twice the same batch is twice the same bytes."""
    client = client_of(compress=True)
    sandbox.faults.add("segment", BATCH, Fault(503, times=2))
    for _ in range(2):
        with pytest.raises(RetryableError):
            list(client.deliver(batch))
    first, second = (request.body for request in sandbox.segment_requests)
    assert first == second
    assert gzip.decompress(first) == body_of(batch)


def test_reaching_segment_makes_no_event(client_of, sandbox):
    """A receiver that refuses an empty batch is there, too."""
    client_of().reach()
    sandbox.faults.add("segment", BATCH, Fault(400))
    client_of().reach()
    assert sandbox.inbox.attempts == []
    sandbox.faults.add("segment", BATCH, Fault(401))
    with pytest.raises(CredentialsRefusedError):
        client_of().reach()


@pytest.mark.parametrize("seed", range(30))
def test_any_bad_events_are_blamed_or_none_is(client_of, sandbox, seed):
    """
    Every event is delivered or rejected as it should be, once; or all stay pending, where none that was tried
    is good and none was accepted earlier (semantics 4.4).
    """
    rng = random.Random(seed)
    batch = [PendingEvent(("", n), f"message-{n}", payload_of(n)) for n in range(rng.choice([1, 2, 5, 40]))]
    share = rng.choice([0.05, 0.5, 1.0])
    bad = {event.message_id for event in batch if rng.random() < share}
    sandbox.faults.reject_message(lambda event: event["messageId"] in bad)
    has_accepted = rng.random() < 0.5
    found = []
    try:
        for outcome in client_of(compress=seed % 3 == 0).deliver(batch, has_accepted=has_accepted):
            is_delivered = isinstance(outcome, Delivered)
            found += [
                (e.message_id, is_delivered) for e in (outcome.events if is_delivered else [outcome.event])
            ]
    except UnexpectedAnswerError:
        assert not has_accepted
        assert found == []
        assert len(bad) >= min(len(batch), SegmentLimits().probes)
    else:
        assert sorted(found) == sorted((e.message_id, e.message_id not in bad) for e in batch)
