"""Profiles are added, updated, merged and deleted by Gladly's rules."""

from datetime import timedelta

import pytest

from support.sandbox_clients import NOON, feed


def test_a_profile_shows_its_lists_as_given(sandbox, gladly):
    emails = [{"original": "Ada@Example.com", "normalized": "ada@example.com", "primary": True}]
    phones = [{"original": "(202) 555-0123", "regionCode": "US", "primary": False}]
    customer = sandbox.world.add_customer(
        "Ada", emails=emails, phones=phones, custom_attributes={"tier": "gold"}
    )
    profile = gladly.get(f"/customer-profiles/{customer.id}").json()
    assert profile["name"] == "Ada"
    assert (profile["emails"], profile["phones"]) == (emails, phones)
    assert profile["customAttributes"] == {"tier": "gold"}
    bare = sandbox.world.add_customer(None, emails=None, phones=None)
    assert set(gladly.get(f"/customer-profiles/{bare.id}").json()) == {"id", "createdAt", "updatedAt"}


def test_an_updated_profile_shows_at_once_and_keeps_its_versions(sandbox, gladly):
    customer = sandbox.world.add_customer("Ada")
    sandbox.clock.advance(60)
    sandbox.world.update_profile(customer, name="Ada L.", custom_attributes={"tier": "gold"})
    profile = gladly.get(f"/customer-profiles/{customer.id}").json()
    assert (profile["name"], profile["customAttributes"]) == ("Ada L.", {"tier": "gold"})
    versions = sandbox.world.profile_versions(customer.id)
    assert [(at, shown["name"]) for at, shown in versions] == [
        (NOON, "Ada"),
        (NOON + timedelta(seconds=60), "Ada L."),
    ]
    assert feed(gladly, entities=["CUSTOMER_PROFILE"])[-1]["type"] == "CUSTOMER_PROFILE/UPDATED"


def test_merging_two_who_both_wrote_in(sandbox, gladly):
    """
    The source answers 301 without a Location, its open conversation is gone, its closed ones moved.
    """
    world = sandbox.world
    source, destination = world.add_customer(), world.add_customer()
    old = world.close(world.open_conversation(source))
    absorbed, kept = world.open_conversation(source), world.open_conversation(destination)
    world.merge(source, destination)

    moved = gladly.get(f"/customer-profiles/{source.id}")
    assert moved.status_code == 301
    assert "Location" not in moved.headers
    (error,) = moved.json()["errors"]
    assert (error["attr"], error["code"]) == ("customerId", "moved")
    assert error["meta"] == {"old": source.id, "new": destination.id}
    assert gladly.get(f"/customers/{source.id}/conversations").status_code == 301

    assert gladly.get(f"/conversations/{absorbed.id}").status_code == 404
    assert gladly.get(f"/conversations/{old.id}").json()["customerId"] == destination.id
    (event,) = feed(gladly, entities=["CUSTOMER"])
    assert event["content"] == {
        "sourceCustomerId": source.id,
        "destinationCustomerId": destination.id,
        "sourceConversationId": absorbed.id,
        "destinationConversationId": kept.id,
    }
    with pytest.raises(ValueError, match="was merged"):
        world.close(absorbed)
    assert world.merged == {source.id: (destination.id, NOON)}


def test_merging_moves_the_only_open_conversation_and_merges_chain(sandbox, gladly):
    world = sandbox.world
    first, second, third = (world.add_customer() for _ in range(3))
    talk = world.open_conversation(first)
    world.merge(first, second)
    world.merge(second, third)
    assert gladly.get(f"/conversations/{talk.id}").json()["customerId"] == third.id
    assert gladly.get(f"/customer-profiles/{first.id}").json()["errors"][0]["meta"]["new"] == second.id
    assert gladly.get(f"/customer-profiles/{second.id}").json()["errors"][0]["meta"]["new"] == third.id
    assert all(not e["content"].get("sourceConversationId") for e in feed(gladly, entities=["CUSTOMER"]))
    assert [shown["customerId"] for _, shown in world.conversation_versions(talk.id)] == [
        first.id,
        second.id,
        third.id,
    ]


def test_the_one_that_remains_gains_the_other_s_addresses(sandbox):
    world = sandbox.world
    mail = {"original": "a@example.com", "normalized": "a@example.com", "primary": True}
    source, destination = world.add_customer(emails=[mail]), world.add_customer()
    world.merge(source, destination)
    assert destination.wire()["emails"] == [mail | {"primary": False}]


def test_deleting_waits_for_the_last_close_and_leaves_nothing(sandbox, gladly):
    world = sandbox.world
    customer = world.add_customer()
    talk = world.open_conversation(customer)
    with pytest.raises(ValueError, match="closed"):
        world.delete(customer)
    world.close(talk)
    world.delete(customer)
    profile = gladly.get(f"/customer-profiles/{customer.id}")
    conversation = gladly.get(f"/conversations/{talk.id}")
    assert (profile.status_code, conversation.status_code) == (404, 404)
    assert profile.json()["errors"][0]["code"] == "not_exist"
    assert conversation.json()["errors"]["code"] == "not_exist", "for some answers `errors` is one object"
    assert [t.kind for t in world.truth()] == ["created", "closed"]
    assert world.deleted == {customer.id: NOON}
