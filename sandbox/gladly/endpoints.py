"""The calls of Gladly's REST API that the local Gladly answers, and its pages for people."""

from collections.abc import Iterable
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from sandbox.gladly.answers import error_answer, in_chunks, json_answer, with_byte_order_mark
from sandbox.gladly.report_request import BadReportRequest, ReportRequest
from sandbox.gladly.reports import csv_lines
from sandbox.gladly.settings import GladlySettings
from sandbox.service.faults import Faults
from sandbox.timekeeping.instants import parse_instant
from sandbox.world.records import ENTITIES
from sandbox.world.world import World

# Gladly REST API reference, "Events": startAt lies within the last 24 hours.
EVENTS_REACH_BACK = timedelta(hours=24)
# Gladly REST API reference, "List customer conversations".
CONVERSATIONS_LISTED_AT_MOST = 100

_ABOUT = """A local Gladly, part of gladly-segment-sync's sandbox. Nothing here leaves this machine.

API        /api/v1/…    as at developer.gladly.com/rest, HTTP Basic
truth      /sandbox/truth    every conversation created, closed or reopened so far
"""


class Endpoints:
    """
    The calls of the API, and the pages for people.

    Args:
        world: What they show.
        settings: How the service behaves.
        faults: Rewrites the feed and reports when a test says so.
    """

    def __init__(self, world: World, settings: GladlySettings, faults: Faults) -> None:
        self._world, self._settings, self._faults = world, settings, faults

    async def events(self, request: Request) -> Response:
        """Answer `GET /events`, the change feed. startAt and endAt are inclusive; Gladly leaves that open."""
        now = self._world.clock.now()
        given = request.query_params
        start = parse_instant(given.get("startAt", ""))
        if "startAt" not in given:
            return error_answer(400, "startAt", "blank", "startAt is required")
        if start is None:
            return error_answer(400, "startAt", "invalid", "startAt must be an ISO 8601 timestamp")
        if start < now - EVENTS_REACH_BACK:
            return error_answer(400, "startAt", "invalid", "startAt must be within the last 24 hours")
        end = parse_instant(given["endAt"]) if "endAt" in given else now
        if end is None:
            return error_answer(400, "endAt", "invalid", "endAt must be an ISO 8601 timestamp")
        # Without endAt, a startAt equal to now is an empty interval. Only a startAt in the future is wrong.
        if end < start or (end == start and "endAt" in given):
            return error_answer(400, "endAt", "invalid", "endAt must be after startAt")
        entities = given.getlist("entities")
        if not any(entities):
            return error_answer(400, "entities", "blank", "entities is required")
        for entity in entities:
            if entity not in ENTITIES:
                return error_answer(400, "entities", "invalid", f"unknown entity {entity!r}")
        changes = self._world.feed(start, end, entities, now=now)
        rewrite = self._faults.feed_rewriter
        lines: Iterable[bytes] = (change.line() for change in changes)
        if rewrite is not None:
            lines = rewrite(list(lines))
        return StreamingResponse(in_chunks(lines), media_type="application/x-jsonlines")

    async def conversation(self, request: Request) -> Response:
        """Answer `GET /conversations/{id}`."""
        with self._world.lock:
            conversation = self._world.conversations.get(request.path_params["id"])
            if conversation is None or conversation.gone is not None:
                return error_answer(404, "conversationId", "not_exist", "no such conversation", as_list=False)
            return json_answer(conversation.wire())

    async def conversations_of_customer(self, request: Request) -> Response:
        """Answer `GET /customers/{id}/conversations`: the oldest 100, and a header when there are more."""
        with self._world.lock:
            refusal = self._missing(request.path_params["id"])
            if refusal is not None:
                return refusal
            ids = self._world.customers[request.path_params["id"]].conversation_ids
            conversations = [
                conversation
                for conversation in map(self._world.conversations.__getitem__, ids)
                if conversation.gone is None
            ]
            conversations.sort(key=lambda conversation: conversation.created_at)
            shown = [conversation.wire() for conversation in conversations[:CONVERSATIONS_LISTED_AT_MOST]]
        limited = {"Gladly-Limited-Data": "true"} if len(conversations) > CONVERSATIONS_LISTED_AT_MOST else {}
        return json_answer(shown, headers=limited)

    async def profile(self, request: Request) -> Response:
        """Answer `GET /customer-profiles/{id}`."""
        with self._world.lock:
            refusal = self._missing(request.path_params["id"])
            return refusal or json_answer(self._world.customers[request.path_params["id"]].wire())

    async def agents(self, _: Request) -> Response:
        """Answer `GET /agents`."""
        with self._world.lock:
            return json_answer([agent.wire() for agent in self._world.agents.values()])

    async def agent(self, request: Request) -> Response:
        """Answer `GET /agents/{id}`."""
        agent = self._world.agents.get(request.path_params["id"])
        return json_answer(agent.wire()) if agent else error_answer(404, "id", "not_exist", "no such agent")

    async def topics(self, _: Request) -> Response:
        """Answer `GET /topics`."""
        with self._world.lock:
            return json_answer([topic.wire() for topic in self._world.topics.values()])

    async def topic(self, request: Request) -> Response:
        """Answer `GET /topics/{id}`."""
        topic = self._world.topics.get(request.path_params["id"])
        return json_answer(topic.wire()) if topic else error_answer(404, "id", "not_exist", "no such topic")

    async def inboxes(self, _: Request) -> Response:
        """Answer `GET /inboxes`."""
        return json_answer([inbox.wire() for inbox in self._world.inboxes.values()])

    async def organization(self, _: Request) -> Response:
        """Answer `GET /organization`: the organization that the credentials belong to."""
        return json_answer(
            {"id": "sandbox", "name": "Sandbox", "timezone": self._settings.organization_timezone}
        )

    async def nothing(self, _: Request) -> Response:
        """Answer `GET /teams` and `GET /export/jobs`, which are empty here."""
        return json_answer([])

    async def reports(self, request: Request) -> Response:
        """Answer `POST /reports` with CSV. The body is empty when the report has no row."""
        settings = self._settings
        try:
            wanted = ReportRequest.read(await request.body(), settings.organization_timezone)
        except BadReportRequest as error:
            return error_answer(400, error.attr, error.code, error.detail, as_list=error.attr != "timezone")
        lines = csv_lines(
            self._world,
            wanted,
            row_cap=settings.report_row_cap,
            lateness_s=settings.report_lateness_s,
            shuffled=settings.report_shuffled,
        )
        if settings.report_bom:
            lines = with_byte_order_mark(lines)
        rewrite = self._faults.report_rewriter
        if rewrite is not None:
            return Response(rewrite(b"".join(lines)), media_type="text/csv")
        return StreamingResponse(in_chunks(lines), media_type="text/csv")

    async def truth(self, _: Request) -> Response:
        """Answer `GET /sandbox/truth`: every transition that a reader of the feed should have found."""
        return json_answer([truth.wire() for truth in self._world.truth()])

    async def about(self, _: Request) -> Response:
        """Answer `GET /` with a page that says what this service is."""
        return PlainTextResponse(_ABOUT)

    def _missing(self, customer_id: str) -> Response | None:
        """Return 301 for a merged customer, 404 for a deleted or unknown one, and None for any other."""
        customer = self._world.customers.get(customer_id)
        if customer is None or customer.deleted_at is not None:
            return error_answer(404, "customerId", "not_exist", "no such customer")
        if customer.merged_into is not None:
            meta = {"old": customer_id, "new": customer.merged_into}
            return error_answer(301, "customerId", "moved", "the customer was merged into another", meta=meta)
        return None
