"""
Faults below HTTP: a server that writes whatever bytes it is told to, and a proxy that spoils answers.

`RawServer` hands each request and its socket to a function. `Proxy` stands in front of a real server, the
sandbox's as a rule, and passes everything through but for the requests a rule names:

    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on("/api/v1/events", cut(1000), nth=2)

An action is any function of an `Exchange`; the ones below are the usual ones.
"""

import contextlib
import gzip as gzip_codec
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

Headers = list[tuple[str, str]]
How = Literal["close", "reset"]
Framing = Literal["length", "chunked", "close"]

# Headers that speak of one connection only and so are not passed on (RFC 9110, 7.6.1).
_HOP_BY_HOP = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "proxy-connection",
}

_UPSTREAM_TIMEOUT_S = 60.0


class _ClientGone(Exception):  # ends a connection, is nobody's failure
    """The client hung up before its request was whole."""


@dataclass
class RawRequest:
    """A request whose head has been read; its body is read when asked for."""

    method: str
    target: str
    headers: Headers
    _reader: "_Reader"
    _body: bytes | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, still percent-encoded."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return the first header of this name, in any case."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def body(self) -> bytes:
        """The whole body, read on first use."""
        if self._body is None:
            if (self.header("transfer-encoding") or "").lower() == "chunked":
                self._body = self._reader.chunked()
            else:
                self._body = self._reader.exactly(int(self.header("content-length") or 0))
        return self._body

    def read_some(self, count: int) -> bytes:
        """Read up to *count* bytes of the body and leave the rest on the wire."""
        return self._reader.exactly(min(count, int(self.header("content-length") or count)))


class _Reader:
    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._held = sock, b""

    def _more(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise _ClientGone
        self._held += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            self._more()
        found, _, self._held = self._held.partition(mark)
        return found

    def exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            self._more()
        found, self._held = self._held[:count], self._held[count:]
        return found

    def chunked(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n").partition(b";")[0], 16):
            body += self.exactly(size)
            self.until(b"\r\n")
        while self.until(b"\r\n"):
            pass
        return body

    def request(self) -> RawRequest:
        first, *rest = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in rest)
        return RawRequest(method, target, [(name, value.strip()) for name, _, value in pairs], self)


Handler = Callable[[RawRequest, socket.socket], bool | None]


class RawServer:
    """
    A threaded server on a free loopback port; a context manager.

    Args:
        handler: Called with each request and its socket; writes what it likes. When it returns true the
            connection stays for another request, else it is closed.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.closing = threading.Event()
        self.seen: list[tuple[str, str]] = []
        """Method and target of every request, as they came in."""

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Begin to accept connections."""
        self._spawn(self._accept)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the port and every connection, wake every action that waits, and join the threads."""
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            still_open = list(self._open)
        for sock in still_open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="sandbox-raw", daemon=True)
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()] + [thread]
            thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(sock)
            self._spawn(self._converse, sock)

    def _converse(self, sock: socket.socket) -> None:
        reader = _Reader(sock)
        try:
            # Whatever breaks a connection ends it here: the client's hanging up is part of many tests.
            with contextlib.suppress(OSError, _ClientGone, ValueError):
                while not self.closing.is_set():
                    request = reader.request()
                    self.seen.append((request.method, request.target))
                    if not self._handler(request, sock):
                        break
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()


@dataclass
class RawResponse:
    """An answer of the server behind the proxy, read whole, its body as it was on the wire but unchunked."""

    status: int
    reason: str
    headers: Headers
    body: bytes

    def without(self, *names: str) -> Headers:
        """Return the headers but for these."""
        dropped = {name.lower() for name in names}
        return [(name, value) for name, value in self.headers if name.lower() not in dropped]


@dataclass
class Exchange:
    """One request at the proxy, and the means to answer it, well or badly."""

    request: RawRequest
    sock: socket.socket
    upstream_url: str
    closing: threading.Event
    _answer: RawResponse | None = field(default=None, repr=False)

    def forward(self) -> RawResponse:
        """Pass the request on and return the answer; a second call returns the same one."""
        if self._answer is None:
            upstream = urlsplit(self.upstream_url)
            assert upstream.hostname is not None
            connection = http.client.HTTPConnection(
                upstream.hostname, upstream.port, timeout=_UPSTREAM_TIMEOUT_S
            )
            kept = {name: v for name, v in self.request.headers if name.lower() not in _HOP_BY_HOP | {"host"}}
            try:
                connection.request(
                    self.request.method, self.request.target, body=self.request.body or None, headers=kept
                )
                got = connection.getresponse()
                headers = [(name, v) for name, v in got.getheaders() if name.lower() not in _HOP_BY_HOP]
                self._answer = RawResponse(got.status, got.reason, headers, got.read())
            finally:
                connection.close()
        return self._answer

    def send_head(self, status: int, reason: str, headers: Iterable[tuple[str, str]]) -> None:
        """Write a status line and headers, exactly these."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.sock.sendall("\r\n".join(lines).encode("latin-1"))

    def send(self, response: RawResponse, *, close: bool = False) -> bool:
        """Write a whole, proper answer; returns whether the connection may stay."""
        headers = response.without("content-length")
        if response.status not in {204, 304}:
            headers.append(("content-length", str(len(response.body))))
        if close:
            headers.append(("connection", "close"))
        self.send_head(response.status, response.reason, headers)
        if self.request.method != "HEAD":
            self.sock.sendall(response.body)
        return not close

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the server."""
        self.closing.wait(seconds)

    def hang_up(self, how: How) -> None:
        """End the connection: properly, or with a TCP reset."""
        if how == "reset":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()


Action = Callable[[Exchange], bool | None]


@dataclass
class _Rule:
    path: str
    action: Action
    method: str
    nth: int | None
    times: int | None
    met: int = 0


class Script:
    """Which requests meet which action. Rules are asked in the order they were made; the first one acts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []

    def on(
        self,
        path: str,
        action: Action,
        *,
        method: str = "*",
        nth: int | None = None,
        times: int | None = None,
    ) -> Self:
        """
        Add a rule.

        Args:
            path: A pattern for the path without query, `/api/v1/events` or `*`.
            action: What to do instead of passing through.
            method: `GET`, `POST`, or `*`.
            nth: Only the n-th request that fits, counted from 1; None for every one.
            times: Only this many of those that fit; None for all of them.
        """
        with self._lock:
            self._rules.append(_Rule(path, action, method, nth, times))
        return self

    def clear(self) -> None:
        """Forget every rule."""
        with self._lock:
            self._rules.clear()

    def action_for(self, method: str, path: str) -> Action | None:
        """Count this request and return what it meets."""
        found: Action | None = None
        with self._lock:
            for rule in self._rules:
                if rule.method not in {"*", method} or not fnmatchcase(path, rule.path):
                    continue
                rule.met += 1
                if rule.nth is not None:
                    acts = rule.met == rule.nth
                else:
                    acts = rule.times is None or rule.met <= rule.times
                if found is None and acts:
                    found = rule.action
        return found


class Proxy(RawServer):
    """A server in front of *upstream_url* that passes everything through but for what *script* names."""

    def __init__(self, upstream_url: str, script: Script | None = None) -> None:
        super().__init__(self._pass)
        self.upstream_url = upstream_url
        self.script = script or Script()

    def on(
        self,
        path: str,
        action: Action,
        *,
        method: str = "*",
        nth: int | None = None,
        times: int | None = None,
    ) -> Self:
        """Add a rule to the script, see `Script.on`."""
        self.script.on(path, action, method=method, nth=nth, times=times)
        return self

    def _pass(self, request: RawRequest, sock: socket.socket) -> bool | None:
        exchange = Exchange(request, sock, self.upstream_url, self.closing)
        action = self.script.action_for(request.method, request.path)
        if action is not None:
            return action(exchange)
        try:
            return exchange.send(exchange.forward())
        except (ConnectionError, http.client.HTTPException):
            return exchange.send(RawResponse(502, "Bad Gateway", [], b""), close=True)


# --- actions --------------------------------------------------------------------------------------------


def cut(after_bytes: int, how: How = "close", framing: Framing = "length") -> Action:
    """
    Break the answer off after so many bytes of its body.

    *framing* says how the whole was announced: by `Content-Length`, in chunks (the last one missing), or
    not at all (the close is the end, and nobody can tell that it came early).
    """

    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        head, body = _framed(answer, framing)
        exchange.send_head(answer.status, answer.reason, head)
        part = body(answer.body[:after_bytes])
        exchange.sock.sendall(part.removesuffix(_LAST_CHUNK) if framing == "chunked" else part)
        exchange.hang_up(how)

    return action


def reframe(framing: Framing) -> Action:
    """Send the whole answer, framed so. `close` is how HTTP/1.0 did it: no length, the end is the end."""

    def action(exchange: Exchange) -> bool:
        answer = exchange.forward()
        head, body = _framed(answer, framing)
        exchange.send_head(answer.status, answer.reason, head)
        exchange.sock.sendall(body(answer.body))
        return framing != "close"

    return action


def wrong_length(by: int) -> Action:
    """Announce *by* bytes more (or fewer) than are sent, then close."""

    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        head = [*answer.without("content-length"), ("content-length", str(len(answer.body) + by))]
        exchange.send_head(answer.status, answer.reason, head)
        exchange.sock.sendall(answer.body)

    return action


def stall(seconds: float, where: Literal["before", "after"] = "before", then: How | None = None) -> Action:
    """Take the request, then wait before or after the head of the answer; then go on, or hang up."""

    def action(exchange: Exchange) -> bool | None:
        answer = exchange.forward()
        if where == "after":
            head = [*answer.without("content-length"), ("content-length", str(len(answer.body)))]
            exchange.send_head(answer.status, answer.reason, head)
        exchange.pause(seconds)
        if then is not None:
            exchange.hang_up(then)
            return None
        if where == "before":
            return exchange.send(answer)
        exchange.sock.sendall(answer.body)
        return True

    return action


def drip(bytes_per_s: float, piece_bytes: int = 1) -> Action:
    """Send the head at once and the body slowly, *piece_bytes* at a time."""

    def action(exchange: Exchange) -> bool:
        answer = exchange.forward()
        head = [*answer.without("content-length"), ("content-length", str(len(answer.body)))]
        exchange.send_head(answer.status, answer.reason, head)
        for first in range(0, len(answer.body), piece_bytes):
            exchange.sock.sendall(answer.body[first : first + piece_bytes])
            exchange.pause(piece_bytes / bytes_per_s)
            if exchange.closing.is_set():
                return False
        return True

    return action


def gzip(variant: Literal["whole", "cut", "bad_crc", "plain"] = "whole") -> Action:
    """
    Send the body as gzip, whether or not the client asked for it.

    `cut` leaves half of it out and announces only what is sent; `bad_crc` spoils the checksum; `plain` says
    gzip and sends the body as it is.
    """

    def action(exchange: Exchange) -> bool:
        answer = exchange.forward()
        packed = answer.body if variant == "plain" else gzip_codec.compress(answer.body)
        if variant == "cut":
            packed = packed[: len(packed) // 2]
        elif variant == "bad_crc":
            packed = packed[:-8] + bytes(byte ^ 0xFF for byte in packed[-8:-4]) + packed[-4:]
        headers = [*answer.without("content-encoding"), ("content-encoding", "gzip")]
        return exchange.send(RawResponse(answer.status, answer.reason, headers, packed))

    return action


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Action:
    """Answer so, without passing the request on."""

    def action(exchange: Exchange) -> bool:
        _ = exchange.request.body
        reason = http.client.responses.get(status, "")
        return exchange.send(RawResponse(status, reason, list((headers or {}).items()), body))

    return action


def redirect(to: str, status: int = 302) -> Action:
    """Redirect to the address *to*, without passing the request on."""
    return answer(status, {"Location": to})


def rewrite(change: Callable[[RawResponse], RawResponse]) -> Action:
    """Pass the answer through *change*."""
    return lambda exchange: exchange.send(change(exchange.forward()))


def swallow(how: How | Literal["never"] = "never") -> Action:
    """Pass the request on, so that it has its effect, but never answer: hang up, or let the client wait."""

    def action(exchange: Exchange) -> None:
        exchange.forward()
        if how == "never":
            exchange.closing.wait()
        else:
            exchange.hang_up(how)

    return action


def hang_up(after_bytes: int = 0, how: How = "reset") -> Action:
    """Read so many bytes of the request's body, then end the connection; nothing is passed on."""

    def action(exchange: Exchange) -> None:
        exchange.request.read_some(after_bytes)
        exchange.hang_up(how)

    return action


_LAST_CHUNK = b"0\r\n\r\n"


def _framed(answer: RawResponse, framing: Framing) -> tuple[Headers, Callable[[bytes], bytes]]:
    head = answer.without("content-length")
    if framing == "length":
        return [*head, ("content-length", str(len(answer.body)))], bytes
    if framing == "chunked":
        return [*head, ("transfer-encoding", "chunked")], _in_chunks
    return [*head, ("connection", "close")], bytes


def _in_chunks(body: bytes) -> bytes:
    pieces = (body[first : first + 4096] for first in range(0, len(body), 4096))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + _LAST_CHUNK
