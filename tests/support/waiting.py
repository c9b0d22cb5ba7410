"""Wait for something that another thread or process does."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def wait_until(happened: Callable[[], Found], timeout_s: float = 30.0) -> Found:
    """Wait until *happened* returns something true, and return that. Fail after *timeout_s* seconds."""
    deadline = time.monotonic() + timeout_s
    while not (found := happened()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found
