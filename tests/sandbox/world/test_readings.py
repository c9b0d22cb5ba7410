"""The feed and the truth are readings of one history."""

from datetime import timedelta

import requests

from support.sandbox_clients import NOON, feed

ALL = ["CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE"]


def test_only_the_entities_asked_for_are_told(sandbox, gladly):
    world = sandbox.world
    one, other = world.add_customer(), world.add_customer()
    world.open_conversation(one)
    world.merge(one, other)
    assert [e["type"] for e in feed(gladly)] == ["CONVERSATION/CREATED"]
    assert [e["type"] for e in feed(gladly, entities=["CUSTOMER"])] == ["CUSTOMER/MERGED"]
    assert {e["type"] for e in feed(gladly, entities=["CUSTOMER_PROFILE"])} == {"CUSTOMER_PROFILE/CREATED"}
    assert len(feed(gladly, entities=ALL)) == 4


def test_a_change_shows_once_its_lateness_is_over(sandbox, gladly):
    world = sandbox.world
    late = world.open_conversation(world.add_customer(), late_s=14.9)
    sandbox.clock.advance(5)
    soon = world.open_conversation(world.add_customer(), late_s=0)
    assert [e["content"]["conversationId"] for e in feed(gladly)] == [soon.id]
    sandbox.clock.advance(9.9)
    assert [e["content"]["conversationId"] for e in feed(gladly)] == [late.id, soon.id]


def test_both_ends_of_the_interval_are_included_and_times_ascend(sandbox, gladly):
    world = sandbox.world
    for seconds in (3, 1, 2, 0, 2):  # made out of order
        world.open_conversation(world.add_customer(), at=NOON - timedelta(seconds=60 - seconds))
    found = feed(gladly, NOON - timedelta(seconds=59), endAt=(NOON - timedelta(seconds=58)).isoformat())
    assert [e["timestamp"] for e in found] == ["2026-11-02T11:59:01.250Z"] + ["2026-11-02T11:59:02.250Z"] * 2


def test_the_truth_lists_every_transition_in_recorded_order(sandbox):
    world = sandbox.world
    customer = world.add_customer()
    talk = world.open_conversation(customer, at=NOON - timedelta(days=3))
    world.close(talk, at=NOON - timedelta(days=2), late_s=60)
    world.reopen(talk)
    other = world.open_conversation(world.add_customer(), at=NOON - timedelta(days=2, hours=1))
    truth = world.truth()
    assert [(t.kind, t.conversation_id) for t in truth] == [
        ("created", talk.id), ("created", other.id), ("closed", talk.id), ("reopened", talk.id),
    ]  # fmt: skip
    assert truth[2].visible_at == NOON - timedelta(days=2) + timedelta(seconds=60)
    assert {t.created_at for t in truth if t.conversation_id == talk.id} == {NOON - timedelta(days=3)}
    shown = requests.get(sandbox.gladly_url + "/sandbox/truth", timeout=5).json()
    assert [entry["kind"] for entry in shown] == ["created", "created", "closed", "reopened"]
