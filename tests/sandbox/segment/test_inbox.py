"""The inbox keeps every event, knows repeats, and drops what Segment drops."""

import pytest

from support.sandbox_clients import EVENT, batch


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        pytest.param({"type": "track", "event": "x"}, "neither userId nor anonymousId", id="from nobody"),
        pytest.param(EVENT | {"userId": ""}, "neither userId nor anonymousId", id="from an empty name"),
        pytest.param(
            {"type": "track", "userId": "u"}, "a track event without an event name", id="of nothing"
        ),
        pytest.param({"userId": "u"}, "unknown type None", id="of no type"),
        pytest.param(EVENT | {"type": []}, "unknown type []", id="of a type that is no text"),
        pytest.param(
            EVENT | {"messageId": "m" * 100}, "messageId has 100 characters or more", id="with a long id"
        ),
    ],
)
def test_an_invalid_event_is_dropped_after_a_200(sandbox, segment, event, reason):
    assert batch(segment, event).json() == {"success": True}
    assert len(sandbox.inbox) == 0
    assert [dropped.reason for dropped in sandbox.inbox.dropped] == [reason]


def test_a_message_id_counts_once_in_24_hours(sandbox, segment):
    batch(segment, EVENT, EVENT)
    batch(segment, EVENT | {"event": "Another"})
    assert [event["event"] for event in sandbox.inbox.received] == ["Said Hello"]
    assert sandbox.inbox.repeats == {"m-1": 2}
    assert [attempt.outcome for attempt in sandbox.inbox.attempts] == ["received", "repeat", "repeat"]
    sandbox.clock.advance(24 * 3600)
    batch(segment, EVENT)
    assert len(sandbox.inbox.received) == 2


def test_attempts_keep_the_very_bytes(sandbox, segment):
    odd = b'{ "type":"track","event":"x" ,"userId":"u","messageId":"m","properties":{"n":1.50,"s":"\\u00e9"}}'
    segment.post("/batch", data=b'{"sentAt":null, "batch" : [ ' + odd + b" ]}")
    assert [attempt.raw for attempt in sandbox.inbox.attempts] == [odd]


def test_a_message_id_is_made_where_there_is_none(sandbox, segment):
    nameless = {key: value for key, value in EVENT.items() if key != "messageId"}
    batch(segment, nameless, nameless)
    ids = [event["messageId"] for event in sandbox.inbox.received]
    assert len(set(ids)) == 2
    assert all(ids)
