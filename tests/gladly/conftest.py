"""A Gladly whose time stands still, and clients of it."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox import Sandbox
from support.worlds import NOON
from sync.gladly.client import GladlyClient
from sync.http.retry import RetryPolicy
from sync.stop import Stop


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A world whose clock moves when a test moves it; nothing happens by itself, changes show at once."""
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as running:
        yield running


@pytest.fixture
def client_of(sandbox: Sandbox) -> Iterator[Callable[..., GladlyClient]]:
    """
    Make a client of the sandbox's Gladly that makes every request once: `client_of()`, `client_of(url)`, or
    with further arguments of `GladlyClient`.
    """
    made: list[GladlyClient] = []

    def make(url: str | None = None, **changes: Any) -> GladlyClient:
        options: dict[str, Any] = {"requests_per_second": 10_000, "stop": Stop()}
        options |= {"retry": RetryPolicy(max_attempts=1), **changes}
        gladly = sandbox.gladly
        made.append(GladlyClient(url or sandbox.gladly_url, gladly.username, gladly.api_token, **options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(client_of: Callable[..., GladlyClient]) -> GladlyClient:
    """A client of the sandbox's Gladly."""
    return client_of()
