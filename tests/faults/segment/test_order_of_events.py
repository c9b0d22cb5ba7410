"""Events arrive in order, whatever fails (faults D10)."""

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import BATCH
from support.outbox_samples import fill_outbox, payload_of
from support.proxy_actions import hang_up, swallow
from support.worlds import busy_minutes


@pytest.mark.parametrize("failing", [1, 2, 3], ids=["the first", "the second", "the third"])
def test_no_event_overtakes_one_whose_batch_failed(begin, sandbox, tuned, failing):
    """The first batch that fails ends the delivery. The next cycle goes on exactly there (faults D10)."""
    tuned(retry={"max_attempts": 1})
    program = begin()
    fill_outbox(program.store, [payload_of(n, 30_000) for n in range(60)], sandbox.clock.now())
    for _ in range(failing - 1):
        sandbox.faults.add("segment", BATCH, Fault())
    sandbox.faults.add("segment", BATCH, Fault(503))
    (error,) = program.run().errors
    assert "503" in str(error)
    done = 16 * (failing - 1)
    assert [e["status"] for e in program.events()] == ["delivered"] * done + ["pending"] * (60 - done)
    assert program.run().errors == []
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(60)]


def test_a_conversation_s_creation_arrives_before_its_close(begin, sandbox, proxy, impatient):
    """Batches fail in between, before and after they arrive (faults D10)."""
    ids = busy_minutes(sandbox, 40)
    proxy.on(BATCH, hang_up(500), nth=1).on(BATCH, swallow("reset"), nth=2).on(BATCH, hang_up(), nth=3)
    program = begin(segment=proxy.url)
    program.run()
    program.run()
    order = [(e["properties"]["conversationId"], e["event"].split()[-1]) for e in sandbox.inbox.received]
    assert order == [(id_, kind) for id_ in ids for kind in ("Created", "Closed")]
    assert problems(sandbox) == []
