"""How many requests a service takes in a stretch of real time."""

import math
import threading
import time


class Bucket:
    """
    A leaky bucket: *amount* requests at once, refilled evenly over *period_s* real seconds.

    Gladly's help pages describe its limit so. A client that spaces its requests evenly is never refused.
    """

    def __init__(self, amount: float, period_s: float) -> None:
        self.amount = amount
        self._refill_per_s = amount / period_s
        self._lock = threading.Lock()
        self._left = float(amount)
        self._at = time.monotonic()

    def take(self) -> tuple[bool, int, float]:
        """Take one: whether there was one, how many are left, and seconds until there is one again."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self.amount, self._left + (now - self._at) * self._refill_per_s)
            self._at = now
            taken = self._left >= 1
            if taken:
                self._left -= 1
            wait_s = 0.0 if self._left >= 1 else (1 - self._left) / self._refill_per_s
            return taken, math.floor(self._left), wait_s
