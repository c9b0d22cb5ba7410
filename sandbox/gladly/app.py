"""The local Gladly as one ASGI application: every path under `/api/v1`, and the pages for people."""

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox.gladly.access import AccessControl
from sandbox.gladly.answers import no_such_call
from sandbox.gladly.endpoints import Endpoints
from sandbox.gladly.settings import GladlySettings
from sandbox.service.faults import Faults
from sandbox.world.world import World


class _Anything(Convertor[str]):
    """Matches an id in a path. A decoded id may hold any character, slashes and line breaks included."""

    regex = r"[\s\S]*"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anything", _Anything())


def gladly_app(world: World, settings: GladlySettings, faults: Faults) -> ASGIApp:
    """Build the service. `ServiceMiddleware` adds the `Date` header, the request log and the faults."""
    service = Endpoints(world, settings, faults)
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
    app = Starlette(routes=routes, exception_handlers={HTTPException: no_such_call})
    return AccessControl(app, settings)
