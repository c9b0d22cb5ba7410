"""The fixtures of the proxy's tests: a sandbox, a proxy in front of its Gladly, and a client through it."""

import pytest

from support.proxy import Proxy
from support.sandbox_clients import gladly, gladly_client, sandbox, segment

__all__ = ["gladly", "sandbox", "segment"]


@pytest.fixture
def proxy(sandbox):
    for _ in range(50):
        sandbox.world.open_conversation(sandbox.world.add_customer())
    with Proxy(sandbox.gladly_url) as running:
        yield running


@pytest.fixture
def through(sandbox, proxy):
    with gladly_client(sandbox, proxy.url) as client:
        yield client
