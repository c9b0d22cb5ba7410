"""
Pace the requests to Gladly, over all threads.

The limit is the organization's, and shared with its other integrations. So what Gladly says with each answer
(`Ratelimit-Remaining-Second`, `Retry-After`) has to hold all threads back. The limiters made for `requests`
cannot be told this, so the pacer is our own.
"""

import math
import threading
import time
from collections import deque

from sync.errors import RateLimitedError
from sync.stop import Stop


class Pacer:
    """
    Let one request pass every `1 / requests_per_second` seconds.

    Requests are evenly spaced, because Gladly's limit is described as a leaky bucket: a burst of ten can be
    refused even when ten a second are allowed (Gladly REST API, rate limit). Threads take turns under one
    lock, so a hold also holds back the threads that already wait.

    Args:
        requests_per_second: The pace, over all threads.
        stop: Ends a wait when it is set.
        patience_s: A hold longer than this is not waited out (`RetryPolicy.patience_s`).

    Attributes:
        holds: How often Gladly made us wait.
    """

    def __init__(self, requests_per_second: float, stop: Stop, *, patience_s: float) -> None:
        self._interval_s = 1.0 / requests_per_second
        self._most = math.ceil(requests_per_second)  # in any second
        self._stop = stop
        self._patience_s = patience_s
        self._turn = threading.Lock()
        self._free_at = 0.0  # monotonic: when the next request may pass
        self._held_until = 0.0  # monotonic: nothing passes before, because Gladly said so
        self._last_second: deque[float] = deque()  # when those of the last second passed
        self.holds = 0

    def wait(self) -> None:
        """
        Wait for this thread's turn.

        Raises:
            RateLimitedError: Gladly asked for a wait that is longer than `patience_s`.
            StoppedError: A stop was asked for during the wait.
        """
        with self._turn:
            while (delay := self._next_at() - (now := time.monotonic())) > 0:
                if self._held_until - now > self._patience_s:
                    left = self._held_until - now
                    raise RateLimitedError(f"Gladly asks to wait {left:.0f} s more.", retry_after_s=left)
                self._stop.wait(delay)
                self._stop.check()
            # A sleep that was a little late does not move the schedule. A pause begins a new one.
            self._free_at = max(self._free_at, now - self._interval_s / 2) + self._interval_s
            self._last_second.append(now)
            while len(self._last_second) > self._most or self._last_second[0] <= now - 2.0:
                self._last_second.popleft()

    def _next_at(self) -> float:
        """Return when the next request may pass: in turn, after any hold, within a second's limit."""
        at = max(self._free_at, self._held_until)
        if len(self._last_second) >= self._most:
            at = max(at, self._last_second[-self._most] + 1.0)
        return at

    def hold(self, seconds: float) -> None:
        """Let nothing pass for *seconds*, because Gladly answered 429."""
        self.holds += 1
        self._held_until = max(self._held_until, time.monotonic() + seconds)

    def hold_for_this_second(self) -> None:
        """Let nothing pass until our part of Gladly's second is over (`Ratelimit-Remaining-Second: 0`)."""
        now = time.monotonic()
        passed = [at for at in list(self._last_second) if at > now - 1.0]
        if passed:
            self.hold(passed[0] + 1.0 - now)
