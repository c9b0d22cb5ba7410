"""The watermark, the cycles, and the requests that they made."""

from state.instants import to_text
from state.reader import Reader
from state.records import Poll, PollOutcome
from support.state_samples import eight


def test_the_watermark_is_shown_with_the_time_of_its_last_move(reader):
    """As text, as the file has it."""
    assert reader.watermark() == {
        "position": "2026-11-20T08:01:30.000Z",
        "updated_at": reader.watermark()["updated_at"],
    }


def test_the_last_poll_and_the_last_success_are_told_apart(path, store):
    """After a failure `status` says when things last went well; a degraded poll went well enough."""
    for n, outcome in enumerate([PollOutcome.OK, PollOutcome.DEGRADED, PollOutcome.FAILED]):
        at = eight(60 * n)
        store.record_poll(
            Poll(started_at=at, finished_at=at, outcome=outcome, error="down" if n == 2 else None)
        )
    with Reader(path) as reader:
        last = reader.last_poll()
        assert (last["outcome"], last["error"]) == ("failed", "down")
        assert reader.last_success() == to_text(eight(60))


def test_requests_are_counted_over_the_cycles_begun_since_then(path, store):
    """For the share of Gladly's rate limit in use."""
    for n in range(4):
        store.record_poll(Poll(started_at=eight(n), finished_at=eight(n), requests=10**n))
    with Reader(path) as reader:
        assert reader.requests_since(to_text(eight(2))) == 1_100
        assert reader.requests_since(to_text(eight(9))) == 0
