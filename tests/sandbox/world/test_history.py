"""A change enters the history with its delay, and may be of any type."""

from sandbox import Sandbox
from support.sandbox_clients import NOON, feed


def test_lateness_is_drawn_between_nothing_and_its_limit():
    with Sandbox(pace=0, start=NOON, lateness_s=15) as sandbox:
        for _ in range(200):
            sandbox.world.add_customer()
        delays = [(c.visible_at - c.timestamp).total_seconds() for c in sandbox.world.changes]
        assert min(delays) < 1
        assert 14 < max(delays) <= 15


def test_types_nobody_has_heard_of_can_be_recorded(sandbox, gladly):
    sandbox.world.record("CONVERSATION/SNOOZED", {"conversationId": "x", "until": None})
    (event,) = feed(gladly)
    assert (event["type"], event["content"]) == (
        "CONVERSATION/SNOOZED",
        {"conversationId": "x", "until": None},
    )
    assert "initiator" not in event
