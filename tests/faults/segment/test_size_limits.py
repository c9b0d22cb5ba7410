"""Events and batches have every size (faults D5)."""

import pytest

from support.checker import problems, verdicts
from support.outbox_samples import fill_outbox, payload_of
from support.worlds import busy_minutes
from sync.segment.limits import SegmentLimits

EVENT_MAX_BYTES = SegmentLimits().event_max_bytes
BATCH_MAX_BYTES = SegmentLimits().batch_max_bytes


@pytest.mark.parametrize("over", [-1, 0, 1], ids=["a byte less", "exactly", "a byte more"])
def test_an_event_of_32_kb_is_sent_and_a_larger_one_rejected_before_it_is(begin, sandbox, over):
    """
    The size is checked when the event is put into the outbox, and the reason names it. The other events of
    its batch are not disturbed (faults D5).
    """
    world = sandbox.world
    busy_minutes(sandbox, 2)
    customer = world.add_customer("Big", custom_attributes={"notes": ""}, recorded=False)
    conversation = world.open_conversation(customer)
    program = begin()
    program.run()
    size = next(len(a.raw) for a in sandbox.inbox.attempts if conversation.id.encode() in a.raw)
    sandbox.clock.advance(1)
    world.close(conversation)
    more = EVENT_MAX_BYTES + over - size - len(',"topicIds":[]') - len("CLOSED") + len("OPEN")
    world.update_profile(customer, custom_attributes={"notes": "x" * (more + len("Created") - len("Closed"))})
    sandbox.clock.advance(1)
    result = program.run()
    assert result.errors == []
    ours = program.events(conversation=conversation.id)[-1]
    lengths = [len(a.raw) for a in sandbox.inbox.attempts if b"Conversation Closed" in a.raw]
    if over <= 0:
        assert ours["status"] == "delivered"
        assert max(lengths) == EVENT_MAX_BYTES + over
        assert problems(sandbox) == []
        return
    assert (ours["status"], ours["attempts"]) == ("rejected", 0)
    assert (
        ours["reason"] == f"{EVENT_MAX_BYTES + 1} bytes, and Segment takes at most {EVENT_MAX_BYTES} an event"
    )
    assert max(lengths) < EVENT_MAX_BYTES
    assert all(r.body_bytes < EVENT_MAX_BYTES for r in sandbox.segment_requests)
    assert verdicts(problems(sandbox)) == [("lost", conversation.id)]
    program.store.outbox.retry(None)  # it is still as large
    program.run()
    assert program.events(conversation=conversation.id)[-1]["status"] == "rejected"
    assert all(r.status == 200 for r in sandbox.segment_requests)


def test_batches_stay_within_segment_s_500_kb_whatever_the_events(begin, sandbox):
    """
    Events of every size, from tiny ones to the largest, go out in one delivery. Segment refuses none for its
    size (faults D5).
    """
    program = begin()
    sizes = [300, 32_000, 31_999, 5_000, 400, 12_345, 32_000] * 30
    fill_outbox(program.store, [payload_of(n, size) for n, size in enumerate(sizes)], sandbox.clock.now())
    assert program.run().errors == []
    assert len(sandbox.inbox) == len(sizes)
    posts = sandbox.segment_requests
    assert {r.status for r in posts} == {200}
    assert max(r.body_bytes for r in posts) <= 500_000
    assert all(r.body_bytes > 450_000 for r in posts[:-1])
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(len(sizes))]


@pytest.mark.parametrize(("count", "posts"), [(2_500, [2_500]), (2_501, [2_500, 1])])
def test_no_batch_has_more_than_2500_events(begin, sandbox, count, posts):
    """Segment answers 200 to a larger batch and drops the events. So the sync counts them (faults D5)."""
    program = begin()
    tiny = b'{"type":"track","event":"e","userId":"u","messageId":"message-%d"}'
    fill_outbox(program.store, [tiny % n for n in range(count)], sandbox.clock.now())
    assert program.run().errors == []
    assert sandbox.inbox.dropped == []
    assert len(sandbox.inbox) == count
    seen = [r.body_bytes for r in sandbox.segment_requests]
    assert len(seen) == len(posts)
