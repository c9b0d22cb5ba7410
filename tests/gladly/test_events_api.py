"""The Events API: its lines, its changes, and how far the watermark may follow (semantics 3.2, 3.3)."""

import json
from datetime import timedelta

import pytest
from urllib3 import HTTPResponse

from sandbox import Fault
from state.instants import from_text
from support.proxy import Proxy
from support.proxy_actions import cut
from support.worlds import NOON, busy_minutes
from sync.errors import RetryableError, TooOldError, UnexpectedAnswerError
from sync.events.changes import Change, ChangeType
from sync.gladly.clock import GladlyClock
from sync.gladly.event_lines import lines_of, read_change
from sync.gladly.events_api import EventsApi, EventStream
from sync.gladly.limits import GladlyLimits
from sync.http.retry import RetryPolicy

EVENTS = "/api/v1/events"
OVERLAP = timedelta(seconds=60)
AT = "2026-11-20T12:00:00.000Z"


# Lines

SEPARATORS = "a\u2028b\u0085c".encode()


class Body:
    """An exchange whose body comes in these parts."""

    def __init__(self, *parts, headers=None):
        self._parts = parts
        self.response = HTTPResponse(headers={"Content-Length": "1"} if headers is None else headers)
        self.extended = 0

    def parts(self, *, decode):
        assert decode is False
        yield from self._parts

    def extend(self, deadline_s):
        self.extended += 1


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([b"a\nb\n"], [b"a", b"b"], id="two lines in one part"),
        pytest.param([b"a", b"b", b"\nc", b"d\n"], [b"ab", b"cd"], id="lines across parts"),
        pytest.param([b"\n\n a \n\r\n"], [b"a"], id="blank lines and spaces"),
        pytest.param([b"a\r\nb\r\n"], [b"a", b"b"], id="CRLF"),
        pytest.param(
            ["a\u2028b\u0085c\n".encode()], ["a\u2028b\u0085c".encode()], id="other kinds of line ends"
        ),
        pytest.param([b"a\nb"], [b"a", b"b"], id="a last line without a newline, in an answer with a length"),
    ],
)
def test_a_body_is_split_at_newline_bytes(parts, expected):
    """However it is cut into parts."""
    assert list(lines_of(Body(*parts), GladlyLimits())) == expected


def test_a_last_line_without_a_newline_is_a_cut_where_nothing_tells_the_end():
    """The whole lines before it have been yielded."""
    lines = lines_of(Body(b"a\nb", headers={}), GladlyLimits())
    assert next(lines) == b"a"
    with pytest.raises(RetryableError, match="in the middle of a line"):
        next(lines)


def test_a_line_that_is_too_long_is_yielded_cut_and_one_without_an_end_is_an_error():
    """No more of it is held than shows that it is too long (faults A11)."""
    limits = GladlyLimits(line_max_bytes=10, line_skip_bytes=100)
    first, second = lines_of(Body(*[b"x" * 8] * 8, b"\ny\n"), limits)
    assert 10 < len(first) <= 24
    assert second == b"y"
    with pytest.raises(RetryableError, match="a line of over 100 bytes without an end"):
        list(lines_of(Body(*[b"x" * 8] * 20), limits))


def test_a_part_with_a_line_gives_more_time_and_one_without_does_not():
    """A byte now and then keeps no request alive (faults A20)."""
    body = Body(b"a", b"b", b"\n", b"c\n", b"d")
    list(lines_of(body, GladlyLimits()))
    assert body.extended == 2


# Changes


def line(type_, content, **changes):
    return json.dumps({"id": "e-1", "type": type_, "timestamp": AT, "content": content} | changes).encode()


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        pytest.param(
            line("CONVERSATION/CREATED", {"customerId": "c", "conversationId": "v", "new": [1]}),
            Change("e-1", ChangeType.CREATED, from_text(AT), "c", "v"),
            id="a creation, with a field nobody knows",
        ),
        pytest.param(
            line(
                "CONVERSATION/CLOSED",
                {"customerId": "c", "conversationId": "v", "context": {"assignee": {"agentId": "a"}}},
            ),
            Change("e-1", ChangeType.CLOSED, from_text(AT), "c", "v", "a"),
            id="a close, and who was assigned",
        ),
        pytest.param(
            line("CONVERSATION/REOPENED", {"customerId": "c", "conversationId": "v", "context": None}),
            Change("e-1", ChangeType.REOPENED, from_text(AT), "c", "v"),
            id="a reopening, without a context",
        ),
        pytest.param(
            line(
                "CUSTOMER/MERGED",
                {"sourceCustomerId": "c1", "sourceConversationId": "v1", "destinationCustomerId": "c2"},
            ),
            Change("e-1", ChangeType.CUSTOMER_MERGED, from_text(AT), "c1", "v1", into_customer_id="c2"),
            id="a merge",
        ),
        pytest.param(
            line("CUSTOMER_PROFILE/DELETED", {"customerId": "c"}),
            Change("e-1", ChangeType.PROFILE_DELETED, from_text(AT), "c"),
            id="a deletion",
        ),
        pytest.param(
            line("AGENT/LOGGED_IN", "what nobody reads"),
            Change("e-1", ChangeType.OTHER, from_text(AT)),
            id="a type that means nothing here",
        ),
    ],
)
def test_a_line_is_a_change(read, expected):
    """Only what is needed of it is read."""
    assert read_change(read) == expected


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (b"{broken", ""),
        (b"[1]", ""),
        (b"\xff", ""),
        (b'{"x":' + b"[" * 100_000, "nested too deeply"),
        (line("CONVERSATION/CREATED", {"conversationId": "v"}), "customerId"),
        (line("CONVERSATION/CREATED", {"customerId": "c"}), "conversationId"),
        (line("CONVERSATION/CREATED", {"customerId": "c", "conversationId": "a b"}), "conversationId"),
        (line("CONVERSATION/CREATED", {}, timestamp="today"), "today"),
        (line("CUSTOMER/MERGED", {"sourceCustomerId": "c1"}), "destinationCustomerId"),
    ],
)
def test_a_line_that_is_no_change_says_why(bad, says):
    """For the quarantine."""
    with pytest.raises(ValueError, match=says or "."):
        read_change(bad)


# The watermark

NEWEST = line("CONVERSATION/CREATED", {"customerId": "c", "conversationId": "v"})
CLOCK = {"Date": "Fri, 20 Nov 2026 12:10:00 GMT"}


def stream_of(headers, limits=None):
    stream = EventStream(NOON - timedelta(minutes=5), OVERLAP, limits or GladlyLimits(), str, GladlyClock())
    stream.begin(HTTPResponse(headers=headers))
    stream.take(NEWEST)
    return stream


@pytest.mark.parametrize(
    ("headers", "is_last", "position"),
    [
        pytest.param(CLOCK | {"Content-Length": "9"}, True, NOON + timedelta(minutes=9), id="the end"),
        pytest.param(
            CLOCK | {"Transfer-Encoding": "chunked"},
            True,
            NOON + timedelta(minutes=9),
            id="the end of chunks",
        ),
        pytest.param(CLOCK | {"Content-Length": "9"}, False, NOON - OVERLAP, id="before the end"),
        pytest.param(CLOCK, True, NOON - OVERLAP, id="an end that may be a cut"),
        pytest.param({"Content-Length": "9"}, True, NOON - OVERLAP, id="no clock"),
    ],
)
def test_the_watermark_stays_the_overlap_behind_what_is_certain(headers, is_last, position):
    """Gladly's clock at a certain end, and the newest change otherwise."""
    assert stream_of(headers).chunk(is_last=is_last).position == position


def test_the_watermark_never_goes_back():
    """An answer without a change leaves it where it was asked from."""
    stream = EventStream(NOON, OVERLAP, GladlyLimits(), str, GladlyClock())
    stream.begin(HTTPResponse(headers={"Date": "Fri, 20 Nov 2026 12:00:10 GMT", "Content-Length": "0"}))
    assert stream.chunk(is_last=True).position == NOON


def test_a_chunk_is_full_by_transitions_by_changes_and_by_bad_lines():
    """Whichever comes first; a chunk empties the stream."""
    assert stream_of(CLOCK, GladlyLimits(chunk_transitions=1)).is_full
    assert stream_of(CLOCK, GladlyLimits(chunk_changes=1)).is_full
    stream = stream_of(CLOCK, GladlyLimits(chunk_transitions=2))
    for _ in range(2):
        assert not stream.is_full
        stream.take(b"[1]")
        stream.take(line("CONVERSATION/NOTE_CREATED", {}))
    assert stream.is_full
    assert len(stream.chunk().bad_lines) == 2
    assert (stream.is_full, stream.changes, stream.bad_lines) == (False, [], [])


def test_a_first_line_that_is_an_error_refuses_the_answer():
    """It is not an empty answer (faults A13). Later, such a line says that the stream failed."""
    stream = EventStream(NOON, OVERLAP, GladlyLimits(), str, GladlyClock())
    with pytest.raises(UnexpectedAnswerError, match=r"something else: sorry\. The watermark has not moved"):
        stream.take(b'{"errors":[{"detail":"sorry"}]}')
    with pytest.raises(RetryableError, match=r"broke off the events with an error: sorry\."):
        stream_of(CLOCK).take(b'{"errors":[{"detail":"sorry"}]}')


# Against Gladly


def test_changes_are_read_in_chunks_up_to_an_instant(client_of, sandbox):
    """Both ends are inclusive."""
    busy_minutes(sandbox, 10)
    client = client_of(limits=GladlyLimits(chunk_transitions=4))
    truth = sandbox.world.truth()
    first, last = truth[2].recorded_at, truth[-3].recorded_at
    chunks = list(EventsApi(client, OVERLAP).read(first, last))
    assert [len(chunk.changes) for chunk in chunks] == [4, 4, 4, 4, 0]
    instants = [change.recorded_at for chunk in chunks for change in chunk.changes]
    assert instants == [t.recorded_at for t in truth[2:-2]]


def test_the_request_asks_for_what_is_read_and_uncompressed(client, sandbox):
    """A cut in a compressed stream would look like its end (faults A7)."""
    list(EventsApi(client, OVERLAP).read(NOON - timedelta(hours=1)))
    (request,) = sandbox.gladly_requests
    assert request.headers["accept"] == "application/x-jsonlines"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["cache-control"] == "no-cache"


def test_what_is_too_old_is_told(client):
    """By Gladly's clock."""
    with pytest.raises(TooOldError):
        list(EventsApi(client, OVERLAP).read(NOON - timedelta(hours=25)))


def test_a_stream_that_breaks_off_is_asked_for_again_as_often_as_the_policy_says(client_of, sandbox):
    """As long as it gets no further: each attempt that does is followed by as many."""
    busy_minutes(sandbox, 10)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, cut(900, "close"))
        client = client_of(proxy.url, retry=RetryPolicy(max_attempts=3, first_backoff_s=0.01))
        with pytest.raises(RetryableError):
            list(EventsApi(client, timedelta(hours=1)).read(NOON - timedelta(minutes=30)))
        assert len(proxy.seen) == 1 + 3
        proxy.seen.clear()
        chunks = list(EventsApi(client, timedelta(0)).read(NOON - timedelta(minutes=30)))
        assert len(proxy.seen) > 4
    assert {c.conversation_id for chunk in chunks for c in chunk.changes} == {
        t.conversation_id for t in sandbox.world.truth()
    }


def test_a_page_is_an_error(client, sandbox):
    """Also where its status is 200."""
    sandbox.faults.add("gladly", EVENTS, Fault(200, body=b"Be right back.", content_type="text/html"))
    with pytest.raises(UnexpectedAnswerError, match="with a page"):
        list(EventsApi(client, OVERLAP).read(NOON))
