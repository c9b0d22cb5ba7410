"""A living world is the same for the same seed, however often somebody looks at it."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import Clock, Sandbox
from sandbox.simulation.living_world import LivingWorld
from support.sandbox_clients import NOON, gladly_client, lived


def told(world):
    return [(c.id, c.type, c.timestamp, c.visible_at, c.content) for c in world.changes]


def test_nothing_happens_at_tempo_0(sandbox, gladly):
    sandbox.clock.advance(10_000)
    assert gladly.get("/agents").json() == []
    assert sandbox.world.truth() == sandbox.world.changes == []


@given(seed=st.integers(0, 50), looks_s=st.lists(st.floats(0.01, 300), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_the_same_seed_gives_the_same_world_however_it_is_looked_at(seed, looks_s):
    assert told(lived(seed, 5, looks_s)) == told(lived(seed, 5, [sum(looks_s)]))


def test_another_seed_gives_another_world():
    assert told(lived(1, 5, [600])) != told(lived(2, 5, [600]))


def test_what_is_done_by_hand_does_not_change_what_happens_by_itself():
    clock = Clock(NOON, pace=0)
    world = LivingWorld(clock, tempo=5)
    by_hand = world.open_conversation(world.add_customer(recorded=False)).id
    clock.advance(60)
    world.run_to_now()
    assert [c for c in told(world) if c[4].get("conversationId") != by_hand] == told(lived(1, 5, [60]))


def test_the_world_catches_up_at_the_start_of_a_request():
    with Sandbox(tempo=20, pace=0, start=NOON, lateness_s=0) as sandbox, gladly_client(sandbox) as gladly:
        ask = {"startAt": NOON.isoformat(), "entities": "CONVERSATION"}
        assert gladly.get("/events", params=ask).content == b""
        sandbox.clock.advance(20)
        assert len(gladly.get("/events", params=ask).content.splitlines()) > 30


def test_a_history_is_the_past_of_a_world_that_then_lives_at_its_own_tempo():
    """Conversations on each past day, at the pace of a small team; after that, the opening and the tempo."""
    clock = Clock(datetime(2026, 11, 20, 12, tzinfo=UTC), pace=0)
    world = LivingWorld(clock, seed=3, tempo=20, history=timedelta(days=7))
    past = [t for t in world.truth() if t.kind == "created"]
    by_day = Counter(t.recorded_at.date() for t in past)
    assert (len(by_day), min(past, key=lambda t: t.recorded_at).recorded_at.day) == (8, 13)
    assert all(20 < count < 80 for day, count in by_day.items() if 13 < day.day < 20)
    assert all(t.recorded_at <= clock.now() for t in past)
    clock.advance(60)
    present = [t for t in world.truth() if t.kind == "created" and t.recorded_at > past[-1].recorded_at]
    assert len(present) > 20


def test_the_same_seed_makes_the_same_past():
    """As of everything else in a world."""

    def changes():
        clock = Clock(datetime(2026, 11, 20, 12, tzinfo=UTC), pace=0)
        return [c.id for c in LivingWorld(clock, seed=3, tempo=20, history=timedelta(days=2)).changes]

    assert changes() == changes()
    assert len(changes()) > 100
