"""Changes show late, at the same instant, out of order or twice (faults A1-A3, A14, B8)."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from state.records import Status
from support.checker import problems
from support.program import OVERLAP
from support.state_file import rows
from support.worlds import NOON, busy_minutes


def names_in_order(sandbox):
    """
    Return the conversation's id and the last word of the event's name for each event, in the order received.
    """
    return [(e["properties"]["conversationId"], e["event"].split()[-1]) for e in sandbox.inbox.received]


def test_a_second_event_of_the_same_millisecond_that_shows_one_poll_later_is_sent(begin, sandbox):
    """
    Each poll reads the last instant of the one before again, so no instant is left half read (faults A1).
    """
    at = sandbox.clock.now() - timedelta(seconds=1)
    for name, late_s in (("Ana", 0), ("Bea", 10)):
        sandbox.world.open_conversation(sandbox.world.add_customer(name), at=at, late_s=late_s)
    program = begin()
    program.run()
    assert len(sandbox.inbox.received) == 1
    assert program.watermark <= at
    sandbox.clock.advance(12)
    program.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 2


@pytest.mark.parametrize("late_s", [14.9, 60])
def test_an_event_that_shows_late_and_is_older_than_the_newest_is_sent(begin, sandbox, late_s):
    """
    The watermark stays behind Gladly's clock by the overlap. A change that shows within the overlap is still
    read (faults A2).
    """
    world, at = sandbox.world, sandbox.clock.now()
    late = world.open_conversation(world.add_customer("Late"), at=at, late_s=late_s)
    sandbox.clock.advance(1)
    world.open_conversation(world.add_customer("Newer"), late_s=0)
    program = begin()
    while sandbox.clock.now() < at + timedelta(seconds=late_s):
        program.run()
        assert late.id not in {id_ for id_, _ in names_in_order(sandbox)}
        assert program.watermark <= at
        sandbox.clock.advance(5)
    program.run()
    assert problems(sandbox) == []


def test_events_out_of_order_and_repeated_are_sent_once_and_in_recorded_order(begin, sandbox):
    """
    The id of a change tells whether it is new, and its instant tells its place. The feed's own order does not
    count (faults A3).
    """
    ids = busy_minutes(sandbox, 20)
    draw = random.Random(3)
    sandbox.faults.rewrite_feed(lambda lines: draw.sample(lines * 3, len(lines) * 3))
    program = begin()
    for _ in range(3):
        assert program.run().errors == []
    assert names_in_order(sandbox) == [(id_, kind) for id_ in ids for kind in ("Created", "Closed")]
    assert len(sandbox.inbox.attempts) == 40
    assert problems(sandbox) == []


def test_an_event_repeated_in_two_answers_is_one_transition(begin, sandbox):
    """Every poll, and every new process, reads the overlap again (faults A3)."""
    conversation = sandbox.world.open_conversation(sandbox.world.add_customer("Ana"))
    program = begin()
    program.run()
    before = sandbox.inbox.attempts[0].raw
    for _ in range(2):
        program.restart()
        sandbox.clock.advance(5)
        program.run()
    sandbox.world.close(conversation)
    program.run()
    assert names_in_order(sandbox) == [(conversation.id, "Created"), (conversation.id, "Closed")]
    assert [a.raw for a in sandbox.inbox.attempts].count(before) == 1
    assert problems(sandbox) == []


def test_events_that_show_after_many_empty_polls_are_sent(begin, sandbox):
    """
    The watermark stays behind Gladly's clock by the overlap, however many answers are empty (faults A14).
    """
    sandbox.clock.advance(-3_600)  # so that no other clock holds back Gladly's, which this test moves
    program = begin()
    program.run()
    world = sandbox.world
    for name in ("Ana", "Bea"):
        world.open_conversation(world.add_customer(name))
    sandbox.faults.rewrite_feed(lambda lines: [])
    watermarks = []
    for _ in range(6):
        sandbox.clock.advance(9.5)
        program.restart()
        assert program.run().errors == []
        watermarks.append(program.watermark)
        assert program.watermark == sandbox.clock.now().replace(microsecond=0) - OVERLAP
    assert all(earlier < later for earlier, later in pairwise(watermarks))
    sandbox.faults.rewrite_feed(None)
    program.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.received) == 2


def test_the_watermark_follows_gladly_s_clock_not_ours(begin, sandbox):
    """A machine whose clock is a day off reads the same windows (faults A14)."""
    sandbox.clock.set(datetime(2026, 3, 1, 12, tzinfo=UTC))
    program = begin()
    for _ in range(3):
        program.run()
        assert program.watermark == sandbox.clock.now().replace(microsecond=0) - OVERLAP
        sandbox.clock.advance(3600)
        program.restart()  # time passes for the process, too, which would not believe that it did


def test_transitions_within_one_poll_or_second_all_count(old_world):
    """
    One conversation closes without a known opening. Others close, reopen and close within one poll. Each
    transition is sent once, in order (faults B8).
    """
    sandbox, world = old_world.sandbox, old_world.sandbox.world
    before = world.open_conversation(world.add_customer("Ana"), at=NOON - timedelta(days=2))
    sandbox.clock.advance(600)
    now = sandbox.clock.now()
    world.close(before, at=now - timedelta(seconds=500))
    for number, gap in enumerate((2, 60)):
        flapping = world.open_conversation(world.add_customer(f"B{number}"), at=now - timedelta(seconds=400))
        world.close(flapping, at=now - timedelta(seconds=300))
        world.reopen(flapping, at=now - timedelta(seconds=300 - gap / 2))
        world.close(flapping, at=now - timedelta(seconds=300 - gap))
    assert old_world.run("once").returncode == 0
    assert problems(sandbox, since=NOON) == []
    assert len(sandbox.inbox.received) == 1 + 3 + 3


@pytest.mark.parametrize(
    ("close_late_s", "reopening_late_s", "second_late_s"),
    [
        pytest.param(0, 30, 0, id="the reopening late"),
        pytest.param(30, 30, 0, id="first close and reopening late"),
        pytest.param(30, 0, 0, id="the first close late"),
        pytest.param(0, 30, 15, id="one after the other, the reopening last"),
        pytest.param(30, 15, 0, id="one after the other, backwards"),
    ],
)
@pytest.mark.parametrize("chunk", [300, 1], ids=["one chunk", "a chunk each"])
def test_a_reopening_between_two_quick_closes_that_shows_late_makes_two(
    begin, sandbox, tuned, close_late_s, reopening_late_s, second_late_s, chunk
):
    """
    Two closes 4 s apart were taken for one, until the reopening between them shows. Then the other close is
    an event too, `explain` says so, and the conversation is stored as closed (faults H1.12).
    """
    tuned(gladly={"chunk_transitions": chunk})
    world = sandbox.world
    start = sandbox.clock.now()
    conversation = world.open_conversation(world.add_customer("Ana"), at=start - timedelta(seconds=20))
    world.close(conversation, at=start - timedelta(seconds=6), late_s=close_late_s)
    world.reopen(conversation, at=start - timedelta(seconds=4), late_s=reopening_late_s)
    world.close(conversation, at=start - timedelta(seconds=2), late_s=second_late_s)
    program = begin()
    for _ in range(4):
        program.run()
        sandbox.clock.advance(10)
    assert problems(sandbox) == []
    assert program.store.conversations([conversation.id])[conversation.id].status is Status.CLOSED
    closes = rows(program.path, "SELECT transition FROM changes WHERE type = 'CLOSED'")
    assert closes == [("closed",), ("closed",)]
