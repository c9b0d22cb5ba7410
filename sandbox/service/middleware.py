"""What is added to each service: the record of its requests, faults, latency, and the world's `Date`."""

import asyncio
import time
from collections.abc import Callable
from email.utils import format_datetime

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.service.credentials import basic_credentials
from sandbox.service.faults import End, Fault, Faults
from sandbox.service.request_log import RequestLog, RequestSeen
from sandbox.timekeeping.clock import Clock


class ServiceMiddleware:
    """
    ASGI middleware around one service.

    Requests for the pages that people read (`/`, `/sandbox/…`) are not recorded, and no fault meets them. The
    Public API has no such pages.

    Args:
        app: The service itself.
        end: The end that the service plays; it selects the faults.
        clock: The world's time, shown as `Date` on every answer.
        faults: The faults in force.
        log: Where the requests are recorded.
        before: Called at the start of every request. For Gladly it lets the world catch up with the clock.
        latency_s: Called for every request; returns the real seconds to wait before it is answered.
    """

    def __init__(
        self,
        app: ASGIApp,
        end: End,
        clock: Clock,
        faults: Faults,
        log: RequestLog,
        *,
        before: Callable[[], None] = lambda: None,
        latency_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._app, self._end, self._clock = app, end, clock
        self._faults, self._log = faults, log
        self._before, self._latency_s = before, latency_s
        self._has_pages = end != "public_api"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._before()
        if self._has_pages and (scope["path"] == "/" or scope["path"].startswith("/sandbox/")):
            await self._app(scope, receive, _Answer(send, self._clock, None, None).send)
            return
        entry = _Entry(self._log, self._clock, scope, receive)
        fault = self._faults.meet(self._end, scope["method"], scope["path"])
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
    """Keeps the request's body as it passes, and records the request once, when the answer begins."""

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
    """Puts the world's date on an answer, and changes the answer as a fault says."""

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
                return  # the fault replaces the body, so no part of the real one is sent
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
    """Read the whole request, so that the answer does not cut off a client that still writes its body."""
    while True:
        message = await entry.receive()
        if message["type"] == "http.disconnect" or not message.get("more_body"):
            return
