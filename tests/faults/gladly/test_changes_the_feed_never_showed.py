"""Reconcile finds changes that the feed never showed (faults A2)."""

from datetime import timedelta

from support.checker import problems, verdicts


def test_a_close_that_shows_beyond_the_overlap_is_found_by_reconcile(begin, sandbox):
    """
    No poll can see that close any more. Reconcile finds it, and it is sent as if the feed had shown it in
    time (faults A2).
    """
    world = sandbox.world
    sandbox.clock.advance(-3_600)  # so that no other clock holds back Gladly's, which this test moves
    customer = world.add_customer("Ana", recorded=False)
    conversation = world.open_conversation(customer, at=sandbox.clock.now() - timedelta(hours=2))
    without = begin(SYNC__START="3h", SYNC__RECONCILE="off")
    without.run()
    closed_at = sandbox.clock.now()
    world.close(conversation, late_s=400)
    for _ in range(5):
        sandbox.clock.advance(100)
        without.restart()
        without.run()
    assert without.watermark > closed_at
    assert verdicts(problems(sandbox)) == [("lost", conversation.id)]
    without.close()
    with_it = begin(SYNC__START="3h", SYNC__RECONCILE="1s")
    assert with_it.pipeline.reconciler.run().figures.closed == 1
    with_it.run()
    assert problems(sandbox) == []
    with_it.store.reset_watermark(closed_at - timedelta(seconds=1))  # the feed's own line is the same close
    with_it.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 2
