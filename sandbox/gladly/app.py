"""
A local Gladly: the part of its REST API that readers of conversations use, under `/api/v1`.

What it answers follows Gladly's published API description. Where that leaves something open, the choice
made here is named beside it.
"""

import math
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.gladly.reports import BadReportRequest, ReportRequest, csv_lines
from sandbox.gladly.settings import GladlySettings
from sandbox.service.credentials import basic_credentials
from sandbox.service.faults import Faults
from sandbox.service.leaky_bucket import LeakyBucket
from sandbox.timekeeping.instants import parse_instant
from sandbox.world.records import ENTITIES, Wire
from sandbox.world.world import World

# Gladly REST API reference, "Events": startAt lies within the last 24 hours.
EVENTS_REACH_BACK = timedelta(hours=24)
# Gladly REST API reference, "List customer conversations".
CONVERSATIONS_LISTED_AT_MOST = 100
# How much of a stream is handed over at a time: few enough chunks to be fast, small enough to stay flat.
CHUNK_BYTES = 128 * 1024

_ABOUT = """A local Gladly, part of gladly-segment-sync's sandbox. Nothing here leaves this machine.

API        /api/v1/…    as at developer.gladly.com/rest, HTTP Basic
truth      /sandbox/truth    every conversation created, closed or reopened so far
"""


class _Anything(Convertor[str]):
    """An id in a path: whatever was percent-encoded, slashes and line breaks included."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())


def gladly_app(world: World, settings: GladlySettings, faults: Faults) -> ASGIApp:
    """Build the service as an ASGI application, without the `Date` header and the log `Edge` adds."""
    service = _Gladly(world, settings, faults)
    api = [
        ("/events", service.events),
        ("/conversations/{id:anything}", service.conversation),
        ("/customers/{id:anything}/conversations", service.conversations_of_customer),
        ("/customer-profiles/{id:anything}", service.profile),
        ("/agents", service.agents),
        ("/agents/{id:anything}", service.agent),
        ("/topics", service.topics),
        ("/topics/{id:anything}", service.topic),
        ("/inboxes", service.inboxes),
        ("/organization", service.organization),
        ("/teams", service.nothing),
        ("/export/jobs", service.nothing),
    ]
    routes = [Route(f"/api/v1{path}", endpoint, methods=["GET"]) for path, endpoint in api]
    routes += [
        Route("/api/v1/reports", service.reports, methods=["POST"]),
        Route("/sandbox/truth", service.truth, methods=["GET"]),
        Route("/", service.about, methods=["GET"]),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _no_such_call})
    return _Doorkeeper(app, settings)


class _Doorkeeper:
    """Rate limits, then credentials, for everything under `/api/`."""

    def __init__(self, app: ASGIApp, settings: GladlySettings) -> None:
        self._app, self._settings = app, settings
        per_second, per_minute = settings.requests_per_second, settings.reports_per_minute
        self._requests = LeakyBucket(per_second, 1.0) if per_second is not None else None
        self._reports = LeakyBucket(per_minute, 60.0) if per_minute is not None else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/api/"):
            await self._app(scope, receive, send)
            return
        limits: dict[str, str] = {}
        refusal = self._rate(scope, limits) or self._credentials(Headers(scope=scope))
        answer: ASGIApp = refusal or self._app

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [(name.encode(), value.encode()) for name, value in limits.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await answer(scope, receive, send_with_limits)

    def _rate(self, scope: Scope, limits: dict[str, str]) -> Response | None:
        buckets = [self._requests]
        if scope["method"] == "POST" and scope["path"] == "/api/v1/reports":
            buckets.append(self._reports)
        for bucket in buckets:
            if bucket is None:
                continue
            taken, left, wait_s = bucket.take()
            if bucket is self._requests:
                limits["Ratelimit-Limit-Second"] = f"{bucket.amount:g}"
                limits["Ratelimit-Remaining-Second"] = str(left)
            if not taken:
                if self._settings.retry_after:
                    limits["Retry-After"] = str(max(1, math.ceil(wait_s)))
                return _error(429, "", "temporary_failure", "too many requests for this organization")
        return None

    def _credentials(self, headers: Headers) -> Response | None:
        given, settings = basic_credentials(headers), self._settings
        if given == (settings.username, settings.api_token):
            return None
        if given == (settings.unprivileged_username, settings.api_token):
            return _error(403, "", "invalid", "this agent does not have the API User permission")
        return _error(401, "", "invalid", "unknown e-mail address or API token")


class _Gladly:
    def __init__(self, world: World, settings: GladlySettings, faults: Faults) -> None:
        self._world, self._settings, self._faults = world, settings, faults

    async def events(self, request: Request) -> Response:
        """`GET /events`: the change feed. Both ends are inclusive, which Gladly leaves open."""
        now = self._world.clock.now()
        given = request.query_params
        start = parse_instant(given.get("startAt", ""))
        if "startAt" not in given:
            return _error(400, "startAt", "blank", "startAt is required")
        if start is None:
            return _error(400, "startAt", "invalid", "startAt must be an ISO 8601 timestamp")
        if start < now - EVENTS_REACH_BACK:
            return _error(400, "startAt", "invalid", "startAt must be within the last 24 hours")
        end = parse_instant(given["endAt"]) if "endAt" in given else now
        if end is None:
            return _error(400, "endAt", "invalid", "endAt must be an ISO 8601 timestamp")
        # Without endAt a start of this very moment is an empty interval; only one in the future is wrong.
        if end < start or (end == start and "endAt" in given):
            return _error(400, "endAt", "invalid", "endAt must be after startAt")
        entities = given.getlist("entities")
        if not any(entities):
            return _error(400, "entities", "blank", "entities is required")
        for entity in entities:
            if entity not in ENTITIES:
                return _error(400, "entities", "invalid", f"unknown entity {entity!r}")
        changes = self._world.feed(start, end, entities, now=now)
        rewrite = self._faults.feed_rewriter
        lines: Iterable[bytes] = (change.line() for change in changes)
        if rewrite is not None:
            lines = rewrite(list(lines))
        return StreamingResponse(_chunks(lines), media_type="application/x-jsonlines")

    async def conversation(self, request: Request) -> Response:
        """`GET /conversations/{id}`."""
        with self._world.lock:
            talk = self._world.conversations.get(request.path_params["id"])
            if talk is None or talk.gone is not None:
                return _error(404, "conversationId", "not_exist", "no such conversation", as_list=False)
            return _json(talk.wire())

    async def conversations_of_customer(self, request: Request) -> Response:
        """`GET /customers/{id}/conversations`: the oldest hundred, and a header where there are more."""
        with self._world.lock:
            refusal = self._not_here(request.path_params["id"])
            if refusal is not None:
                return refusal
            ids = self._world.customers[request.path_params["id"]].conversation_ids
            talks = [talk for talk in map(self._world.conversations.__getitem__, ids) if talk.gone is None]
            talks.sort(key=lambda talk: talk.created_at)
            shown = [talk.wire() for talk in talks[:CONVERSATIONS_LISTED_AT_MOST]]
        limited = {"Gladly-Limited-Data": "true"} if len(talks) > CONVERSATIONS_LISTED_AT_MOST else {}
        return _json(shown, headers=limited)

    async def profile(self, request: Request) -> Response:
        """`GET /customer-profiles/{id}`."""
        with self._world.lock:
            refusal = self._not_here(request.path_params["id"])
            return refusal or _json(self._world.customers[request.path_params["id"]].wire())

    async def agents(self, _: Request) -> Response:
        """`GET /agents`."""
        with self._world.lock:
            return _json([agent.wire() for agent in self._world.agents.values()])

    async def agent(self, request: Request) -> Response:
        """`GET /agents/{id}`."""
        agent = self._world.agents.get(request.path_params["id"])
        return _json(agent.wire()) if agent else _error(404, "id", "not_exist", "no such agent")

    async def topics(self, _: Request) -> Response:
        """`GET /topics`."""
        with self._world.lock:
            return _json([topic.wire() for topic in self._world.topics.values()])

    async def topic(self, request: Request) -> Response:
        """`GET /topics/{id}`."""
        topic = self._world.topics.get(request.path_params["id"])
        return _json(topic.wire()) if topic else _error(404, "id", "not_exist", "no such topic")

    async def inboxes(self, _: Request) -> Response:
        """`GET /inboxes`."""
        return _json([inbox.wire() for inbox in self._world.inboxes.values()])

    async def organization(self, _: Request) -> Response:
        """`GET /organization`: who the credentials belong to."""
        return _json({"id": "sandbox", "name": "Sandbox", "timezone": self._settings.organization_timezone})

    async def nothing(self, _: Request) -> Response:
        """Answer for collections this organization has nothing in: `GET /teams`, `GET /export/jobs`."""
        return _json([])

    async def reports(self, request: Request) -> Response:
        """`POST /reports`: CSV, empty where there is no row."""
        settings = self._settings
        try:
            wanted = ReportRequest.read(await request.body(), settings.organization_timezone)
        except BadReportRequest as error:
            return _error(400, error.attr, error.code, error.detail, as_list=error.attr != "timezone")
        lines = csv_lines(
            self._world,
            wanted,
            row_cap=settings.report_row_cap,
            lateness_s=settings.report_lateness_s,
            shuffled=settings.report_shuffled,
        )
        if settings.report_bom:
            lines = _with_bom(lines)
        rewrite = self._faults.report_rewriter
        if rewrite is not None:
            return Response(rewrite(b"".join(lines)), media_type="text/csv")
        return StreamingResponse(_chunks(lines), media_type="text/csv")

    async def truth(self, _: Request) -> Response:
        """`GET /sandbox/truth`: what a perfect reader of the feed would have found."""
        return _json([truth.wire() for truth in self._world.truth()])

    async def about(self, _: Request) -> Response:
        """`GET /`: say what this is."""
        return PlainTextResponse(_ABOUT)

    def _not_here(self, customer_id: str) -> Response | None:
        """Refuse a customer that was merged (301), deleted or never was (404)."""
        customer = self._world.customers.get(customer_id)
        if customer is None or customer.deleted_at is not None:
            return _error(404, "customerId", "not_exist", "no such customer")
        if customer.merged_into is not None:
            meta = {"old": customer_id, "new": customer.merged_into}
            return _error(301, "customerId", "moved", "the customer was merged into another", meta=meta)
        return None


async def _chunks(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    chunk, size = [], 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def _with_bom(lines: Iterable[bytes]) -> Iterable[bytes]:
    yield b"\xef\xbb\xbf"
    yield from lines


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def _error(
    status: int, attr: str, code: str, detail: str, *, meta: Wire | None = None, as_list: bool = True
) -> Response:
    """Gladly's error body. *as_list* False is its quirk: one object where a list is expected."""
    error: Wire = {"attr": attr, "code": code, "detail": detail}
    if meta is not None:
        error["meta"] = meta
    return _json({"errors": [error] if as_list else error}, status)


async def _no_such_call(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return _error(status, "", "not_exist", "no such call", as_list=status != 404)
