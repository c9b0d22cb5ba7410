"""The local Segment keeps the rules of Segment's HTTP Tracking API, to the byte, over real HTTP."""

import gzip
import json

import pytest
import requests
from segment.analytics.client import Client as Analytics

from sandbox import Sandbox
from support.sandbox_clients import EVENT, batch


def padded(event, size):
    """Return *event* as JSON of exactly *size* bytes."""
    short = json.dumps(event | {"properties": {"pad": ""}}).encode()
    return json.dumps(event | {"properties": {"pad": "x" * (size - len(short))}}).encode()


def test_the_write_key_is_the_user_name_of_basic_or_in_the_body(sandbox, segment):
    url = sandbox.segment_url + "/v1/batch"
    body = {"batch": [EVENT]}
    assert batch(segment, EVENT).json() == {"success": True}
    sandbox.segment.wrong_keys = "refused"
    assert requests.post(url, json=body, auth=("wrong", ""), timeout=5).status_code == 401
    assert requests.post(url, json=body, timeout=5).status_code == 401
    assert requests.post(url, json=body | {"writeKey": "sandbox-write-key"}, timeout=5).status_code == 200
    sandbox.segment.wrong_keys = "taken"
    assert requests.post(url, json=body, auth=("wrong", ""), timeout=5).status_code == 200


@pytest.mark.parametrize(
    ("key", "status"),
    [
        pytest.param("a" * 16 + "0" * 16, 200, id="unknown, of Segment's form"),
        pytest.param("a" * 31, 400, id="cut short"),
        pytest.param("a" * 33, 400, id="too long"),
        pytest.param("a" * 31 + "-", 400, id="other characters"),
        pytest.param("é" * 32, 400, id="other letters"),
        pytest.param("", 400, id="empty"),
    ],
)
@pytest.mark.parametrize("path", ["batch", "track"])
def test_a_wrong_key_is_answered_as_segment_does(sandbox, path, key, status):
    """An unknown one 200, and its events are dropped; one of another form 400, whatever is sent."""
    url = f"{sandbox.segment_url}/v1/{path}"
    body = {"batch": [EVENT]} if path == "batch" else EVENT
    assert requests.post(url, json=body, auth=(key.encode(), b""), timeout=5).status_code == status
    assert requests.post(url, json=body | {"writeKey": key}, timeout=5).status_code == status
    assert len(sandbox.inbox) == 0
    assert [dropped.reason for dropped in sandbox.inbox.dropped] == ["unknown write key"] * (
        2 if status == 200 else 0
    )
    empty = requests.post(
        f"{sandbox.segment_url}/v1/batch", json={"batch": []}, auth=(key.encode(), b""), timeout=5
    )
    assert empty.status_code == status


def test_an_event_of_32_kb_is_taken_and_one_of_a_byte_more_refuses_its_batch(sandbox, segment):
    largest = padded(EVENT, 32 * 1024)
    assert segment.post("/batch", data=b'{"batch": [' + largest + b"]}").status_code == 200
    too_large = padded(EVENT | {"messageId": "m-2"}, 32 * 1024 + 1)
    fine = json.dumps(EVENT | {"messageId": "m-3"}).encode()
    refused = segment.post("/batch", data=b'{"batch": [' + fine + b"," + too_large + b"]}")
    assert refused.status_code == 400
    assert [event["messageId"] for event in sandbox.inbox.received] == ["m-1"]


@pytest.mark.parametrize("packed", [False, True], ids=["as it is", "gzipped"])
def test_a_batch_of_500_kb_is_taken_and_one_of_a_byte_more_is_not(sandbox, segment, packed):
    def body(size):
        events = [padded(EVENT | {"messageId": f"m-{n}"}, 30_000) for n in range(17)]
        whole = b'{"batch": [' + b",".join(events) + b"]"
        return whole + b" " * (size - len(whole) - 1) + b"}"

    def send(raw):
        if packed:
            return segment.post("/batch", data=gzip.compress(raw), headers={"Content-Encoding": "gzip"})
        return segment.post("/batch", data=raw)

    assert send(body(512_001)).status_code == 400
    assert len(sandbox.inbox) == 0
    assert send(body(512_000)).status_code == 200
    assert len(sandbox.inbox) == 17


def test_over_2500_events_all_are_dropped_after_a_200(sandbox, segment):
    events = [EVENT | {"messageId": str(n)} for n in range(2501)]
    assert batch(segment, *events).json() == {"success": True}
    assert len(sandbox.inbox) == 0
    assert {dropped.reason for dropped in sandbox.inbox.dropped} == {"more than 2500 events in one batch"}
    assert batch(segment, *events[:2500]).status_code == 200
    assert len(sandbox.inbox) == 2500


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"batch": 1}',
        b'{"batch": [1]}',
        b'{"batch": [{]}',
        pytest.param(b'{"batch": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}", id="endless nesting"),
    ],
)
def test_what_is_not_json_of_the_right_shape_is_answered_400(sandbox, segment, body):
    answer = segment.post("/batch", data=body)
    assert answer.status_code == 400
    assert answer.json()["success"] is False
    assert len(sandbox.inbox) == 0


def test_a_body_that_only_says_it_is_gzip_is_answered_400(segment):
    headers = {"Content-Encoding": "gzip"}
    assert segment.post("/batch", data=b'{"batch": []}', headers=headers).status_code == 400
    cut = gzip.compress(b'{"batch": []}')[:-4]
    assert segment.post("/batch", data=cut, headers=headers).status_code == 400
    bomb = gzip.compress(b" " * (64 * 1024 * 1024), 1)
    assert segment.post("/batch", data=bomb, headers=headers).status_code == 400


def test_over_the_rate_it_answers_429_and_says_when_to_come_back():
    with Sandbox(segment_requests_per_second=1) as sandbox:
        url = sandbox.segment_url + "/v1/track"
        answers = [
            requests.post(url, json=EVENT, auth=("sandbox-write-key", ""), timeout=5) for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [200, 429]
        assert (answers[1].headers["Retry-After"], answers[1].headers["X-RateLimit-Reset"]) == ("1", "1")


@pytest.mark.parametrize("kind", ["track", "identify", "page", "screen", "group", "alias"])
def test_single_events_go_to_a_path_of_their_own(sandbox, segment, kind):
    event = {"userId": "u", "event": "x", "writeKey": "not shown"}
    assert segment.post(f"/{kind}", json=event).json() == {"success": True}
    (shown,) = sandbox.inbox.received
    assert (shown["type"], shown["userId"]) == (kind, "u")
    assert "writeKey" not in shown


def test_unknown_calls_are_answered_in_json(segment):
    assert segment.post("/nowhere").status_code == 404
    assert segment.get("/batch").status_code == 405
    assert segment.get("/batch").json()["success"] is False


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_segment_s_own_client_delivers_through_it(sandbox, packed):
    analytics = Analytics(
        "sandbox-write-key", host=sandbox.segment_url, gzip=packed, sync_mode=False, max_retries=1
    )
    for n in range(50):
        analytics.track(user_id=f"u-{n}", event="Hello", properties={"n": n})
    analytics.identify(user_id="u-1", traits={"name": "Žofia"})
    analytics.flush()
    analytics.join()
    assert sandbox.inbox.wait_for(51)
    shown = sandbox.inbox.received
    assert [event["type"] for event in shown] == ["track"] * 50 + ["identify"]
    assert shown[0]["context"]["library"]["name"] == "analytics-python"
    assert all(request.status == 200 for request in sandbox.segment_requests)


@pytest.mark.parametrize(
    ("wrong_keys", "key", "heard_of"),
    [
        ("refused", "wrong", [401]),
        ("as_segment", "wrong", [400]),
        ("as_segment", "w" * 32, []),
        ("taken", "wrong", []),
    ],
)
def test_segment_s_own_client_hears_of_a_wrong_key_as_the_settings_say(sandbox, wrong_keys, key, heard_of):
    heard = []
    sandbox.segment.wrong_keys = wrong_keys
    analytics = Analytics(
        key, host=sandbox.segment_url, on_error=lambda error, _: heard.append(error), max_retries=0
    )
    analytics.track(user_id="u", event="x")
    analytics.flush()
    analytics.join()
    assert [error.status for error in heard] == heard_of
    assert len(sandbox.inbox) == (1 if wrong_keys == "taken" else 0)
