"""What the sandbox's tests share: a known instant, plain clients for both services, and usual requests."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import requests

from sandbox import Clock, Sandbox
from sandbox.simulation.living_world import LivingWorld

NOON = datetime(2026, 11, 2, 12, 0, 0, 250_000, tzinfo=UTC)

EVENT = {"type": "track", "event": "Said Hello", "userId": "u-1", "messageId": "m-1"}
FEED = "/events?startAt=2026-11-02T11:00:00Z&entities=CONVERSATION"
REPORT_OF_A_DAY = {
    "metricSet": "ConversationTimestampsReport",
    "timezone": "UTC",
    "startAt": "2026-10-30",
    "endAt": "2026-10-30",
}


class Client(requests.Session):
    """A plain session that knows an address and its credentials, and follows no redirect."""

    def __init__(self, base_url: str, auth: tuple[str, str]) -> None:
        super().__init__()
        self.trust_env = False
        self.base_url = base_url
        self.auth = auth

    def request(self, method, url, *args, **kwargs):
        kwargs.setdefault("timeout", 10)
        kwargs["allow_redirects"] = False
        return super().request(method, self.base_url + url, *args, **kwargs)


def gladly_client(sandbox: Sandbox, url: str | None = None) -> Client:
    """Return a client for the sandbox's Gladly, or for the proxy in front of it at *url*."""
    auth = (sandbox.gladly.username, sandbox.gladly.api_token)
    return Client((url or sandbox.gladly_url) + "/api/v1", auth)


def segment_client(sandbox: Sandbox, url: str | None = None) -> Client:
    """Return a client for the sandbox's Segment, or for the proxy in front of it at *url*."""
    return Client((url or sandbox.segment_url) + "/v1", (sandbox.segment.write_key, ""))


def feed(gladly: Client, start: datetime = NOON - timedelta(hours=23), entities=("CONVERSATION",), **more):
    """Return the events of `GET /events` from *start* on."""
    answer = gladly.get("/events", params={"startAt": start.isoformat(), "entities": list(entities), **more})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


def batch(segment: Client, *events, **more):
    """Send *events* to Segment in one batch, and *more* in its envelope."""
    return segment.post("/batch", json={"batch": list(events), **more})


def lived(seed, tempo, looks_s, *, lateness_s=15.0):
    """Return a living world that was looked at after each of these many seconds."""
    clock = Clock(NOON, pace=0)
    world = LivingWorld(clock, seed=seed, tempo=tempo, lateness_s=lateness_s)
    for seconds in looks_s:
        clock.advance(seconds)
        world.run_to_now()
    return world


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox whose time stands still at `NOON`, without limits."""
    with Sandbox(
        pace=0, start=NOON, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as running:
        yield running


@pytest.fixture
def gladly(sandbox: Sandbox) -> Iterator[Client]:
    """A client for its Gladly."""
    with gladly_client(sandbox) as client:
        yield client


@pytest.fixture
def segment(sandbox: Sandbox) -> Iterator[Client]:
    """A client for its Segment."""
    with segment_client(sandbox) as client:
        yield client
