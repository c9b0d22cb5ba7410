"""Each service records its requests, shows the world's date, and answers as late as it is told to."""

from datetime import timedelta
from email.utils import parsedate_to_datetime

import requests

from sandbox import Fault
from support.sandbox_clients import NOON


def test_what_was_refused_can_be_compared_byte_by_byte(sandbox, segment):
    """
    A refused body is kept with its request, so a test can see that the same bytes came again.
    """
    sandbox.faults.add("segment", "*", Fault(503))
    body = b'{"batch": [  {"type": "track", "event": "x", "userId": "u", "messageId": "m"}]}'
    segment.post("/batch", data=body)
    segment.post("/batch", data=body)
    assert [(r.status, r.body_bytes, r.body) for r in sandbox.segment_requests] == [
        (503, len(body), body),
        (200, len(body), b""),
    ]


def test_latency_is_added_to_every_answer(sandbox, gladly):
    sandbox.gladly.latency_s = 0.05
    assert gladly.get("/agents").elapsed.total_seconds() >= 0.05


def test_every_answer_carries_the_date_of_the_world(sandbox, gladly, segment):
    sandbox.clock.advance(-86400)
    answers = [gladly.get("/agents"), gladly.get("/nowhere"), gladly.get("/conversations/none")]
    answers += [segment.post("/batch", data=b"x"), requests.get(sandbox.gladly_url + "/", timeout=5)]
    for answer in answers:
        assert parsedate_to_datetime(answer.headers["Date"]) == (NOON - timedelta(days=1)).replace(
            microsecond=0
        )


def test_requests_are_recorded_with_their_answers(sandbox, gladly):
    gladly.get("/conversations/none?x=1")
    (seen,) = sandbox.gladly_requests
    assert (seen.method, seen.path, seen.query, seen.status) == (
        "GET",
        "/api/v1/conversations/none",
        "x=1",
        404,
    )
    assert seen.user == "segment-sync@example.com"
