"""
The workspace's Public API as one ASGI application: what the source is, and what it received.

Segment serves it from another host than the Tracking API, and so does the sandbox, on a port of its own. The
figures are those of the inbox. What is answered follows docs/design/segment-public-api.md.
"""

import hmac
import math
from datetime import timedelta
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.segment.inbox import Inbox
from sandbox.segment.public_api_query import ProblemError, Query
from sandbox.segment.settings import SegmentSettings
from sandbox.segment.tally import Kind, Tally, grouped
from sandbox.service.leaky_bucket import LeakyBucket
from sandbox.timekeeping.clock import Clock
from sandbox.world.records import Wire

WORKSPACE = {"id": "9aQ1Lj62S4bomZKLF4DPqW", "slug": "sandbox", "name": "Sandbox"}
SOURCE_ID = "qQEHquLrjRDN9j1ByrChyn"
MEDIA_TYPE = "application/vnd.segment.v1+json"

# The npm SDK asks for plain JSON, so that is answered too, also for the beta calls.
_PLAIN = {"application/json", "application/*", "*/*"}
_BETA = {"application/vnd.segment.v1beta+json", "application/vnd.segment.v1alpha+json", *_PLAIN}
_STABLE = {MEDIA_TYPE, *_BETA}
# The delivery overview shows what arrived at least so long ago.
_OVERVIEW_BEHIND = timedelta(seconds=30)

_PERIOD = {"granularity", "startTime", "endTime", "groupBy", "pagination"}
_OVERVIEWS: dict[str, Kind] = {
    "successfully-received": "received",
    "failed-on-ingest": "failed",
    "filtered-at-source": "filtered",
}


def public_api_app(inbox: Inbox, settings: SegmentSettings, clock: Clock) -> ASGIApp:
    """Build the service. `ServiceMiddleware` adds the `Date` header, the request log and the faults."""
    service = _PublicApi(inbox, settings, clock)
    routes = [
        Route("/", service.workspace, methods=["GET"]),
        Route("/sources", service.sources, methods=["GET"]),
        Route("/sources/{id}", service.source, methods=["GET"]),
        Route("/events/volume", service.volume, methods=["GET"]),
        Route("/delivery-overview/{overview}", service.overview, methods=["GET"]),
    ]
    handlers: dict[Any, Any] = {HTTPException: _no_such_call, ProblemError: _problem}
    return Starlette(routes=routes, exception_handlers=handlers)


class _PublicApi:
    def __init__(self, inbox: Inbox, settings: SegmentSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._tally = Tally(inbox)
        limit = settings.volume_requests_per_minute
        self._volumes = LeakyBucket(limit, 60.0) if limit is not None else None

    async def workspace(self, request: Request) -> Response:
        """Answer `GET /`: the workspace that the token belongs to."""
        self._admit(request, _STABLE)
        return _data({"workspace": WORKSPACE})

    async def sources(self, request: Request) -> Response:
        """Answer `GET /sources`, page by page."""
        self._admit(request, _STABLE)
        shown, pagination = Query(request.query_params, {"pagination"}).page().of(self._sources())
        return _data({"sources": shown, "pagination": pagination})

    async def source(self, request: Request) -> Response:
        """Answer `GET /sources/{sourceId}`."""
        self._admit(request, _STABLE)
        return _data({"source": self._source(request.path_params["id"])})

    async def volume(self, request: Request) -> Response:
        """Answer `GET /events/volume`: what was received, by the time when it arrived."""
        self._admit(request, _STABLE)
        if self._volumes is not None and not (taken := self._volumes.take()).allowed:
            raise _too_many(taken.wait_s)
        query = Query(request.query_params, {*_PERIOD, "sourceId", "eventName", "eventType"})
        period = query.period(self._clock.now(), is_overview=False)
        group_by = query.many("groupBy", {"eventName", "eventType", "source"})
        sources = [self._source(id_) for id_ in query.many("sourceId")] or self._sources()
        counted = []
        if any(source["id"] == SOURCE_ID for source in sources):
            counted = self._tally.counted("received", period.start, period.end)
        for label in ("eventName", "eventType"):
            if wanted := query.many(label):
                counted = [one for one in counted if one.labels[label] in wanted]
        labels = [label for label in group_by if label != "source"]
        rows = grouped(counted, labels, *period)
        if "source" in group_by:
            ours = self._source(SOURCE_ID)
            rows = [{"source": {key: ours[key] for key in ("id", "name", "slug")}, **row} for row in rows]
        shown, pagination = query.page().of(rows)
        asked = {"workspaceId": WORKSPACE["id"], **dict(request.query_params)}
        return _data({"path": "/events/volume", "query": asked, "result": shown, "pagination": pagination})

    async def overview(self, request: Request) -> Response:
        """Answer `GET /delivery-overview/…`: what was received, or was dropped after the 200."""
        kind = _OVERVIEWS.get(request.path_params["overview"])
        if kind is None:
            raise HTTPException(404)
        self._admit(request, _BETA)
        query = Query(request.query_params, {*_PERIOD, "sourceId"})
        now = self._clock.now()
        period = query.period(now, is_overview=True)
        source = self._source(query.one("sourceId"))
        labels = {"eventName", "eventType"} | ({"discardReason"} if kind != "received" else set())
        group_by = query.many("groupBy", labels)
        until = min(period.end, now - _OVERVIEW_BEHIND)
        is_ours = source["id"] == SOURCE_ID
        counted = self._tally.counted(kind, period.start, until) if is_ours else []
        shown, pagination = query.page().of(grouped(counted, group_by, *period))
        answer = {"sourceId": source["id"], "total": len(counted), "dataset": shown, "pagination": pagination}
        return _data(answer)

    def _admit(self, request: Request, media_types: set[str]) -> None:
        """
        Judge the token and the `Accept` header.

        The reference does not say how an unknown version is answered; here it is 404.
        """
        settings = self._settings
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        is_known = hmac.compare_digest(token.strip().encode(), settings.public_api_token.encode())
        if scheme.lower() != "bearer" or not is_known or settings.region != settings.public_api_region:
            raise ProblemError(401, "unauthenticated", "the token is missing, unknown or revoked")
        if settings.access == "none":
            raise ProblemError(403, "forbidden", "the token has no access to this resource")
        accepted = request.headers.get("accept", "").split(",")
        if not {one.partition(";")[0].strip() for one in accepted} & media_types:
            raise ProblemError(404, "not-found", "no such call in the version that Accept names")

    def _sources(self) -> list[Wire]:
        settings = self._settings
        numbers = range(settings.other_sources)
        sources = [
            *(_source(f"other{n:017d}", f"other-{n}", f"other{n:027d}") for n in numbers),
            _source(SOURCE_ID, "gladly", settings.write_key, is_enabled=settings.source_enabled),
        ]
        shows_keys = settings.access == "source_admin"
        return [source if shows_keys else source | {"writeKeys": []} for source in sources]

    def _source(self, id_: str) -> Wire:
        for source in self._sources():
            if source["id"] == id_:
                return source
        raise ProblemError(404, "not-found", "the workspace has no such source")


def _source(id_: str, slug: str, write_key: str, *, is_enabled: bool = True) -> Wire:
    return {
        "id": id_,
        "slug": slug,
        "name": slug.replace("-", " ").title(),
        "workspaceId": WORKSPACE["id"],
        "enabled": is_enabled,
        "writeKeys": [write_key],
        "metadata": {"id": "iUJq5dGMd3", "slug": "http-api", "name": "HTTP API", "categories": ["Server"]},
        "settings": {},
        "labels": [],
    }


def _data(data: Wire) -> Response:
    return Response(msgspec.json.encode({"data": data}), media_type=MEDIA_TYPE)


def _too_many(wait_s: float) -> ProblemError:
    problem = ProblemError(429, "too-many-requests", "rate limit exceeded")
    problem.headers["Retry-After"] = str(max(1, math.ceil(wait_s)))
    return problem


async def _problem(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, ProblemError)
    return _error(exc.status, exc.type, exc.message, exc.headers)


async def _no_such_call(_: Request, exc: Exception) -> Response:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return _error(status, "not-found", "no such call", {})


def _error(status: int, type_: str, message: str, headers: dict[str, str]) -> Response:
    body = msgspec.json.encode({"errors": [{"type": type_, "message": message}]})
    return Response(body, status, headers, media_type=MEDIA_TYPE)
