"""The world lives on its own, the same way for the same seed, and begins with something of everything."""

import json
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import Clock, Sandbox, World
from sandbox.simulation.living_world import LivingWorld
from sandbox.world.bulk import fill
from support.sandbox_clients import NOON, gladly_client


def lived(seed, tempo, looks_s, *, lateness_s=15.0):
    """Return a living world that was looked at after each of these many seconds."""
    clock = Clock(NOON, pace=0)
    world = LivingWorld(clock, seed=seed, tempo=tempo, lateness_s=lateness_s)
    for seconds in looks_s:
        clock.advance(seconds)
        world.run_to_now()
    return world


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


@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("tempo", [1, 20])
def test_the_opening_shows_everything(seed, tempo):
    """
    Within 400 seconds at tempo 1: created, closed, closed twice, merged in a chain, and gone after closing.
    """
    world = lived(seed, tempo, [400 / tempo])
    types = Counter(change.type for change in world.changes)
    assert types["CONVERSATION/CREATED"] >= 5
    assert types["CONVERSATION/CLOSED"] >= 4
    assert types["CONVERSATION/REOPENED"] >= 1
    assert types["CUSTOMER/MERGED"] >= 2
    assert types["CONVERSATION_ASSIGNEE/UPDATED"] >= 3
    assert types["CONVERSATION/TOPIC_ADDED"] >= 1
    assert types["CUSTOMER_PROFILE/UPDATED"] >= 1

    closes = Counter(t.conversation_id for t in world.truth() if t.kind == "closed")
    assert max(closes.values()) >= 2
    assert any(talk.gone == "merged" for talk in world.conversations.values())
    assert any(destination in world.merged for destination, _ in world.merged.values()), "merges chain"

    closed_at = {t.customer_id: t.recorded_at for t in world.truth() if t.kind == "closed"}
    waits = [(at - closed_at[who]).total_seconds() for who, at in world.deleted.items() if who in closed_at]
    assert any(0 < wait <= 0.2 for wait in waits), "one is gone at once after a close"


@pytest.mark.parametrize("tempo", [0.5, 1, 20, 100])
def test_two_closes_of_one_conversation_lie_apart_at_every_tempo(tempo):
    world = lived(3, tempo, [20_000 / tempo])
    last_close = {}
    again = 0
    for truth in world.truth():
        if truth.kind != "closed":
            continue
        if truth.conversation_id in last_close:
            assert truth.recorded_at - last_close[truth.conversation_id] >= timedelta(seconds=6)
            again += 1
        last_close[truth.conversation_id] = truth.recorded_at
    assert again > 5


def test_life_keeps_gladly_s_rules():
    """
    One open conversation a customer; nothing happens to who or what is gone; created comes before closed.
    """
    world = lived(7, 1, [6 * 3600])
    state = {}
    for truth in world.truth():
        before = state.get(truth.conversation_id)
        assert (before, truth.kind) in {(None, "created"), ("open", "closed"), ("closed", "reopened")}
        state[truth.conversation_id] = "closed" if truth.kind == "closed" else "open"
        talk = world.conversations[truth.conversation_id]
        assert talk.gone_at is None or truth.recorded_at <= talk.gone_at
    for customer in world.customers.values():
        ids = [id for id in customer.conversation_ids if world.conversations[id].is_open and customer.is_here]
        assert len(ids) <= 1
        assert ids == ([customer.open_conversation_id] if customer.open_conversation_id else [])
    for talk in world.conversations.values():
        assert [version.at for version in talk.versions] == sorted(version.at for version in talk.versions)


def test_a_strict_reader_understands_every_event_of_the_living_world():
    """
    Estuary's connector takes exactly these five fields, an initiator with id and type, ascending times.
    """
    with Sandbox(tempo=20, pace=0, start=NOON) as sandbox, gladly_client(sandbox) as gladly:
        sandbox.clock.advance(600)
        ask = {"startAt": NOON.isoformat(), "entities": ["CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE"]}
        events = [json.loads(line) for line in gladly.get("/events", params=ask).content.splitlines()]
    assert len(events) > 1000
    for event in events:
        assert list(event) == ["id", "type", "timestamp", "initiator", "content"]
        assert set(event["initiator"]) == {"id", "type"}
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)


def test_natural_pace_is_a_conversation_every_20_seconds():
    created = sum(c.type == "CONVERSATION/CREATED" for c in lived(1, 1, [4 * 3600]).changes)
    assert 600 < created < 850


def test_profiles_are_as_uneven_as_real_ones():
    profiles = [customer.wire() for customer in lived(1, 1, [8 * 3600]).customers.values()]
    emails = [profile.get("emails") for profile in profiles]
    phones = [phone for profile in profiles for phone in profile.get("phones", [])]
    assert None in emails
    assert [] in emails
    assert any(e and len(e) > 1 and not any(entry.get("primary") for entry in e) for e in emails)
    assert all(sum(bool(entry.get("primary")) for entry in e or []) <= 1 for e in emails)
    assert any("normalized" not in phone and "regionCode" in phone for phone in phones)
    assert any("normalized" not in phone and "regionCode" not in phone for phone in phones)
    assert all(sum(bool(p.get("primary")) for p in profile.get("phones", [])) <= 1 for profile in profiles)
    assert {} in [profile.get("customAttributes") for profile in profiles]
    assert any("name" not in profile for profile in profiles)
    mails = [entry["original"].lower() for e in emails for entry in e or []]
    assert all(mail.endswith(("@example.com", "@example.org")) for mail in mails)


def test_the_world_catches_up_at_the_start_of_a_request():
    with Sandbox(tempo=20, pace=0, start=NOON, lateness_s=0) as sandbox, gladly_client(sandbox) as gladly:
        ask = {"startAt": NOON.isoformat(), "entities": "CONVERSATION"}
        assert gladly.get("/events", params=ask).content == b""
        sandbox.clock.advance(20)
        assert len(gladly.get("/events", params=ask).content.splitlines()) > 30


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


def test_clock_moves_as_told():
    clock = Clock(NOON, pace=0)
    clock.advance(90)
    assert clock.now() == NOON + timedelta(seconds=90)
    clock.set(NOON)
    assert clock.now() == NOON
    fast = Clock(NOON, pace=1000)
    assert fast.now() < fast.now()
    with pytest.raises(ValueError, match="aware"):
        Clock(NOON.replace(tzinfo=None))
