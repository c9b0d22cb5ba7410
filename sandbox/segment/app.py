"""The local Segment as one ASGI application: the HTTP Tracking API, and the pages for people."""

import re
import zlib
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.segment.debugger import Incoming
from sandbox.segment.inbox import KINDS, Inbox
from sandbox.segment.settings import SegmentSettings
from sandbox.service.credentials import basic_credentials
from sandbox.service.faults import Faults
from sandbox.service.leaky_bucket import LeakyBucket
from sandbox.world.records import Wire

# Segment docs, "HTTP API source": 500 KB a batch request, 32 KB an event, 2500 events a batch. KB is
# read as 1024 bytes here, which is the most that a client may assume.
BATCH_MAX_BYTES = 500 * 1024
EVENT_MAX_BYTES = 32 * 1024
BATCH_MAX_EVENTS = 2500
# The form of a write key. Segment answers 200 to an unknown key of this form, and 400 to any other
# (segment-api, "a wrong write key").
KEY_FORM = re.compile(r"[A-Za-z0-9]{32}")
# A gzipped body that unpacks to more than this is refused without being read.
UNPACKED_MAX_BYTES = 16 * 1024 * 1024

_ABOUT = """A local Segment, part of gladly-segment-sync's sandbox. Nothing here leaves this machine.

API        /v1/batch, /v1/track, …    as at segment.com/docs, HTTP Basic with the write key as user name
received   /sandbox/events    the events as Segment shows them, repeats taken out
"""


class _Batch(msgspec.Struct):
    batch: list[msgspec.Raw]
    context: Any = None
    integrations: Any = None
    sentAt: Any = None  # noqa: N815  # the wire's name
    writeKey: Any = None  # noqa: N815  # the wire's name


class _Refused(Exception):  # noqa: N818  # an answer, not a failure
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


_decode_batch = msgspec.json.Decoder(_Batch).decode


def segment_app(inbox: Inbox, settings: SegmentSettings, faults: Faults) -> ASGIApp:
    """Build the service. `ServiceMiddleware` adds the `Date` header, the request log and the faults."""
    service = _Segment(inbox, settings, faults)
    routes = [Route(f"/v1/{path}", service.batch, methods=["POST"]) for path in ("batch", "import")]
    routes += [Route(f"/v1/{kind}", service.single, methods=["POST"]) for kind in KINDS]
    routes += [
        Route("/sandbox/events", service.events, methods=["GET"]),
        Route("/", service.about, methods=["GET"]),
    ]
    handlers: dict[Any, Any] = {HTTPException: _no_such_call, _Refused: _refuse}
    return Starlette(routes=routes, exception_handlers=handlers)


class _Segment:
    def __init__(self, inbox: Inbox, settings: SegmentSettings, faults: Faults) -> None:
        self._inbox, self._settings, self._faults = inbox, settings, faults
        limit = settings.requests_per_second
        self._requests = LeakyBucket(limit, 1.0) if limit is not None else None

    async def batch(self, request: Request) -> Response:
        """Answer `POST /v1/batch`, also under its older name `/v1/import`."""
        self._apply_limit()
        body = await _body(request)
        if len(body) > BATCH_MAX_BYTES:
            raise _Refused(400, "too_large", f"batch of {len(body)} bytes exceeds 500KB")
        try:
            batch = _decode_batch(body)
        except msgspec.ValidationError as error:
            raise _Refused(400, "invalid_request", f"malformed batch: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _Refused(400, "invalid_request", "malformed JSON") from None
        refused = self._check_key(request, batch.writeKey)
        envelope = {"context": batch.context, "integrations": batch.integrations, "sentAt": batch.sentAt}
        envelope = {key: value for key, value in envelope.items() if value is not None}
        events = [self._incoming(bytes(raw), None, envelope) for raw in batch.batch]
        too_many = len(events) > BATCH_MAX_EVENTS
        if too_many and refused is None:
            refused = f"more than {BATCH_MAX_EVENTS} events in one batch"
        self._inbox.take(events, silently_refused=refused, blocked=self._settings.blocked_events)
        return _json({"success": True})

    async def single(self, request: Request) -> Response:
        """Answer `POST /v1/track` and the other single calls. The path names the event's type."""
        self._apply_limit()
        incoming = self._incoming(await _body(request), request.url.path.rpartition("/")[2], {})
        refused = self._check_key(request, incoming.event.get("writeKey"))
        self._inbox.take([incoming], silently_refused=refused, blocked=self._settings.blocked_events)
        return _json({"success": True})

    async def events(self, _: Request) -> Response:
        """Answer `GET /sandbox/events`: the events that were received."""
        return _json(self._inbox.received)

    async def about(self, _: Request) -> Response:
        """Answer `GET /` with a page that says what this service is."""
        return PlainTextResponse(_ABOUT)

    def _incoming(self, raw: bytes, kind: str | None, envelope: Wire) -> Incoming:
        if len(raw) > EVENT_MAX_BYTES:
            raise _Refused(400, "too_large", f"event of {len(raw)} bytes exceeds 32KB")
        try:
            event = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise _Refused(400, "invalid_request", "malformed JSON") from None
        if not isinstance(event, dict):
            raise _Refused(400, "invalid_request", "an event is a JSON object")
        if kind is not None:
            event["type"] = kind
        if self._faults.rejects(event):
            raise _Refused(400, "invalid_request", "invalid event")
        return Incoming(raw, event, envelope)

    def _check_key(self, request: Request, key_in_body: Any) -> str | None:
        """
        Look at the write key of Basic authentication or else of the body's `writeKey`, as Segment does.

        Return why the events are dropped silently, or None when they are not.
        """
        credentials = basic_credentials(request.headers)
        key = credentials[0] if credentials else key_in_body
        if key == self._settings.write_key:
            return self._why_source_drops()
        if self._settings.wrong_keys == "taken":
            return None
        if self._settings.wrong_keys == "refused":
            raise _Refused(401, "unauthorized", "unknown write key")
        if not isinstance(key, str) or not KEY_FORM.fullmatch(key):
            raise _Refused(400, "invalid_request", "invalid write key")
        return "unknown write key"

    def _why_source_drops(self) -> str | None:
        """Return why our source drops everything after the 200, or None when it does not."""
        if self._settings.region != self._settings.tracking_region:
            return "project_not_found"
        return None if self._settings.source_enabled else "source_disabled"

    def _apply_limit(self) -> None:
        if self._requests is not None and not self._requests.take().allowed:
            raise _Refused(429, "rate_limited", "too many requests")


async def _body(request: Request) -> bytes:
    """Return the whole body, unpacked when its header says gzip."""
    try:
        body = await request.body()
    except ClientDisconnect:
        raise _Refused(400, "invalid_request", "the body ended early") from None
    if request.headers.get("content-encoding", "").lower() != "gzip":
        return body
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacking.decompress(body, UNPACKED_MAX_BYTES)
    except zlib.error:
        raise _Refused(400, "invalid_request", "malformed gzip") from None
    if unpacking.unconsumed_tail:
        raise _Refused(400, "too_large", "the body unpacks to more than 500KB")
    if not unpacking.eof:
        raise _Refused(400, "invalid_request", "malformed gzip")
    return unpacked


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


async def _refuse(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, _Refused)
    # The limit counts per second, so there is room again one second later.
    headers = {"Retry-After": "1", "X-RateLimit-Reset": "1"} if exc.status == 429 else {}
    return _json({"success": False, "code": exc.code, "message": exc.message}, exc.status, headers)


async def _no_such_call(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return _json({"success": False, "code": "not_found", "message": "no such call"}, status)
