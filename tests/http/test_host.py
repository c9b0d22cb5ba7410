"""One host: what is sent to it, until when it is waited for, and what its failures are called."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from support.raw_server import RawServer
from sync.errors import RetryableError, StoppedError
from sync.http.credentials import BasicCredentials
from sync.http.host import Host
from sync.stop import Stop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Request-Id: id-1\r\n\r\nbody"


@pytest.fixture
def stop():
    return Stop()


@pytest.fixture
def host_of(stop):
    """Make a `Host` for a server's address."""
    made = []

    def make(url, **changes):
        made.append(Host(url, BasicCredentials("user", "secret"), end="Gladly", stop=stop, **changes))
        return made[-1]

    yield make
    for host in made:
        host.close()


def answering(body=OK):
    def handler(request, sock):
        handler.requests.append(request)
        sock.sendall(body)
        return True

    handler.requests = []
    return handler


def test_a_request_is_sent_with_these_headers_in_this_order(host_of):
    """Nothing changes on the wire without a test that says so."""
    handler = answering()
    with RawServer(handler) as server:
        host = host_of(server.url)
        params = [("startAt", "2026-11-20T12:00:00Z"), ("entities", "A"), ("entities", "B")]
        with host.request(
            "GET", "/x", deadline_s=5, params=params, headers={"Accept": "text/csv"}
        ) as exchange:
            assert exchange.body(100) == b"body"
        with host.request("POST", "/y", deadline_s=5, body=b"{}") as exchange:
            assert exchange.body(100) == b"body"
    get, post = handler.requests
    assert get.target == "/x?startAt=2026-11-20T12%3A00%3A00Z&entities=A&entities=B"
    names = ["Host", "User-Agent", "Accept-Encoding", "Accept", "Connection", "Authorization"]
    assert [name for name, _ in get.headers] == names
    assert get.header("accept") == "text/csv"
    assert get.header("user-agent") == "gladly-segment-sync"
    assert get.header("authorization") == "Basic dXNlcjpzZWNyZXQ="
    assert sorted(name for name, _ in post.headers) == sorted([*names, "Content-Length"])
    assert post.header("accept") == "*/*"


def test_connections_are_kept_open(host_of):
    """A second request goes through the socket of the first."""
    peers = []

    def handler(request, sock):
        peers.append(sock.getpeername())
        sock.sendall(OK)
        return True

    with RawServer(handler) as server:
        host = host_of(server.url)
        for _ in range(3):
            with host.request("GET", "/", deadline_s=5) as exchange:
                exchange.body(100)
    assert len(peers) == 3
    assert len(set(peers)) == 1


def test_answers_are_counted_by_status(host_of):
    """A request without an answer counts as `none`."""
    with RawServer(answering(OK.replace(b"200 OK", b"503 No"))) as server:
        host = host_of(server.url)
        with host.request("GET", "/", deadline_s=5) as exchange:
            assert exchange.response.status == 503  # a status is the client's to judge
            exchange.body(100)
    with pytest.raises(RetryableError), host.request("GET", "/", deadline_s=5):
        pass
    assert host.answers == {"503": 1, "none": 1}
    assert host.request_count == 2


def test_each_request_is_a_line_of_the_log(host_of):
    """Without the query, and with the id that the host gave the request."""
    with (
        RawServer(answering()) as server,
        capture_logs() as logs,
        host_of(server.url).request("GET", "/x", deadline_s=5, params=[("a", "b")]) as exchange,
    ):
        exchange.body(100)
    (line,) = logs
    assert 0 < line.pop("milliseconds") < 5_000
    assert line == {
        "event": "request",
        "log_level": "debug",
        "end": "gladly",
        "method": "GET",
        "path": "/x",
        "status": "200",
        "request_id": "id-1",
    }


def test_a_host_that_cannot_be_reached_is_named_with_the_reason(host_of):
    """The sentence holds no credentials."""
    with RawServer(answering()) as server:
        url = server.url  # and closed again
    host = host_of(url)
    with pytest.raises(RetryableError) as raised, host.request("GET", "/", deadline_s=5):
        pass
    assert str(raised.value) == f"Gladly could not be reached at {host.address}: Connection refused."


def _one_byte_at_a_time(request, sock):
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(100):
        sock.sendall(b"x")
        time.sleep(0.05)


def _nothing(request, sock):
    time.sleep(5)


@pytest.mark.parametrize("slow", [_one_byte_at_a_time, _nothing], ids=["a byte now and then", "no head"])
def test_an_exchange_ends_at_its_deadline(host_of, slow):
    """The head and the body together (faults A20)."""
    with RawServer(slow) as server:
        host = host_of(server.url)
        began = time.monotonic()
        with (
            pytest.raises(RetryableError, match=r"sent no whole answer in time\.$"),
            host.request("GET", "/", deadline_s=0.3) as exchange,
        ):
            exchange.body(10_000)
        assert 0.3 <= time.monotonic() - began < 2


def test_a_body_that_makes_progress_is_given_more_time(host_of):
    """`extend` counts from now."""

    def slow(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(6):
            time.sleep(0.2)
            sock.sendall(b"1\r\nx\r\n")
        sock.sendall(b"0\r\n\r\n")

    with RawServer(slow) as server, host_of(server.url).request("GET", "/", deadline_s=0.7) as exchange:
        read = b""
        for part in exchange.parts():
            read += part
            exchange.extend(0.7)
    assert read == b"xxxxxx"


def test_the_deadline_of_one_exchange_leaves_another_alone(host_of):
    """Two exchanges of one thread, one within the other: each socket belongs to its own exchange."""

    def handler(request, sock):
        if request.path == "/slow":
            return _one_byte_at_a_time(request, sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo")
        outer_goes_on.wait(5)
        sock.sendall(b"dy")
        return True

    outer_goes_on = threading.Event()
    with RawServer(handler) as server:
        host = host_of(server.url, connections=2)
        with host.request("GET", "/outer", deadline_s=10) as outer:
            with (
                pytest.raises(RetryableError, match="in time"),
                host.request("GET", "/slow", deadline_s=0.3) as inner,
            ):
                inner.body(10_000)
            outer_goes_on.set()
            assert outer.body(100) == b"body"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_stop_ends_an_exchange_at_once(host_of, stop, when):
    """A hanging request does not hold up the end of the process (faults F1)."""
    with RawServer(_nothing) as server:
        host = host_of(server.url)
        began = time.monotonic()
        if when == "before":
            stop.set()
        else:
            threading.Timer(0.2, stop.set).start()
        with pytest.raises(StoppedError), host.request("GET", "/", deadline_s=30):
            pass
        assert time.monotonic() - began < 2


def test_a_body_over_the_limit_is_refused(host_of):
    """No more than that is read of it."""
    with RawServer(answering()) as server:
        host = host_of(server.url)
        with (
            pytest.raises(RetryableError, match="sent over 3 bytes"),
            host.request("GET", "/", deadline_s=5) as exchange,
        ):
            exchange.body(3)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(host_of, status):
    """Credentials go to the configured host only (semantics 5.5)."""
    with RawServer(answering()) as elsewhere:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n"
        with (
            RawServer(answering(head.encode())) as server,
            host_of(server.url).request("GET", "/", deadline_s=5) as exchange,
        ):
            assert exchange.response.status == status
    assert elsewhere.seen == []


def test_what_a_host_says_is_quoted_on_one_short_line_without_our_secrets(host_of):
    """A gateway may repeat the request."""
    host = host_of("http://127.0.0.1:1")
    said = "no\n\tuser:secret \x1b[31m Basic dXNlcjpzZWNyZXQ= " + "x" * 500
    quoted = host.quoted(said)
    assert quoted.startswith("no user:… \\x1b[31m Basic … x")
    assert len(quoted) == 200
    assert "secret" not in quoted
