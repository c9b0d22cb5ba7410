"""A sandbox that stands still at a known moment, and a client session for each of its services."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests

from sandbox import Sandbox

NOON = datetime(2026, 11, 2, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(pace=0, start=NOON, lateness_s=0, requests_per_second=None, reports_per_minute=None) as running:
        yield running


class Client(requests.Session):
    """A plain session that knows the address and the credentials."""

    def __init__(self, base_url: str, auth: tuple[str, str]) -> None:
        super().__init__()
        self.trust_env = False
        self.base_url = base_url
        self.auth = auth

    def request(self, method, url, *args, **kwargs):
        kwargs.setdefault("timeout", 10)
        kwargs.setdefault("allow_redirects", False)
        return super().request(method, self.base_url + url, *args, **kwargs)


@pytest.fixture
def gladly(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.gladly_url + "/api/v1", (sandbox.gladly.username, sandbox.gladly.api_token)) as client:
        yield client


@pytest.fixture
def segment(sandbox: Sandbox) -> Iterator[Client]:
    with Client(sandbox.segment_url + "/v1", (sandbox.segment.write_key, "")) as client:
        yield client
