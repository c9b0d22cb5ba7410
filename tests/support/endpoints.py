"""The paths of Gladly's and Segment's APIs that tests watch or disturb."""

from sandbox import Sandbox

EVENTS = "/api/v1/events"
PROFILES = "/api/v1/customer-profiles/*"
CONVERSATIONS = "/api/v1/conversations/*"
AGENTS = "/api/v1/agents"
ORGANIZATION = "/api/v1/organization"
BATCH = "/v1/batch"


def reports_asked_for(sandbox: Sandbox) -> int:
    """Return how many reports Gladly was asked for."""
    return sum(request.path == "/api/v1/reports" for request in sandbox.gladly_requests)
