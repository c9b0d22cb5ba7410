"""
The checker is tested too: it convicts each sync that is wrong on purpose, and does not convict the right one.
"""

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
    """Make the reader go on just after the newest change it saw, as if nothing could still show there."""

    def chunk(self, *, is_last=False):
        if self.changes:
            self.position = max(self.position, self.high_water + timedelta(milliseconds=1))
        made = Chunk(self.changes, self.position, self.bad_lines, self._read_until)
        self.changes, self.bad_lines, self._transitions = [], [], 0
        return made

    monkeypatch.setattr(events_api.EventStream, "chunk", chunk)


def _advance_to_now(monkeypatch):
    """Make the reader take the end of its window for the instant up to which it has seen everything."""

    def chunk(self, *, is_last=False):
        if is_last:
            self.position = max(self.position, self._read_until)
        made = Chunk(self.changes, self.position, self.bad_lines, self._read_until)
        self.changes, self.bad_lines, self._transitions = [], [], 0
        return made

    monkeypatch.setattr(events_api.EventStream, "chunk", chunk)


def _acknowledge_before_the_post(monkeypatch):
    """Make the sender mark events as delivered before it sends them."""
    deliver = SegmentClient.deliver

    def hasty(self, batch, body=None, **more):
        yield Delivered(batch)
        yield from deliver(self, batch, body, **more)

    monkeypatch.setattr(SegmentClient, "deliver", hasty)


def _new_ids_for_a_repeat(monkeypatch):
    """Make the sync draw a random messageId instead of deriving it."""
    monkeypatch.setattr("sync.pipeline.record.message_id", lambda *_: str(uuid.uuid4()))


def _nothing(monkeypatch):
    """Leave the sync as it is."""


def _live(begin, sandbox):
    """
    Let two events share a millisecond, the second one late. Let a batch be refused, and let cycles follow.
    """
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
    """The history is the same for each variant. Only the variant's own mistake makes a difference."""
    wrong(monkeypatch)
    _live(begin, sandbox)
    found = problems(sandbox)
    if verdict is None:
        assert found == []
    else:
        assert found
        assert all(problem.startswith(verdict) for problem in found)


def test_the_checker_convicts_a_sync_that_repeats_under_another_id(begin, sandbox, monkeypatch):
    """
    With an empty store, a transition that is read again has the same messageId. A random id makes it another
    event.
    """
    sandbox.world.open_conversation(sandbox.world.add_customer("Ana"))
    for make_wrong, verdict in ((_nothing, []), (_new_ids_for_a_repeat, ["unexpected"])):
        make_wrong(monkeypatch)
        program = begin()
        program.run()
        program.lose_the_state_file()
        program.restart()
        program.run()
        program.lose_the_state_file()
        found = [problem.split(":")[0] for problem in problems(sandbox)]
        assert sorted(set(found)) == verdict


def test_the_checker_convicts_a_field_that_is_wrong(begin, sandbox, monkeypatch):
    """The event arrives once and its transition happened, and one field holds what was never true."""
    monkeypatch.setattr("sync.events.track.email_of", lambda emails: "someone.else@example.com")
    sandbox.world.open_conversation(sandbox.world.add_customer("Ana"))
    assert begin().run().poll.outcome is PollOutcome.OK
    assert [problem.split(":")[0] for problem in problems(sandbox)] == ["wrong"]
