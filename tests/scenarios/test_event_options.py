"""
Events hold more or less than Gladly's own integration sends (semantics 1.3), from Gladly's answers to what
arrives.
"""

import hashlib

from support.installation import Installation


def test_what_a_person_asks_for_arrives_and_nothing_else_changes(installation: Installation) -> None:
    """
    The environment sets the properties, with commas between. The names of topics cost one more request in
    all.
    """
    sandbox, world = installation.sandbox, installation.sandbox.world
    topics = [world.add_topic(name) for name in ("Sizes", "Returns")]
    talks = {}
    for n in range(3):
        emails = [{"original": f"Zoe{n}@Example.com", "primary": True}]
        customer = world.add_customer("Zoë Quinn", emails=emails)
        talk = world.open_conversation(customer, agent=world.add_agent("Ada"))
        for topic in topics:
            world.add_topic_to(talk, topic)
        world.close(talk)
        talks[talk.id] = (talk, hashlib.sha256(f"zoe{n}@example.com".encode()).hexdigest())
    installation.settings |= {
        "GLADLY_SEGMENT_PROPERTIES__ADD": "closedAt, inboxId, topicNames",
        "GLADLY_SEGMENT_PROPERTIES__LEAVE_OUT": "customerName,phone",
        "GLADLY_SEGMENT_PROPERTIES__HASH": "email",
    }

    assert installation.run("once").returncode == 0

    closed = [e["properties"] for e in sandbox.inbox.received if e["event"] == "Gladly Conversation Closed"]
    assert {properties["conversationId"] for properties in closed} == talks.keys()
    for properties in closed:
        talk, hashed = talks[properties["conversationId"]]
        assert properties.keys() == {
            *("agentId", "agentName", "conversationId", "customAttributes", "status", "topicIds"),
            *("closedAt", "inboxId", "topicNames", "emailSha256"),
        }
        assert (properties["emailSha256"], properties["inboxId"]) == (hashed, talk.wire()["inboxId"])
        assert properties["topicNames"] == ["Sizes", "Returns"]
    assert [request.path for request in sandbox.gladly_requests].count("/api/v1/topics") == 1
    assert b"Zoe" not in installation.state_path.read_bytes()


def test_topics_are_asked_for_only_where_their_names_are_wanted(installation: Installation) -> None:
    """By default the sync reads no more than Gladly's own integration sends."""
    world = installation.sandbox.world
    talk = world.open_conversation(world.add_customer("Zoë Quinn"))
    world.add_topic_to(talk, world.add_topic("Sizes"))
    world.close(talk)
    assert installation.run("once").returncode == 0
    assert "/api/v1/topics" not in {request.path for request in installation.sandbox.gladly_requests}


def test_a_customer_can_be_known_by_the_id_of_another_system(installation: Installation) -> None:
    """`userId` is the profile's first external id; Gladly's where it has none (semantics 1.5)."""
    world = installation.sandbox.world
    known = world.add_customer("Ana", external_customer_id="crm-7")
    unknown = world.add_customer("Ben")
    for customer in (known, unknown):
        world.open_conversation(customer)
    installation.settings |= {
        "GLADLY_SEGMENT_PROPERTIES__USER_ID": "externalCustomerId",
        "GLADLY_SEGMENT_PROPERTIES__ADD": "externalCustomerId",
    }
    assert installation.run("once").returncode == 0
    users = {e["userId"]: e["properties"] for e in installation.sandbox.inbox.received}
    assert users.keys() == {"crm-7", unknown.id}
    assert users["crm-7"]["externalCustomerId"] == "crm-7"
    assert "externalCustomerId" not in users[unknown.id]
    assert {e["customer_id"] for e in installation.events()} == {known.id, unknown.id}
