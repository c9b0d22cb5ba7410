"""A limit on the number of requests that a service takes in a period of real time."""

import math
import threading
import time
from typing import NamedTuple


class Taken(NamedTuple):
    """
    The answer of a bucket that was asked for one request.

    Attributes:
        allowed: Whether the request is allowed.
        left: How many whole requests are left.
        wait_s: Real seconds until the next request is allowed; 0 when one is allowed now.
    """

    allowed: bool
    left: int
    wait_s: float


class LeakyBucket:
    """
    A bucket that holds *amount* requests and is refilled evenly over *period_s* real seconds.

    Gladly's help pages describe its limit in this way. A client that spaces its requests evenly is never
    refused.

    Args:
        amount: How many requests may come at once.
        period_s: How long an empty bucket takes to fill.
    """

    def __init__(self, amount: float, period_s: float) -> None:
        self.amount = amount
        self._refill_per_s = amount / period_s
        self._lock = threading.Lock()
        self._left = float(amount)
        self._at = time.monotonic()

    def take(self) -> Taken:
        """Take one request out of the bucket, when it holds one."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self.amount, self._left + (now - self._at) * self._refill_per_s)
            self._at = now
            allowed = self._left >= 1
            if allowed:
                self._left -= 1
            wait_s = 0.0 if self._left >= 1 else (1 - self._left) / self._refill_per_s
            return Taken(allowed, math.floor(self._left), wait_s)
