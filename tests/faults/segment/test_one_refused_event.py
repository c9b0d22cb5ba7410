"""Segment refuses one event among many (faults D4)."""

import math

import pytest

from sandbox import Fault
from support.endpoints import BATCH
from support.outbox_samples import fill_outbox, payload_of
from support.worlds import busy_minutes


@pytest.mark.parametrize("bad", [0, 499, 999], ids=["the first", "in the middle", "the last"])
def test_one_event_refused_among_a_thousand_is_found_by_halving(begin, sandbox, bad):
    """
    The 999 others are delivered once each and in order. The refused event keeps Segment's reason (faults D4).
    """
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(1000)], sandbox.clock.now())
    sandbox.faults.reject_message(lambda event: event["messageId"] == f"message-{bad}")
    result = program.run()
    assert result.errors == []
    assert result.poll.delivered == 999
    rejected = program.events(status="rejected")
    assert [(e["message_id"], e["attempts"]) for e in rejected] == [(f"message-{bad}", 1)]
    assert "invalid event" in rejected[0]["reason"]
    assert rejected[0]["payload"]["messageId"] == f"message-{bad}"
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(1000) if n != bad]
    assert len(sandbox.segment_requests) <= 2 * math.log2(1000) + 2
    posts = len(sandbox.segment_requests)
    program.run()
    assert len(sandbox.segment_requests) == posts


def test_a_rejected_event_goes_out_when_it_is_retried(installation, sandbox):
    """
    The event is shown, and `retry` makes it pending by its id. It then arrives with the same messageId
    (faults D4).
    """
    busy_minutes(sandbox, 2)
    sandbox.faults.reject_message(lambda event: event["event"].endswith("Closed"))
    assert installation.run("once").returncode == 0
    rejected = installation.events(status="rejected")
    assert len(rejected) == 2
    sandbox.faults.clear()
    assert installation.run("retry", rejected[0]["message_id"]).returncode == 0
    assert installation.run("once").returncode == 0
    assert sandbox.inbox.received[-1]["messageId"] == rejected[0]["message_id"]
    assert len(installation.events(status="delivered")) == 3


def test_an_error_in_the_middle_of_halving_keeps_what_is_known(begin, sandbox, tuned):
    """Halves that were delivered are not sent again, and the rest stays pending (faults D4)."""
    tuned(retry={"max_attempts": 1})
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(64)], sandbox.clock.now())
    sandbox.faults.reject_message(lambda event: event["messageId"] == "message-50")
    for status in (None, None, None, 503):
        sandbox.faults.add("segment", BATCH, Fault(status))
    (error,) = program.run().errors
    assert "503" in str(error)
    assert [e["status"] for e in program.events()] == ["delivered"] * 32 + ["pending"] * 32
    assert program.run().errors == []
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(64) if n != 50]
