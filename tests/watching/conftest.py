"""What the tests of watching share: people who write in, and a day on which everything happens."""

from collections.abc import Callable
from typing import Any

import pytest

from installation import Installation
from sandbox import Fault

# Answers 503 and asks for a wait longer than a call is worth: the cycle fails there, and at once.
DOWN = Fault(status=503, headers={"Retry-After": "600"}, times=None)


@pytest.fixture
def opened(installation: Installation, ago: Callable[[float], Any]) -> Callable[..., Any]:
    """Let a customer open a conversation in the sandbox; a minute ago unless said otherwise."""
    world = installation.sandbox.world

    def open_one(seconds_ago: float = 60.0, name: str = "Zoë Quinn") -> Any:
        customer = world.add_customer(name, emails=[{"normalized": "zoe@example.com", "primary": True}])
        return world.open_conversation(customer, at=ago(seconds_ago))

    return open_one


@pytest.fixture
def down() -> Fault:
    """What makes an end be down, in no time."""
    return DOWN
