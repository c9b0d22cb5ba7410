"""What both services share at the door: the record of requests, faults, latency, the world's `Date`."""

import asyncio
import base64
import binascii
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.service.faults import Fault, Faults, Side
from sandbox.timekeeping.clock import Clock


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """
    A request a service answered.

    Attributes:
        method: GET, POST, …
        path: Without the query.
        query: As it was sent, still percent-encoded.
        status: What was answered; 0 where nothing was.
        at: `time.monotonic()` when it came in.
        world_at: The world's time then.
        user: The user name of Basic authentication, right or wrong; None without one.
        body_bytes: How long the request's body was, as sent.
        headers: Of the request, names in lower case.
        body: As sent, where the answer was not 2xx; else empty, for what was taken is kept in the inbox.
    """

    method: str
    path: str
    query: str
    status: int
    at: float
    world_at: datetime
    user: str | None
    body_bytes: int
    headers: dict[str, str]
    body: bytes


class RequestLog:
    """The requests of one service, oldest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[RequestSeen] = []

    def note(self, request: RequestSeen) -> None:
        """Append one."""
        with self._lock:
            self._seen.append(request)

    def seen(self) -> list[RequestSeen]:
        """Return a copy of the list so far."""
        with self._lock:
            return list(self._seen)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._seen.clear()


def basic_credentials(headers: Headers) -> tuple[str, str] | None:
    """Read user name and password of HTTP Basic; None where there is none that can be read."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if colon else None


class Edge:
    """
    An ASGI wrapper around one service.

    Pages for people (`/`, `/sandbox/…`) pass through unrecorded and untouched by faults.

    Args:
        app: The service itself.
        side: Which one it is, for faults.
        clock: The world's time, shown as `Date` on every answer.
        before: Called at the start of every request; Gladly's lets the world catch up.
        latency_s: Real seconds added to every request.
    """

    def __init__(
        self,
        app: ASGIApp,
        side: Side,
        clock: Clock,
        faults: Faults,
        log: RequestLog,
        *,
        before: Callable[[], None] = lambda: None,
        latency_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._app, self._side, self._clock = app, side, clock
        self._faults, self._log = faults, log
        self._before, self._latency_s = before, latency_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._before()
        if scope["path"] == "/" or scope["path"].startswith("/sandbox/"):
            await self._app(scope, receive, _Answer(send, self._clock, None, None).send)
            return
        entry = _Entry(self._log, self._clock, scope, receive)
        fault = self._faults.meet(self._side, scope["method"], scope["path"])
        latency_s = self._latency_s() + (fault.delay_s if fault else 0.0)
        if latency_s:
            await asyncio.sleep(latency_s)
        answer = _Answer(send, self._clock, fault, entry)
        try:
            if fault is not None and fault.status is not None and not fault.taken:
                await _drain(entry)
                await answer.send({"type": "http.response.start", "status": fault.status, "headers": []})
                await answer.send({"type": "http.response.body", "body": b""})
            else:
                await self._app(scope, entry.receive, answer.send)
        except asyncio.CancelledError:
            pass  # the service is stopping and the connection is gone already
        finally:
            entry.close(0)


class _Entry:
    """Counts the request's body as it passes and writes the log entry once, when the answer begins."""

    def __init__(self, log: RequestLog, clock: Clock, scope: Scope, receive: Receive) -> None:
        self._log, self._scope, self._receive = log, scope, receive
        self._at, self._world_at = time.monotonic(), clock.now()
        self._body: list[bytes] = []
        self._written = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._body.append(message.get("body", b""))
        return message

    def close(self, status: int) -> None:
        if self._written:
            return
        self._written = True
        headers = Headers(scope=self._scope)
        credentials = basic_credentials(headers)
        body = b"".join(self._body)
        self._log.note(
            RequestSeen(
                self._scope["method"],
                self._scope["path"],
                self._scope["query_string"].decode("latin-1"),
                status,
                self._at,
                self._world_at,
                credentials[0] if credentials else None,
                len(body),
                dict(headers),
                b"" if 200 <= status < 300 else body,
            )
        )


class _Answer:
    """Puts the world's date on an answer, and whatever a fault changes about it."""

    def __init__(self, send: Send, clock: Clock, fault: Fault | None, entry: _Entry | None) -> None:
        self._send, self._clock, self._fault, self._entry = send, clock, fault, entry
        self._body: bytes | None = None
        if fault is not None and (fault.body is not None or fault.status is not None):
            self._body = fault.body or b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            message = self._start(message)
        elif message["type"] == "http.response.body" and self._body is not None:
            if message.get("more_body"):
                return  # the real body is replaced: nothing of it leaves
            message = {"type": "http.response.body", "body": self._body}
        await self._send(message)

    def _start(self, message: Message) -> Message:
        status, fault = message["status"], self._fault
        headers = {name.lower(): value for name, value in message["headers"]}
        headers[b"date"] = format_datetime(self._clock.now(), usegmt=True).encode()
        if fault is not None:
            status = fault.status or status
            if self._body is not None:
                headers[b"content-length"] = str(len(self._body)).encode()
                like_json = self._body.lstrip()[:1] in {b"{", b"["}
                kind = fault.content_type or ("application/json" if like_json else "text/plain")
                headers[b"content-type"] = kind.encode()
            elif fault.content_type is not None:
                headers[b"content-type"] = fault.content_type.encode()
            for name, value in fault.headers.items():
                headers[name.lower().encode("latin-1")] = value.encode("latin-1")
        if self._entry is not None:
            self._entry.close(status)
        return {"type": "http.response.start", "status": status, "headers": list(headers.items())}


async def _drain(entry: _Entry) -> None:
    """Read the request to its end, so that a client still writing its body is not cut off by the answer."""
    while True:
        message = await entry.receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
