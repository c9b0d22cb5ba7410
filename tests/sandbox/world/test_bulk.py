"""A large history keeps the world's rules."""

from collections import Counter
from datetime import timedelta

from sandbox import Clock, World
from sandbox.world.bulk import fill
from support.sandbox_clients import NOON, feed


def test_bulk_makes_a_plain_history_that_keeps_the_rules():
    world = World(Clock(NOON, pace=0))
    fill(world, conversations=5000, closed_fraction=0.8, over_s=3600)
    kinds = Counter(truth.kind for truth in world.truth())
    assert kinds == {"created": 5000, "closed": 4000}
    assert world.changes[-1].timestamp <= NOON - timedelta(seconds=60)
    assert all(change.visible_at == change.timestamp for change in world.changes)
    busy = {}
    for truth in world.truth():  # one open conversation a customer, at any moment
        if truth.kind == "created":
            assert truth.customer_id not in busy
            busy[truth.customer_id] = truth.conversation_id
        else:
            assert busy.pop(truth.customer_id) == truth.conversation_id
    assert sum(talk.is_open for talk in world.conversations.values()) == 1000


def test_a_long_feed_arrives_whole(sandbox, gladly):
    fill(sandbox.world, conversations=20_000, closed_fraction=0.5)
    events = feed(gladly)
    assert len(events) == 30_000
    assert [e["timestamp"] for e in events] == sorted(e["timestamp"] for e in events)
    assert sum(e["type"] == "CONVERSATION/CLOSED" for e in events) == 10_000
