"""An event is shown with everything that Segment adds to it."""

from datetime import timedelta

import pytest
import requests

from support.sandbox_clients import EVENT, NOON, batch


def test_a_bare_event_is_shown_with_what_segment_adds_and_its_own_timestamp(sandbox, segment):
    sent = EVENT | {"timestamp": "2019-07-03T04:30:12.071Z", "properties": {"a": None}}
    batch(segment, sent)
    assert sandbox.inbox.received == [
        sent
        | {
            "receivedAt": "2026-11-02T12:00:00.250Z",
            "originalTimestamp": "2019-07-03T04:30:12.071Z",
            "context": {"library": {"name": "unknown", "version": "unknown"}},
            "integrations": {},
        }
    ]
    assert requests.get(sandbox.segment_url + "/sandbox/events", timeout=5).json() == sandbox.inbox.received


@pytest.mark.parametrize("level", ["event", "batch"])
def test_sent_at_shifts_the_timestamp_by_the_network_delay(sandbox, segment, level):
    """
    timestamp = receivedAt - (sentAt - originalTimestamp), wherever sentAt stands.
    """
    sent_at = {"sentAt": (NOON - timedelta(seconds=3)).isoformat()}
    event = EVENT | {"timestamp": "2026-11-02T11:00:00.000Z"}
    batch(segment, event | (sent_at if level == "event" else {}), **(sent_at if level == "batch" else {}))
    (shown,) = sandbox.inbox.received
    assert shown["timestamp"] == "2026-11-02T11:00:03.000Z"
    assert shown["originalTimestamp"] == "2026-11-02T11:00:00.000Z"


def test_without_a_timestamp_it_is_the_time_of_arrival(sandbox, segment):
    batch(segment, EVENT)
    (shown,) = sandbox.inbox.received
    assert shown["timestamp"] == shown["receivedAt"] == "2026-11-02T12:00:00.250Z"


def test_the_batch_s_context_and_integrations_are_every_event_s(sandbox, segment):
    own = EVENT | {"context": {"ip": "10.0.0.1"}, "integrations": {"All": True}}
    common = {
        "context": {"ip": "0.0.0.0", "library": {"name": "l", "version": "1"}},
        "integrations": {"All": False, "X": True},
    }
    batch(segment, own, **common)
    (shown,) = sandbox.inbox.received
    assert shown["context"] == {"ip": "10.0.0.1", "library": {"name": "l", "version": "1"}}
    assert shown["integrations"] == {"All": True, "X": True}
