"""
Faults below HTTP: a proxy in front of a real server, the sandbox's as a rule, that spoils its answers.

It passes everything through, except for the requests that a rule names:

    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on("/api/v1/events", cut(1000), nth=2)

An action is a function of an `Exchange`. The usual ones are in proxy_actions.py.
"""

import contextlib
import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, Self
from urllib.parse import urlsplit

from support.raw_server import Headers, RawRequest, RawServer

How = Literal["close", "reset"]

# Headers that belong to one connection only, and so are not passed on (RFC 9110, 7.6.1).
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


@dataclass
class RawResponse:
    """A whole answer of the server behind the proxy. Its body is as it was on the wire, without chunking."""

    status: int
    reason: str
    headers: Headers
    body: bytes

    def without(self, *names: str) -> Headers:
        """Return the headers without those called *names*."""
        dropped = {name.lower() for name in names}
        return [(name, value) for name, value in self.headers if name.lower() not in dropped]


@dataclass
class Exchange:
    """One request at the proxy, with what an action needs to answer it, correctly or not."""

    request: RawRequest
    sock: socket.socket
    upstream_url: str
    closing: threading.Event
    _answer: RawResponse | None = field(default=None, repr=False)

    def forward(self) -> RawResponse:
        """Pass the request on and return the answer. A second call returns the same answer."""
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
        """Write exactly this status line and these headers."""
        lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
        self.sock.sendall("\r\n".join(lines).encode("latin-1"))

    def send(self, response: RawResponse, *, close: bool = False) -> bool:
        """Write a whole, correct answer. Return whether the connection may stay open."""
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
        """Wait *seconds*, or until the server stops."""
        self.closing.wait(seconds)

    def hang_up(self, how: How) -> None:
        """End the connection: with a normal close, or with a TCP reset."""
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
    """Which requests meet which action. The oldest rule that fits acts."""

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
            path: A pattern for the path without the query, `/api/v1/events` or `*`.
            action: What happens instead of passing the request through.
            method: `GET`, `POST`, or `*`.
            nth: Act only on the n-th request that fits, counted from 1; None means on every one.
            times: Act only on the first so many that fit; None means on all of them.
        """
        with self._lock:
            self._rules.append(_Rule(path, action, method, nth, times))
        return self

    def clear(self) -> None:
        """Forget every rule."""
        with self._lock:
            self._rules.clear()

    def action_for(self, method: str, path: str) -> Action | None:
        """Count a request and return the action that it meets, or None."""
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
    """
    A server in front of another one. It passes every request through, unless *script* names an action for it.

    Args:
        upstream_url: The address of the server behind it.
        script: The rules; None begins without any.
    """

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
