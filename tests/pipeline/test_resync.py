"""A past interval is read again, and what was missed is sent (semantics 3.5)."""

from datetime import timedelta

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import BATCH
from support.worlds import busy_minutes
from sync.errors import RetryableError


@pytest.fixture
def missed(begin, sandbox, tuned):
    """A sync that began after twenty conversations had ended, and that reads four transitions a chunk."""
    tuned(retry={"max_attempts": 1}, gladly={"chunk_transitions": 4})
    program = begin(SYNC__START="now")
    busy_minutes(sandbox, 20)
    assert program.run().errors == []
    return program


def interval(sandbox):
    now = sandbox.clock.now()
    return now - timedelta(minutes=20), now


def test_what_was_missed_is_sent_and_the_watermark_stays(missed, sandbox):
    """The last step says that the whole interval is done."""
    before, (since, until) = missed.watermark, interval(sandbox)
    *_, last = missed.pipeline.resync.run(since, until)
    assert (last.position, last.delivered) == (until, 40)
    assert (last.figures.created, last.figures.closed) == (20, 20)
    assert problems(sandbox) == []
    assert missed.watermark == before


def test_a_second_resync_of_an_interval_sends_nothing(missed, sandbox):
    """Everything in it is known."""
    list(missed.pipeline.resync.run(*interval(sandbox)))
    *_, last = missed.pipeline.resync.run(*interval(sandbox))
    assert (last.figures.created, last.figures.closed, last.delivered) == (0, 0, 0)
    assert problems(sandbox) == []


def test_it_says_how_far_it_has_come(missed, sandbox):
    """After each chunk: the position and the figures only grow."""
    steps = list(missed.pipeline.resync.run(*interval(sandbox)))
    assert len(steps) > 8
    assert [step.position for step in steps] == sorted(step.position for step in steps)
    changes = [step.figures.changes for step in steps]
    assert changes == sorted(changes)
    assert 0 < changes[0] < changes[-1] == 40


def test_an_interrupted_resync_goes_on_where_it_stopped(missed, sandbox):
    """It reads only the end of what had been yielded again, and sends nothing twice."""
    since, until = interval(sandbox)
    steps = missed.pipeline.resync.run(since, until)
    for _ in range(5):
        reached = next(steps)
    steps.close()
    missed.restart()
    first, *_, last = missed.pipeline.resync.run(since, until)
    assert since < reached.position <= first.position
    assert reached.figures.created + last.figures.created == 20
    assert last.figures.changes < 40
    assert problems(sandbox) == []


def test_an_error_of_gladly_s_leaves_what_was_done(missed, sandbox):
    """The same interval, asked for again, sends the rest."""
    since, until = interval(sandbox)
    steps = missed.pipeline.resync.run(since, until)
    done = next(steps)
    sandbox.faults.add("gladly", "*", Fault(503, times=None))
    with pytest.raises(RetryableError, match="answered 503"):
        list(steps)
    assert len(missed.events()) >= done.figures.created + done.figures.closed
    sandbox.faults.clear()
    list(missed.pipeline.resync.run(since, until))
    assert problems(sandbox) == []


def test_an_error_of_segment_s_is_raised_when_everything_was_read(missed, sandbox):
    """The events are pending, and the next cycle sends them."""
    sandbox.faults.add("segment", BATCH, Fault(503))
    with pytest.raises(RetryableError, match="answered 503"):
        list(missed.pipeline.resync.run(*interval(sandbox)))
    assert [event["status"] for event in missed.events()] == ["pending"] * 40
    assert missed.store.resyncs.unfinished() is None
    missed.restart()
    assert missed.run().poll.delivered == 40
    assert problems(sandbox) == []
