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
from typing import NamedTuple

from sync.errors import RateLimitedError
from sync.stop import Stop


class Yielding(NamedTuple):
    """
    Say how far the pace goes down while another client needs the requests, and how it comes back.

    Attributes:
        low: Below this share of what may be left in a second, the pace goes down.
        high: From this share on, it comes back. In between it stays.
        less: What the pace is multiplied with when little is left.
        less_after_a_refusal: The same after a 429.
        each_s: It goes down once in so many seconds, because the answers to one burst say the same.
        back_s: It comes back from nothing to the whole pace in so many seconds.
        least: The least pace, as a share of the whole one.
    """

    low: float = 0.25
    high: float = 0.5
    less: float = 0.8
    less_after_a_refusal: float = 0.5
    each_s: float = 0.5
    back_s: float = 30.0
    least: float = 0.03


DEFAULT_YIELDING = Yielding()


class Pacer:
    """
    Let one request pass every `1 / requests_per_second` seconds, or fewer while another client needs them.

    The limit is a shared one. So what Gladly says is left of it makes the pace go down and come back. A
    client that only waits out each refusal would cause one in three (bench/PROFILE.md).

    Requests are evenly spaced, because Gladly's limit is described as a leaky bucket: a burst of ten can be
    refused even when ten a second are allowed (Gladly REST API, rate limit). Threads take turns under one
    lock, so a hold also holds back the threads that already wait.

    Args:
        requests_per_second: The pace, over all threads.
        stop: Ends a wait when it is set.
        patience_s: A hold longer than this is not waited out (`RetryPolicy.patience_s`).
        yielding: How the pace yields to other clients.

    Attributes:
        holds: How often Gladly made us wait.
    """

    def __init__(
        self,
        requests_per_second: float,
        stop: Stop,
        *,
        patience_s: float,
        yielding: Yielding = DEFAULT_YIELDING,
    ) -> None:
        self._whole_interval_s = 1.0 / requests_per_second
        self._yielding = yielding
        self._changing = threading.Lock()
        self._share = 1.0  # of the whole pace
        self._less_at = self._heard_at = 0.0  # monotonic: when the pace last went down; when it was last told
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
            interval_s = self._whole_interval_s / self._share
            self._free_at = max(self._free_at, now - interval_s / 2) + interval_s
            self._last_second.append(now)
            while len(self._last_second) > self._most or self._last_second[0] <= now - 2.0:
                self._last_second.popleft()

    def _next_at(self) -> float:
        """Return when the next request may pass: in turn, after any hold, within a second's limit."""
        at = max(self._free_at, self._held_until)
        if len(self._last_second) >= self._most:
            at = max(at, self._last_second[-self._most] + 1.0)
        return at

    def heard(self, left: float | None) -> None:
        """
        Let the pace go down or come back, after an answer.

        Args:
            left: The share of the requests of a second that is left; None where the answer does not say.
        """
        how = self._yielding
        if left is not None and left < how.low:
            self._go_down(how.less)
            return
        with self._changing:
            now = time.monotonic()
            since_s, self._heard_at = min(1.0, now - self._heard_at), now
            if left is None or left >= how.high:
                self._share = min(1.0, self._share + since_s / how.back_s)

    def refused(self) -> None:
        """Let the pace go down after a 429."""
        self._go_down(self._yielding.less_after_a_refusal)

    def _go_down(self, factor: float) -> None:
        with self._changing:
            now = self._heard_at = time.monotonic()
            if now - self._less_at >= self._yielding.each_s:
                self._less_at = now
                self._share = max(self._yielding.least, self._share * factor)

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
