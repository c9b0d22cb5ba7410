"""A poll reads what was recorded since the watermark, chunk by chunk (semantics 3)."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from support.endpoints import EVENTS
from support.program import OVERLAP
from support.worlds import busy_minutes
from sync.errors import RetryableError
from sync.pipeline.record import Figures


def poll(parts):
    """Poll once, and return every step."""
    with parts.deliverer.begin() as delivery:
        return list(parts.poller.run(delivery))


def figures(steps):
    """Return what all steps came to."""
    total = Figures()
    for step in steps:
        total = total.plus(step.figures)
    return total


def now_at_gladly(sandbox):
    """Return what Gladly's `Date` header says. It has whole seconds."""
    return sandbox.clock.now().replace(microsecond=0)


def test_the_first_poll_begins_where_it_was_told_to(parts, sandbox, ago):
    """Ten minutes back, by Gladly's clock. What is older is not read."""
    busy_minutes(sandbox, 6)
    sandbox.world.open_conversation(sandbox.world.add_customer(recorded=False), at=ago(700))
    steps = poll(parts)
    assert steps[0] == (now_at_gladly(sandbox) - timedelta(minutes=10), None, Figures())
    assert (figures(steps).created, figures(steps).closed) == (6, 6)
    assert steps[-1].window_end == now_at_gladly(sandbox)


def test_a_first_poll_from_now_on_leaves_the_past_alone(parts_of, sandbox):
    """What happens next is taken in."""
    busy_minutes(sandbox, 6)
    parts = parts_of(start="now")
    assert figures(poll(parts)) == Figures()
    sandbox.clock.advance(5)
    sandbox.world.open_conversation(sandbox.world.add_customer())
    assert figures(poll(parts)).created == 1


def test_a_second_poll_goes_on_at_the_watermark(parts, sandbox):
    """The overlap is read again, and nothing in it is new."""
    sandbox.world.open_conversation(sandbox.world.add_customer())
    first = poll(parts)
    assert parts.store.watermark() == now_at_gladly(sandbox) - OVERLAP
    second = poll(parts)
    assert second[0].window_start == parts.store.watermark()
    assert (figures(first).created, figures(second)) == (1, Figures())


def test_a_watermark_without_news_waits_for_its_one_write(parts, sandbox):
    """The next poll begins there all the same. Once it is written, nobody has to remember it."""
    poll(parts)
    position = parts.poller.unwritten_position
    assert position == now_at_gladly(sandbox) - OVERLAP
    assert parts.store.watermark() is None
    assert poll(parts)[0].window_start == position
    parts.poller.position_written()
    assert parts.poller.unwritten_position is None


def test_what_was_taken_in_before_a_failure_stays(parts, sandbox):
    """Nothing of the chunk that failed is written, and the next poll reads it again."""
    busy_minutes(sandbox, 3)
    sandbox.faults.add("gladly", EVENTS, Fault(503))
    with pytest.raises(RetryableError, match="answered 503"):
        poll(parts)
    assert parts.store.watermark() is None
    assert parts.store.outbox.pending(None, 10) == []
    assert parts.poller.chunks == 0
    assert figures(poll(parts)).created == 3


def test_the_very_first_poll_notes_where_the_state_began(parts, sandbox):
    """Where it begins to read. Later polls leave that as it is."""
    (first, *_) = poll(parts)
    assert parts.store.audits.began_at() is None  # bound to no organization
    parts.store.organization.bind("localhost", "key", lambda *_: "")
    assert parts.store.audits.began_at() is None
    parts.store.organization.begin_at(first.window_start)
    sandbox.clock.advance(3_600)
    poll(parts)
    assert parts.store.audits.began_at() == first.window_start


@pytest.mark.parametrize(("ahead_s", "said"), [(0, 0), (3, 0), (300, 1), (-300, 1)])
def test_a_clock_that_differs_from_gladly_s_is_said_once(parts, sandbox, ahead_s, said):
    """It decides nothing. People read it in logs."""
    sandbox.clock.advance(ahead_s)
    with capture_logs() as logs:
        poll(parts)
        poll(parts)
    skews = [line["seconds"] for line in logs if line["event"] == "clock.skewed"]
    assert len(skews) == said
    assert all(abs(skew + ahead_s) < 5 for skew in skews)


def test_a_long_poll_says_how_far_it_has_come(parts_of, sandbox):
    """The figures are those of the whole poll so far."""
    busy_minutes(sandbox, 4)
    parts = parts_of(progress_every_s=0.0)
    with capture_logs() as logs:
        poll(parts)
    progress = [line for line in logs if line["event"] == "cycle.progress"]
    assert len(progress) == parts.poller.chunks > 0
    last = progress[-1]
    assert (last["changes"], last["created"], last["closed"], last["delivered"]) == (8, 4, 4, 0)
