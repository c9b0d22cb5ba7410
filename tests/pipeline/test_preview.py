"""A dry run shows the very bytes that would be sent, and sends nothing."""

import json

import pytest

from sandbox import Fault
from support.endpoints import PROFILES
from support.outbox_samples import fill_outbox, payload_of
from support.worlds import busy_minutes
from sync.errors import RetryableError


def test_the_preview_of_a_cycle_is_what_the_cycle_sends(begin, sandbox):
    """Byte by byte, and in order."""
    busy_minutes(sandbox, 5)
    program = begin()
    shown = list(program.pipeline.preview.of_a_cycle())
    assert sandbox.segment_requests == []
    program.lose_the_state_file()
    begin().run()
    assert [attempt.raw for attempt in sandbox.inbox.attempts] == shown
    assert len(shown) == 10


def test_what_is_pending_already_is_shown_too(begin, sandbox, ago):
    """The next cycle delivers it with the rest. An event that is too large is not sent, and not shown."""
    program = begin()
    payloads = [payload_of(0), payload_of(1, 32_001), payload_of(2, 32_000)]
    fill_outbox(program.store, payloads, ago(300))
    assert list(program.pipeline.preview.of_a_cycle()) == [payloads[0], payloads[2]]


def test_the_preview_of_a_resync_shows_its_interval_alone(begin, sandbox, ago):
    """What the sync has recorded already would not be sent again, and is not shown."""
    ids = busy_minutes(sandbox, 5, over_s=400)
    known = begin(SYNC__START=f"{90 + 180}s")
    known.run()
    sent = {event["properties"]["conversationId"] for event in sandbox.inbox.received}
    assert sent == set(ids[3:])
    preview = known.pipeline.preview
    assert list(preview.of_a_resync(ago(600), ago(500))) == []
    shown = b"".join(preview.of_a_resync(ago(600), ago(0)))
    assert [id_.encode() in shown for id_ in ids] == [True] * 3 + [False] * 2


def test_a_failure_of_gladly_s_is_raised(begin, sandbox, tuned):
    """A preview that is not whole would be taken for one that is. What can be shown is shown."""
    tuned(look_up={"linger_s": 0.0})
    busy_minutes(sandbox, 2)
    sandbox.faults.add("gladly", PROFILES, Fault(503))
    shown = begin().pipeline.preview.of_a_cycle()
    assert [json.loads(next(shown))["type"] for _ in range(2)] == ["track"] * 2
    with pytest.raises(RetryableError, match=r"2 events are not shown.*answered 503"):
        next(shown)
