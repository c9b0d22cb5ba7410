"""A living world is the same for the same seed, however often somebody looks at it."""

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
