"""A simulation has the density of a small support team, and its events have Gladly's form."""

import json

from sandbox import Sandbox
from support.sandbox_clients import NOON, gladly_client, lived


def test_natural_pace_is_a_conversation_every_20_seconds():
    created = sum(c.type == "CONVERSATION/CREATED" for c in lived(1, 1, [4 * 3600]).changes)
    assert 600 < created < 850


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
