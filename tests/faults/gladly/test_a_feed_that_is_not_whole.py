"""The feed's answer is not whole, or is not the feed's, and looks proper (faults H1.1, H1.2, H1.5, H1.6)."""

import json
from datetime import timedelta

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import EVENTS
from support.feed_lines import feed_lines, line_of
from support.program import OVERLAP, newest_stored
from support.proxy import Proxy, RawResponse
from support.state_file import quarantined, rows
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


def _with_body(change, framing="length"):
    """Send the answer with the body that *change* makes of its body, as a message that ends properly."""

    def action(exchange):
        answer = exchange.forward()
        body = change(answer.body)
        if framing == "length":
            return exchange.send(RawResponse(200, "OK", answer.headers, body))
        head = [*answer.without("content-length"), ("transfer-encoding", "chunked")]
        exchange.send_head(200, "OK", head)
        exchange.sock.sendall(b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
        exchange.sock.sendall(b"0\r\n\r\n")
        return True

    return action


def _watermark_is_at_what_is_stored(program, start):
    stored = program.events()
    reached = newest_stored(program) if stored else start
    assert program.watermark <= max(start, reached - OVERLAP)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize(
    ("whole_lines", "beyond"), [(0, 1), (0, 60), (1, 60), (20, 1), (20, 60), (20, -2), (59, 60)]
)
def test_a_line_without_its_end_is_a_cut_however_the_message_ends(
    begin, sandbox, impatient, framing, whole_lines, beyond
):
    """
    A server that fails in mid-line ends its message properly. The watermark stays at the last whole change,
    also where no line is whole (faults H1.1).
    """
    busy_minutes(sandbox, 30)
    start = sandbox.clock.now() - timedelta(minutes=10)
    cut_at = len(b"".join(feed_lines(sandbox)[:whole_lines])) + beyond
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        proxy.on(EVENTS, _with_body(lambda body: body[:cut_at], framing), nth=1)
        proxy.on(EVENTS, _with_body(lambda body: body[:9], framing))
        result = program.run()
        assert exit_code_of(result.gladly_error) == 1
        assert len(program.events()) == whole_lines - (beyond < 0)
        _watermark_is_at_what_is_stored(program, start)
        assert quarantined(program.path) == []
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []


def test_a_last_line_that_is_whole_needs_no_newline(begin, sandbox):
    """JSON Lines asks for none (faults H1.1)."""
    busy_minutes(sandbox, 3)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, _with_body(bytes.rstrip))
        program = begin(gladly=proxy.url)
        assert program.run().errors == []
        assert sandbox.clock.now() - program.watermark < timedelta(seconds=62)
    assert problems(sandbox) == []


LAST_LINES = [
    pytest.param(b'{"errors":[{"code":"temporary_failure","detail":"sorry"}]}\n', id="errors"),
    pytest.param(b'{"errors":{"detail":"sorry"}}', id="one error, without a newline"),
    pytest.param(b'{"error":"timeout"}\n', id="error"),
    pytest.param(b'{"error":{"code":500},"message":"x"}\n', id="an error object"),
    pytest.param(b"upstream connect error\n", id="text"),
    pytest.param(b"\xff\xfe\n", id="bytes"),
    pytest.param(b"<html>\n<body>\nsorry\n</body>\n</html>\n", id="a page"),
    pytest.param(b"null\n", id="null"),
    pytest.param(b"{}\n", id="nothing of an event"),
    pytest.param(b'{"id":"x","type":"CONVERSATION/CREATED","timesta\n', id="half a line and a newline"),
    pytest.param(b'{"message":"Internal server error"}\r\n\r\n', id="a gateway's error"),
]


@pytest.mark.parametrize("last", LAST_LINES)
def test_a_last_line_that_is_no_event_says_that_the_stream_failed(begin, sandbox, impatient, last):
    """
    It is not a bad line, also where the same text is in quarantine already. The watermark stays at the last
    whole change, and what was left out is read later (faults H1.2).
    """
    busy_minutes(sandbox, 2)
    program = begin()
    if not last.startswith(b'{"error'):
        sandbox.faults.rewrite_feed(lambda lines: [lines[0], *last.splitlines(keepends=True), *lines[1:]])
    assert program.run().errors == []
    start = program.watermark
    sandbox.clock.advance(300)
    busy_minutes(sandbox, 12, over_s=120)
    sandbox.faults.rewrite_feed(lambda lines: [*lines[: len(lines) // 2], last])
    for _ in range(2):
        assert exit_code_of(program.run().gladly_error) == 1
        assert 4 < len(program.events()) < 28
        _watermark_is_at_what_is_stored(program, start)
    sandbox.faults.rewrite_feed(None)
    assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("bad", [b'{"errors":[{"detail":"sorry"}]}\n', b'{"error":"lost a shard"}\n'])
def test_an_error_between_events_says_that_the_stream_failed(begin, sandbox, impatient, bad):
    """What stands behind it is not believed (faults H1.2)."""
    busy_minutes(sandbox, 12)
    start = sandbox.clock.now() - timedelta(minutes=10)
    program = begin()
    shown = feed_lines(sandbox)
    sandbox.faults.rewrite_feed(
        lambda lines: [*(x for x in lines if x in shown[:5]), bad, *(x for x in lines if x in shown[12:])]
    )
    assert exit_code_of(program.run().gladly_error) == 1
    assert len(program.events()) <= 5
    _watermark_is_at_what_is_stored(program, start)
    sandbox.faults.rewrite_feed(None)
    assert program.run().errors == []
    assert problems(sandbox) == []
    assert quarantined(program.path) == []


@pytest.mark.parametrize("extra", [b'"errors":[],', b'"error":null,', b'"error":{"new":"field"},'])
def test_an_event_with_a_field_called_error_is_an_event(begin, sandbox, extra):
    """Unknown fields are ignored (faults H1.2)."""
    busy_minutes(sandbox, 2)
    sandbox.faults.rewrite_feed(lambda lines: [line.replace(b"{", b"{" + extra, 1) for line in lines])
    assert begin().run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "first", [b"\xff\xfe\n", b"{broken\n", b"17\n", b'{"message":"hello"}\n', b'{"id":"x","type":"CONVERSA\n']
)
def test_a_first_line_that_is_malformed_is_one_bad_line(begin, sandbox, first):
    """Whole events behind it show that the answer is the feed's (faults H2.3)."""
    busy_minutes(sandbox, 3)
    sandbox.faults.rewrite_feed(lambda lines: [first, *lines])
    program = begin()
    assert program.run().errors == []
    assert len(quarantined(program.path)) == 1
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no type"),
        pytest.param({"Content-Type": "text/plain"}, id="text"),
        pytest.param({"Content-Type": "application/json"}, id="JSON"),
        pytest.param({"Content-Type": "text/html"}, id="a page"),
        pytest.param({"Content-Type": "application/octet-stream"}, id="bytes"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"\r\n \n"], ids=["empty", "blank"])
def test_an_empty_answer_that_is_not_gladlys_does_not_mean_that_nothing_happened(
    begin, sandbox, impatient, headers, body
):
    """It is an error, and the watermark stays (faults H1.5)."""

    def emptied(exchange):
        date = [(name, value) for name, value in exchange.forward().headers if name.lower() == "date"]
        return exchange.send(RawResponse(200, "OK", [*date, *headers.items()], body))

    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        program.run()
        before = program.watermark
        sandbox.clock.advance(300)
        busy_minutes(sandbox, 2, over_s=60)
        proxy.on(EVENTS, emptied)
        assert exit_code_of(program.run().gladly_error) == 1
        assert program.watermark == before
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("type_", ["application/x-jsonlines", "application/x-jsonlines;charset=utf-8"])
def test_an_empty_answer_of_gladlys_means_that_nothing_happened(begin, sandbox, type_):
    """The watermark follows (semantics 3.2)."""
    program = begin()
    sandbox.faults.add("gladly", EVENTS, Fault(200, body=b"", content_type=type_, times=1))
    assert program.run().errors == []
    assert sandbox.clock.now() - program.watermark < timedelta(seconds=62)


def _drift(change):
    """Rewrite each line of the feed as *change* changes its event."""

    def rewritten(lines):
        events = [json.loads(line) for line in lines]
        for event in events:
            change(event)
        return [json.dumps(event).encode() + b"\n" for event in events]

    return rewritten


def _renamed(old, new):
    return lambda event: event["content"].update({new: event["content"].pop(old, None)})


DRIFTS = [
    pytest.param(_renamed("customerId", "customer"), id="the customer's id has another name"),
    pytest.param(lambda e: e["content"].update(conversationId=17), id="ids that are numbers"),
    pytest.param(lambda e: e["content"].update(customerId=None), id="ids that are null"),
    pytest.param(lambda e: e.update(payload=e.pop("content")), id="the content has another name"),
    pytest.param(lambda e: e.update(at=e.pop("timestamp")), id="the timestamp has another name"),
    pytest.param(lambda e: e.update(timestamp="yesterday"), id="timestamps nobody can read"),
    pytest.param(lambda e: e.update(kind=e.pop("type")), id="the type has another name"),
    pytest.param(lambda e: e.update(content=[e["content"]]), id="the content is a list"),
]


@pytest.mark.parametrize("notes", [False, True], ids=["alone", "beside changes that mean nothing here"])
@pytest.mark.parametrize("change", DRIFTS)
def test_a_window_of_which_nothing_can_be_read_fails(begin, sandbox, change, notes):
    """
    The watermark stays, and the error says what could not be read. What was there is read by a release that
    can (faults H1.6).
    """
    busy_minutes(sandbox, 3)
    program = begin()
    start = sandbox.clock.now() - timedelta(minutes=10)
    note = line_of("x", sandbox).replace(b"CREATED", b"NOTE_CREATED") if notes else b""
    sandbox.faults.rewrite_feed(
        lambda lines: [*([note] if notes else []), *_drift(change)(lines), *([note] if notes else [])]
    )
    for _ in range(2):
        assert exit_code_of(program.run().gladly_error) == 1
        assert program.watermark <= start + timedelta(seconds=1)
        assert quarantined(program.path) == []
    sandbox.faults.rewrite_feed(None)
    assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda e: e.pop("id"), id="missing"),
        pytest.param(lambda e: e.update(id=None), id="null"),
        pytest.param(lambda e: e.update(id=hash(e["id"])), id="a number"),
    ],
)
def test_an_event_without_an_id_is_an_event(begin, sandbox, change):
    """The report's rows have none either: each is recognised by what it says (faults H1.6)."""
    busy_minutes(sandbox, 3)
    sandbox.faults.rewrite_feed(_drift(change))
    program = begin()
    for _ in range(3):
        assert program.run().errors == []
        sandbox.clock.advance(30)
    assert problems(sandbox) == []
    assert rows(program.path, "SELECT count(*) FROM events") == [(6,)]


def test_an_event_in_quarantine_that_stands_alone_in_the_overlap_fails_nothing(begin, sandbox):
    """It is read again with each poll, as everything in the overlap is (faults H1.6)."""
    busy_minutes(sandbox, 3)
    bad = line_of("x", sandbox).replace(b"customerId", b"customer")
    sandbox.faults.rewrite_feed(lambda lines: [*lines, bad])
    program = begin()
    assert program.run().errors == []
    sandbox.faults.rewrite_feed(lambda _lines: [bad])
    for _ in range(2):
        assert program.run().errors == []
    assert len(quarantined(program.path)) == 1
    assert problems(sandbox) == []


def test_a_feed_that_never_ends_well_ends_the_cycle_while_more_and_more_happens(begin, sandbox, impatient):
    """What is recorded meanwhile is no progress with the window that was asked for (faults H1.2)."""
    busy_minutes(sandbox, 3)
    asked = []

    def never_whole(lines):
        asked.append(len(lines))
        sandbox.clock.advance(1)
        sandbox.world.open_conversation(sandbox.world.add_customer(recorded=False))
        return [*lines, b"{broken\n"]

    program = begin()
    sandbox.faults.rewrite_feed(never_whole)
    assert exit_code_of(program.run().gladly_error) == 1
    assert len(asked) <= 8
    sandbox.faults.rewrite_feed(None)
    assert program.run().errors == []
    assert problems(sandbox) == []
