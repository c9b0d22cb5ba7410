"""Faults happen when they are asked for, as often as asked, and end when they are cleared."""

import time

from sandbox import Fault
from support.sandbox_clients import EVENT, FEED


def test_a_fault_meets_as_many_requests_as_it_says(sandbox, gladly):
    sandbox.faults.add(
        "gladly", "/api/v1/agents", Fault(503, {"Retry-After": "7"}, b'{"errors": []}', times=2)
    )
    answers = [gladly.get("/agents") for _ in range(3)]
    assert [a.status_code for a in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].headers["Content-Type"] == "application/json"
    assert answers[0].headers["Date"]
    assert [r.status for r in sandbox.gladly_requests] == [503, 503, 200]


def test_a_fault_is_for_one_end_one_method_and_the_paths_of_its_pattern(sandbox, gladly, segment):
    sandbox.faults.add("gladly", "/api/v1/conversations/*", Fault(500, times=None), method="GET")
    assert gladly.get("/agents").status_code == 200
    assert gladly.get("/conversations/x").status_code == 500
    assert gladly.post("/conversations/x").status_code == 405
    assert segment.post("/batch", json={"batch": []}).status_code == 200
    sandbox.faults.clear("segment")
    assert gladly.get("/conversations/x").status_code == 500
    sandbox.faults.clear()
    assert gladly.get("/conversations/x").status_code == 404


def test_a_fault_without_a_status_changes_only_what_it_names(sandbox, gladly):
    sandbox.faults.add("gladly", "*", Fault(headers={"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}, delay_s=0.05))
    began = time.monotonic()
    late = gladly.get("/agents")
    assert time.monotonic() - began >= 0.05
    assert (late.status_code, late.json()) == (200, [])
    assert late.headers["Date"].startswith("Thu, 01 Jan 1970")
    sandbox.faults.add("gladly", "*", Fault(body=b"<html>", content_type="text/html"))
    page = gladly.get(FEED)
    assert (page.status_code, page.content, page.headers["Content-Type"]) == (200, b"<html>", "text/html")


def test_a_request_can_be_taken_and_then_answered_with_an_error(sandbox, segment):
    sandbox.faults.add("segment", "/v1/batch", Fault(503, taken=True))
    assert segment.post("/batch", json={"batch": [EVENT]}).status_code == 503
    assert len(sandbox.inbox) == 1


def test_the_feed_s_lines_can_be_rewritten(sandbox, gladly):
    for _ in range(3):
        sandbox.world.open_conversation(sandbox.world.add_customer())
    whole = gladly.get(FEED).content.splitlines(keepends=True)
    sandbox.faults.rewrite_feed(lambda lines: [*reversed(lines), b"{broken\n"])
    assert gladly.get(FEED).content.splitlines(keepends=True) == [*reversed(whole), b"{broken\n"]
    sandbox.faults.rewrite_feed(None)
    assert gladly.get(FEED).content == b"".join(whole)


def test_a_report_can_be_rewritten(sandbox, gladly):
    sandbox.faults.rewrite_report(lambda body: b"\n\n<html>" + body)
    ask = {
        "metricSet": "ConversationExportReport",
        "timezone": "UTC",
        "startAt": "2026-11-01",
        "endAt": "2026-11-01",
    }
    assert gladly.post("/reports", json=ask).content == b"\n\n<html>"


def test_one_bad_event_refuses_its_whole_batch(sandbox, segment):
    sandbox.faults.reject_message(lambda event: event["messageId"] == "m-3")
    events = [EVENT | {"messageId": f"m-{n}"} for n in range(5)]
    assert segment.post("/batch", json={"batch": events}).status_code == 400
    assert segment.post("/batch", json={"batch": events[:3]}).status_code == 200
    assert len(sandbox.inbox) == 3
    sandbox.faults.reject_message(None)
    assert segment.post("/batch", json={"batch": events}).status_code == 200
