"""The checker is tested too: syncs that are wrong on purpose must each be convicted, the right one not."""

import uuid
from datetime import timedelta

import pytest

from sandbox import Fault
from state.records import PollOutcome
from support.checker import problems
from sync.events.changes import Chunk
from sync.gladly import events_api
from sync.segment.client import Delivered, SegmentClient


def _advance_by_a_millisecond(monkeypatch):
    """A reader that goes on just after the newest change it saw, as if nothing could still show there."""

    def chunk(self, *, is_last=False):
        if self.changes:
            self.position = max(self.position, self.high_water + timedelta(milliseconds=1))
        made = Chunk(self.changes, self.position, self.bad_lines, self._read_until)
        self.changes, self.bad_lines, self._transitions = [], [], 0
        return made

    monkeypatch.setattr(events_api.EventStream, "chunk", chunk)


def _advance_to_now(monkeypatch):
    """A reader that takes the end of its window for the instant up to which everything has been seen."""

    def chunk(self, *, is_last=False):
        if is_last:
            self.position = max(self.position, self._read_until)
        made = Chunk(self.changes, self.position, self.bad_lines, self._read_until)
        self.changes, self.bad_lines, self._transitions = [], [], 0
        return made

    monkeypatch.setattr(events_api.EventStream, "chunk", chunk)


def _acknowledge_before_the_post(monkeypatch):
    """A sender that notes the delivery first, and then sends."""
    deliver = SegmentClient.deliver

    def hasty(self, batch, body=None):
        yield Delivered(batch)
        yield from deliver(self, batch, body)

    monkeypatch.setattr(SegmentClient, "deliver", hasty)


def _new_ids_for_a_repeat(monkeypatch):
    """A sync that draws a messageId instead of deriving it."""
    monkeypatch.setattr("sync.pipeline.intake.message_id", lambda *_: str(uuid.uuid4()))


def _nothing(monkeypatch):
    """The sync as it is."""


def _live(begin, sandbox):
    """Two events of one millisecond, the second late; a batch refused; a watermark put back."""
    world, program = sandbox.world, begin()
    at = sandbox.clock.now() - timedelta(seconds=2)
    for name, late_s in (("Ana", 0), ("Bea", 10)):
        world.open_conversation(world.add_customer(name, recorded=False), at=at, late_s=late_s)
    sandbox.faults.add("segment", "*", Fault(503, times=None))
    program.run()
    sandbox.faults.clear()
    sandbox.clock.advance(12)
    for _ in range(2):
        program.run()
        sandbox.clock.advance(12)
    return program


@pytest.mark.parametrize(
    ("wrong", "verdict"),
    [
        pytest.param(_nothing, None, id="the sync as it is"),
        pytest.param(_advance_by_a_millisecond, "lost", id="a reader that advances by a millisecond"),
        pytest.param(_advance_to_now, "lost", id="a reader that advances to now"),
        pytest.param(_acknowledge_before_the_post, "lost", id="a sender that acknowledges before the POST"),
    ],
)
def test_the_checker_convicts_a_sync_that_loses(begin, sandbox, impatient, monkeypatch, wrong, verdict):
    """The same history for each: only what the variant gets wrong is the difference."""
    wrong(monkeypatch)
    _live(begin, sandbox)
    found = problems(sandbox)
    if verdict is None:
        assert found == []
    else:
        assert found
        assert all(problem.startswith(verdict) for problem in found)


def test_the_checker_convicts_a_sync_that_repeats_under_another_id(begin, sandbox, monkeypatch):
    """Into an empty store, a transition read again is the same message; a drawn id makes it another."""
    sandbox.world.open_conversation(sandbox.world.add_customer("Ana"))
    for make_wrong, verdict in ((_nothing, []), (_new_ids_for_a_repeat, ["unexpected"])):
        make_wrong(monkeypatch)
        program = begin()
        program.run()
        program.close()
        for file in program.path.parent.glob("gladly-segment.db*"):
            file.unlink()
        program.restart()
        program.run()
        program.close()
        for file in program.path.parent.glob("gladly-segment.db*"):
            file.unlink()
        found = [problem.split(":")[0] for problem in problems(sandbox)]
        assert sorted(set(found)) == verdict


def test_the_checker_convicts_a_field_that_is_wrong(begin, sandbox, monkeypatch):
    """An event that arrives once, of a transition that happened, but with what was never so."""
    monkeypatch.setattr("sync.events.track.email_of", lambda emails: "someone.else@example.com")
    sandbox.world.open_conversation(sandbox.world.add_customer("Ana"))
    assert begin().run().poll.outcome is PollOutcome.OK
    assert [problem.split(":")[0] for problem in problems(sandbox)] == ["wrong"]
