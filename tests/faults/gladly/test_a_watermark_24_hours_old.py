"""The watermark is about as old as the Events API reaches back (faults A15)."""

from datetime import timedelta

import pytest

from support.checker import problems
from support.program import OVERLAP


@pytest.mark.parametrize("skew_s", [-30, 0, 30], ids=["our clock is ahead", "in step", "our clock is behind"])
@pytest.mark.parametrize(
    "age_s",
    [82_700, 82_900, 86_390, 86_399, 86_401, 86_430, 100_000],
    ids=["under 23 h", "over 23 h", "10 s short of 24 h", "1 s short", "1 s over", "30 s over", "28 h"],
)
def test_a_watermark_about_24_hours_old_is_read_whole_by_one_way_or_the_other(begin, sandbox, age_s, skew_s):
    """
    Gladly's clock decides. The report supplies what the Events API no longer shows, and the sync does not
    repeat a request that is answered 400 (faults A15).
    """
    world = sandbox.world
    sandbox.clock.advance(skew_s)
    watermark = sandbox.clock.now() - timedelta(seconds=age_s)
    for n, seconds in enumerate((1, 20, 300, 4_000, 40_000, age_s - 100)):
        at = watermark + timedelta(seconds=seconds)
        conversation = world.open_conversation(world.add_customer(f"C {n}", at=at, recorded=False), at=at)
        world.close(conversation, at=at + timedelta(seconds=15))
    program = begin()
    program.store.reset_watermark(watermark)
    assert program.run().errors == []
    assert program.run().errors == []
    refused = [r for r in sandbox.gladly_requests if r.status == 400]
    assert len(refused) <= 1
    if age_s < 86_390:
        assert refused == []
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 12
    # Our clock is a witness as well: where it is behind, and no change says so, a stretch is read again.
    behind = sandbox.clock.now().replace(microsecond=0) - OVERLAP - program.watermark
    assert timedelta(0) <= behind <= timedelta(seconds=max(0, skew_s))
