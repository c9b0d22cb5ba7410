"""The whole way from a conversation at Gladly to an event in Segment, as a process over real HTTP."""

import json
import random
import signal
import subprocess
import time

import pytest

from sandbox import Sandbox
from support.checker import problems, suppressed
from support.installation import Installation
from support.state_file import a_minute_later


def test_a_conversation_created_and_closed_is_two_events_as_gladly_documents_them(installation, ago):
    """The local Segment shows the JSON of Gladly's own integration, field for field (semantics 1)."""
    world = installation.sandbox.world
    agent, topic = world.add_agent("Sam Doe"), world.add_topic("Returns")
    customer = world.add_customer(
        "Zoë Quinn",
        emails=[{"normalized": "zoe@example.com", "original": "Zoe@example.com", "primary": True}],
        phones=[{"original": "(212) 555-0123", "regionCode": "US"}],
        custom_attributes={"membershipTier": "gold"},
    )
    conversation = world.open_conversation(customer, at=ago(120), agent=agent)
    world.add_topic_to(conversation, topic, at=ago(100))
    world.close(conversation, at=ago(60))

    done = installation.run("once")

    assert (done.returncode, done.stdout) == (0, "")
    created, closed = ({**event} for event in installation.sandbox.inbox.received)
    created_at = world.conversation_versions(conversation.id)[0][1]["createdAt"][:23] + "Z"
    common = {
        "context": {"library": {"name": "unknown", "version": "unknown"}},
        "integrations": {},
        "type": "track",
        "userId": customer.id,
        "originalTimestamp": closed["timestamp"],
        "timestamp": closed["timestamp"],
    }
    properties = {
        "agentId": agent.id,
        "agentName": "Sam Doe",
        "conversationId": conversation.id,
        "customerName": "Zoë Quinn",
        "customAttributes": {"membershipTier": "gold"},
        "email": "zoe@example.com",
        "phone": "+12125550123",
    }
    assert len(created_at) == 24
    for event in (created, closed):
        assert len(event.pop("messageId")) == 36
        assert event.pop("receivedAt") > event["timestamp"]
    assert created == common | {
        "event": "Gladly Conversation Created",
        "properties": properties | {"status": "OPEN"},
    }
    assert closed == common | {
        "event": "Gladly Conversation Closed",
        "properties": properties | {"status": "CLOSED", "topicIds": [topic.id]},
    }
    assert problems(installation.sandbox) == []


def test_an_idle_cycle_makes_one_request_to_gladly_and_none_to_segment(installation, ago):
    """A recorded change is recognised by its id, and costs nothing more."""
    world = installation.sandbox.world
    world.open_conversation(world.add_customer("Ana"), at=ago(20))
    assert installation.run("once").returncode == 0
    gladly, segment = len(installation.sandbox.gladly_requests), len(installation.sandbox.segment_requests)
    assert installation.run("once").returncode == 0
    assert [r.path for r in installation.sandbox.gladly_requests[gladly:]] == ["/api/v1/events"]
    assert len(installation.sandbox.segment_requests) == segment


def test_a_deleted_customer_is_suppressed_and_forgotten(installation, ago):
    """Nothing is sent about a customer who is deleted when the change is read (semantics 5.1)."""
    world = installation.sandbox.world
    customer = world.add_customer("Ana", emails=[{"original": "ana@example.com"}])
    conversation = world.open_conversation(customer, at=ago(120))
    world.close(conversation, at=ago(60))
    world.delete(customer, at=ago(59))
    assert installation.run("once").returncode == 0
    assert installation.sandbox.inbox.received == []
    assert [(e["transition"], e["status"], e["payload"]) for e in installation.events()] == [
        ("created", "suppressed", None),
        ("closed", "suppressed", None),
    ]


def test_a_merged_customer_is_sent_under_the_id_that_remains(installation, ago):
    """
    This holds through a chain of merges, and when the source's conversation is gone
    (semantics 1.1, 2.2, 5.2).
    """
    world = installation.sandbox.world
    first, second, third = (world.add_customer(name) for name in ("One", "Two", "Three"))
    merged_away = world.open_conversation(first, at=ago(120))
    world.open_conversation(second, at=ago(110))
    world.merge(first, second, at=ago(100))
    world.merge(second, third, at=ago(90))
    assert installation.run("once").returncode == 0
    assert [e["userId"] for e in installation.sandbox.inbox.received] == [third.id, third.id]
    assert problems(installation.sandbox) == []
    gone = installation.sandbox.inbox.received[0]
    assert gone["properties"]["conversationId"] == merged_away.id


def test_twenty_polls_ten_of_them_killed_send_every_event_once(tmp_path):
    """
    A world runs for ten minutes at twenty times its pace. `once` runs at arbitrary moments, and some runs end
    by SIGKILL. Without repeats, Segment has the world's own history: no event is missing or extra, and every
    field is right.
    """
    moments = random.Random(20)
    with Sandbox(seed=11, tempo=1.0, pace=20.0, lateness_s=15.0) as sandbox:
        installation = Installation(
            tmp_path,
            sandbox,
            {
                "GLADLY_SEGMENT_SYNC__START": "1m",
                "GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND": "9",
            },
        )
        started = time.monotonic()
        killed = polls = 0
        while killed < 10 or polls < 20 or time.monotonic() < started + 30:
            process = installation.start("once")
            polls += 1
            if moments.random() < 0.6:
                try:
                    process.wait(timeout=moments.uniform(0.15, 1.2))
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    killed += 1
            process.communicate()
            time.sleep(moments.uniform(0, 0.4))
        until = sandbox.clock.now()
        time.sleep(3.5)  # the feed is late by 15 seconds of the world, and the overlap is 60 of them
        for _ in range(2):  # a 404 is asked for again
            last = installation.run("once")
            assert last.returncode == 0, last.stderr
            a_minute_later(installation.state_path)
        events = installation.events()
    assert killed >= 10
    assert polls >= 20
    assert len(sandbox.inbox.received) > 30
    assert problems(sandbox, until=until) == []
    assert suppressed(sandbox, events) == []
    assert {e["message_id"] for e in events if e["status"] == "delivered"} == {
        e["messageId"] for e in sandbox.inbox.received
    }


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_one_end_down_does_not_stop_the_other(installation, ago, side):
    """Polling goes on while Segment is down, and delivery while Gladly is down (semantics 4.5)."""
    world, sandbox = installation.sandbox.world, installation.sandbox
    world.open_conversation(world.add_customer("Ana"), at=ago(120))
    sandbox.stop_segment()
    assert installation.run("once").returncode == 1
    assert [e["status"] for e in installation.events()] == ["pending"]
    if side == "segment":
        world.open_conversation(world.add_customer("Bea"))
        assert installation.run("once").returncode == 1
        assert [e["status"] for e in installation.events()] == ["pending", "pending"]
        sandbox.start_segment()
        assert installation.run("once").returncode == 0
    else:
        sandbox.stop_gladly()
        sandbox.start_segment()
        done = installation.run("once")
        assert done.returncode == 1
        assert "Gladly" in done.stderr
    assert {e["status"] for e in installation.events()} == {"delivered"}
    assert len(sandbox.inbox.received) == len(installation.events())


def test_a_dry_run_shows_the_very_bytes_that_a_cycle_sends(installation, ago):
    """A dry run stores and sends nothing."""
    world = installation.sandbox.world
    world.open_conversation(world.add_customer("Ana"), at=ago(120))
    shown = installation.run("once", "--dry-run")
    assert shown.returncode == 0
    assert installation.sandbox.inbox.received == []
    assert not installation.state_path.exists()
    installation.run("once")
    (attempt,) = installation.sandbox.inbox.attempts
    assert shown.stdout.strip().encode() == attempt.raw
    assert json.loads(shown.stdout)["type"] == "track"
