"""A sandbox that stands still at a known moment, and a client session for each of its services."""

from collections.abc import Iterator

import pytest

from sandbox import Sandbox
from support.sandbox_clients import NOON, Client, gladly_client, segment_client


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(
        pace=0, start=NOON, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as running:
        yield running


@pytest.fixture
def gladly(sandbox: Sandbox) -> Iterator[Client]:
    with gladly_client(sandbox) as client:
        yield client


@pytest.fixture
def segment(sandbox: Sandbox) -> Iterator[Client]:
    with segment_client(sandbox) as client:
        yield client
