"""What happens to a conversation shows in the feed and in its object."""

import pytest

from sandbox.timekeeping.instants import parse_instant
from support.sandbox_clients import NOON, feed


def test_a_conversation_s_course_shows_in_the_feed(sandbox, gladly):
    """
    Each change has its id, type, time, initiator and content, and names the assignee just before it.
    """
    world, clock = sandbox.world, sandbox.clock
    agent, topic = world.add_agent("Ana"), world.add_topic("Delivery")
    customer = world.add_customer("Ada", recorded=False)
    talk = world.open_conversation(customer)
    inbox = {"inboxId": world.first_inbox_id}
    with_agent = inbox | {"agentId": agent.id}
    for act in (
        lambda: world.assign(talk, agent),
        lambda: world.wait(talk),
        lambda: world.add_topic_to(talk, topic),
        lambda: world.add_note(talk),
        lambda: world.remove_topic_from(talk, topic),
        lambda: world.add_attribute(talk, "order", "A-1"),
        lambda: world.close(talk),
        lambda: world.reopen(talk),
    ):
        clock.advance(1)
        act()
    events = feed(gladly)
    assert [event["type"] for event in events] == [
        "CONVERSATION/CREATED",
        "CONVERSATION_ASSIGNEE/UPDATED",
        "CONVERSATION/TOPIC_ADDED",
        "CONVERSATION/NOTE_CREATED",
        "CONVERSATION/TOPIC_REMOVED",
        "CONVERSATION/CUSTOM_ATTRIBUTE_ADDED",
        "CONVERSATION/CLOSED",
        "CONVERSATION/REOPENED",
    ]
    created, assigned, topic_added, *_, closed, reopened = events
    assert created == {
        "id": created["id"],
        "type": "CONVERSATION/CREATED",
        "timestamp": "2026-11-02T12:00:00.250Z",
        "initiator": {"id": customer.id, "type": "CUSTOMER"},
        "content": {"customerId": customer.id, "conversationId": talk.id, "context": {"assignee": inbox}},
    }
    assert assigned["content"]["assignee"] == with_agent
    assert assigned["content"]["context"] == {"assignee": inbox}
    assert assigned["content"]["reason"]
    assert topic_added["content"]["topicId"] == topic.id
    assert closed["content"]["context"] == reopened["content"]["context"] == {"assignee": with_agent}
    assert len({event["id"] for event in events}) == 8
    assert all(len(event["id"]) == 22 for event in events)


def test_a_conversation_shows_what_the_reference_lists(sandbox, gladly):
    world = sandbox.world
    agent, topic = world.add_agent("Ana"), world.add_topic("Delivery")
    customer = world.add_customer()
    talk = world.open_conversation(customer)
    fresh = gladly.get(f"/conversations/{talk.id}").json()
    assert parse_instant(fresh.pop("createdAt")).replace(microsecond=250_000) == NOON
    assert fresh == {
        "id": talk.id,
        "customerId": customer.id,
        "inboxId": world.first_inbox_id,
        "status": "OPEN",
    }
    world.assign(talk, agent)
    world.add_topic_to(talk, topic)
    world.add_attribute(talk, "order", "A-1")
    world.wait(talk)
    assert gladly.get(f"/conversations/{talk.id}").json()["status"] == "WAITING"
    world.close(talk)
    closed = gladly.get(f"/conversations/{talk.id}").json()
    assert (closed["status"], closed["agentId"], closed["topicIds"]) == ("CLOSED", agent.id, [topic.id])
    assert closed["customAttributes"] == [{"id": "order", "value": "A-1"}]
    assert parse_instant(closed["closedAt"]).replace(microsecond=250_000) == NOON
    world.reopen(talk)
    assert "closedAt" not in gladly.get(f"/conversations/{talk.id}").json()


def test_a_customer_has_one_open_conversation_at_a_time(sandbox):
    world = sandbox.world
    customer = world.add_customer()
    first = world.open_conversation(customer)
    with pytest.raises(ValueError, match="one at a time"):
        world.open_conversation(customer)
    world.close(first)
    world.open_conversation(customer)
    with pytest.raises(ValueError, match="one at a time"):
        world.reopen(first)
