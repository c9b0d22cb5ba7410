"""Faults happen when they are asked for, as often as asked, and end when they are cleared."""

import gzip as gzip_codec
import http.client
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from sandbox import Fault, Sandbox, serve
from support.raw_server import (
    Proxy,
    RawServer,
    answer,
    cut,
    drip,
    gzip,
    hang_up,
    redirect,
    reframe,
    rewrite,
    stall,
    swallow,
    wrong_length,
)
from support.sandbox_clients import gladly_client, segment_client

EVENT = {"type": "track", "event": "Said Hello", "userId": "u-1", "messageId": "m-1"}
FEED = "/events?startAt=2026-11-02T11:00:00Z&entities=CONVERSATION"


# --- at the level of messages ---------------------------------------------------------------------------


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


def test_a_fault_is_for_one_side_one_method_and_the_paths_of_its_pattern(sandbox, gladly, segment):
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


def test_a_stopped_service_refuses_connections_and_comes_back_on_its_port(sandbox, gladly, segment):
    assert gladly.get("/agents").status_code == 200
    sandbox.stop_gladly()
    with pytest.raises(requests.ConnectionError):
        gladly.get("/agents")
    assert segment.post("/batch", json={"batch": [EVENT]}).status_code == 200
    sandbox.start_gladly()
    assert gladly.get("/agents").status_code == 200
    sandbox.stop_segment()
    sandbox.stop_segment()
    with pytest.raises(requests.ConnectionError):
        segment.post("/batch", json={"batch": [EVENT]})
    sandbox.start_segment()
    assert len(sandbox.inbox) == 1


def test_stopping_does_not_wait_for_a_stalled_answer(sandbox):
    sandbox.faults.add("gladly", "*", Fault(delay_s=60))
    failed = threading.Event()

    def ask():
        with gladly_client(sandbox) as gladly:
            try:
                gladly.get("/agents")
            except requests.ConnectionError:
                failed.set()

    client = threading.Thread(target=ask)
    client.start()
    while sandbox.faults._armed[0].left:
        time.sleep(0.005)
    began = time.monotonic()
    sandbox.stop_gladly()
    assert time.monotonic() - began < 1
    client.join(5)
    assert failed.is_set()


def test_latency_is_added_to_every_answer(sandbox, gladly):
    sandbox.gladly.latency_s = 0.05
    assert gladly.get("/agents").elapsed.total_seconds() >= 0.05


def test_a_connection_is_kept_alive(sandbox):
    with Proxy(sandbox.gladly_url) as proxy, gladly_client(sandbox, proxy.url) as gladly:
        assert [gladly.get("/agents").status_code for _ in range(3)] == [200] * 3
    plain = http.client.HTTPConnection(sandbox.gladly_url.removeprefix("http://"), timeout=5)
    plain.connect()
    first_socket = plain.sock
    for _ in range(20):
        plain.request("GET", "/")
        assert plain.getresponse().read()
        assert plain.sock is first_socket
    plain.close()


def test_answers_on_a_kept_connection_come_at_once(gladly):
    began = time.monotonic()
    for _ in range(20):
        gladly.get("/agents")
    assert time.monotonic() - began < 0.5, "40 ms each is Nagle's algorithm meeting delayed acknowledgements"


def test_serving_ends_when_it_is_told_to_and_says_when_it_is_ready():
    stop, ready = threading.Event(), threading.Event()
    urls = []

    def on_ready(sandbox):
        urls.extend([sandbox.gladly_url, sandbox.segment_url])
        ready.set()

    serving = threading.Thread(
        target=serve, kwargs={"gladly_port": 0, "segment_port": 0, "ready": on_ready, "stop": stop}
    )
    serving.start()
    assert ready.wait(5)
    assert "local Gladly" in requests.get(urls[0], timeout=5).text
    assert "local Segment" in requests.get(urls[1], timeout=5).text
    stop.set()
    serving.join(5)
    assert not serving.is_alive()
    with pytest.raises(requests.ConnectionError):
        requests.get(urls[0], timeout=5)


def test_serving_ends_on_sigterm():
    program = """
import sandbox
sandbox.serve(gladly_port=0, segment_port=0, ready=lambda s: print(s.gladly_url, flush=True))
print("ended")
"""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program], stdout=subprocess.PIPE, text=True
    ) as served:
        assert served.stdout.readline().startswith("http://127.0.0.1:")
        served.send_signal(signal.SIGTERM)
        assert served.stdout.read() == "ended\n"
    assert served.returncode == 0


def test_a_port_that_is_taken_is_an_error_that_leaves_nothing_running(sandbox):
    taken = int(sandbox.segment_url.rpartition(":")[2])
    with pytest.raises(OSError), Sandbox(segment_port=taken):
        pass


# --- below HTTP -----------------------------------------------------------------------------------------


@pytest.fixture
def proxy(sandbox):
    for _ in range(50):
        sandbox.world.open_conversation(sandbox.world.add_customer())
    with Proxy(sandbox.gladly_url) as running:
        yield running


@pytest.fixture
def through(sandbox, proxy):
    with gladly_client(sandbox, proxy.url) as client:
        yield client


def test_what_no_rule_names_passes_unchanged(sandbox, gladly, proxy, through):
    direct, passed = gladly.get(FEED), through.get(FEED)
    assert passed.content == direct.content != b""
    assert passed.headers["Content-Type"] == direct.headers["Content-Type"]
    assert through.get("/agents/none").status_code == 404
    ask = {"metricSet": "ConversationExportReport", "startAt": "2026-11-01", "endAt": "2026-11-01"}
    assert through.post("/reports", json=ask).status_code == 200
    assert through.post("/reports", data=iter([b"{", b"}"])).status_code == 400
    assert proxy.seen[0] == ("GET", "/api/v1" + FEED)


def test_a_rule_can_be_for_the_nth_request_or_for_so_many(proxy, through):
    proxy.on("/api/v1/agents", answer(500), nth=2).on("/api/v1/topics", answer(503), method="GET", times=1)
    assert [through.get("/agents").status_code for _ in range(3)] == [200, 500, 200]
    assert [through.get("/topics").status_code for _ in range(2)] == [503, 200]
    proxy.script.clear()
    assert through.get("/agents").status_code == 200


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_framed_answer_that_is_cut_is_an_error_to_the_client(proxy, through, framing, how):
    proxy.on("*", cut(1000, how, framing))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        through.get(FEED)


def test_a_close_delimited_answer_that_is_cut_looks_whole(gladly, proxy, through):
    whole = gladly.get(FEED).content
    proxy.on("*", cut(1000, framing="close"), nth=1).on("*", reframe("close"))
    assert through.get(FEED).content == whole[:1000]
    assert through.get(FEED).content == whole


def test_answers_can_be_reframed_in_chunks(gladly, proxy, through):
    proxy.on("*", reframe("chunked"))
    answers = [through.get(FEED) for _ in range(2)]
    assert answers[0].headers["Transfer-Encoding"] == "chunked"
    assert answers[0].content == answers[1].content == gladly.get(FEED).content


def test_a_wrong_length_breaks_the_answer(gladly, proxy, through):
    proxy.on("*", wrong_length(+10), nth=1).on("*", wrong_length(-10), nth=2)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        through.get(FEED)
    assert through.get(FEED).content == gladly.get(FEED).content[:-10]


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_stall_goes_on_after_its_time_or_hangs_up(gladly, proxy, through, where):
    proxy.on("*", stall(0.1, where), nth=1).on("*", stall(0.05, where, then="reset"), nth=2)
    began = time.monotonic()
    assert through.get(FEED).content == gladly.get(FEED).content
    assert time.monotonic() - began >= 0.1
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        through.get(FEED)


def test_a_drip_takes_its_time_but_arrives(proxy, through):
    proxy.on("*", drip(bytes_per_s=20))
    began = time.monotonic()
    assert through.get("/agents").content == b"[]"
    assert time.monotonic() - began >= 0.05


def test_gzip_can_be_whole_cut_or_false(gladly, proxy, through):
    whole = gladly.get(FEED).content
    proxy.on("*", gzip(), nth=1).on("*", gzip("cut"), nth=2).on("*", gzip("bad_crc"), nth=3).on(
        "*", gzip("plain")
    )
    assert through.get(FEED).content == whole
    packed = through.get(FEED, stream=True).raw.read(decode_content=False)
    assert gzip_codec.compress(whole).startswith(packed[:3])
    with pytest.raises((requests.exceptions.ContentDecodingError, OSError)):
        through.get(FEED)
    with pytest.raises(requests.exceptions.ContentDecodingError):
        through.get(FEED)


def test_redirects_and_rewritten_answers(proxy, through):
    proxy.on("*", redirect("http://127.0.0.1:9/"), nth=1)
    proxy.on("*", rewrite(lambda a: a.__class__(a.status, a.reason, a.headers, b"[1]")), nth=2)
    moved = through.get("/agents")
    assert (moved.status_code, moved.headers["Location"]) == (302, "http://127.0.0.1:9/")
    assert through.get("/agents").json() == [1]


@pytest.mark.parametrize("how", ["never", "close", "reset"])
def test_a_swallowed_request_has_its_effect_but_no_answer(sandbox, how):
    with Proxy(sandbox.segment_url) as proxy, segment_client(sandbox, proxy.url) as segment:
        proxy.on("/v1/batch", swallow(how), nth=1)
        with pytest.raises((requests.ConnectionError, requests.Timeout)):
            segment.post("/batch", json={"batch": [EVENT]}, timeout=0.2)
        assert len(sandbox.inbox) == 1
        assert segment.post("/batch", json={"batch": [EVENT]}).status_code == 200
        assert sandbox.inbox.repeats == {"m-1": 1}


@pytest.mark.parametrize("after_bytes", [0, 20])
def test_hanging_up_on_a_request_leaves_no_effect(sandbox, after_bytes):
    with Proxy(sandbox.segment_url) as proxy, segment_client(sandbox, proxy.url) as segment:
        proxy.on("*", hang_up(after_bytes), nth=1)
        with pytest.raises(requests.ConnectionError):
            segment.post("/batch", json={"batch": [EVENT]})
        assert len(sandbox.inbox) == 0


def test_a_proxy_before_a_stopped_service_answers_502(sandbox, proxy, through):
    sandbox.stop_gladly()
    assert through.get("/agents").status_code == 502


def test_a_raw_server_writes_whatever_it_is_told():
    def handler(request, sock):
        assert request.body == b"hello"
        assert request.header("CONTENT-TYPE") == "text/plain"
        sock.sendall(b"HTTP/1.0 200 Fine\r\n\r\n" + request.path.encode() + b"|" + request.query.encode())

    with RawServer(handler) as server:
        got = requests.post(
            server.url + "/a?b=c", data=b"hello", headers={"Content-Type": "text/plain"}, timeout=5
        )
        assert (got.reason, got.content) == ("Fine", b"/a|b=c")
        assert server.seen == [("POST", "/a?b=c")]
