"""Define the retry policy: a value that is passed to each client."""

import random
from typing import NamedTuple

import tenacity

from sync.errors import RetryableError
from sync.stop import Stop


class RetryPolicy(NamedTuple):
    """
    Say how often a failed request is made again, and how long to wait between two attempts.

    The policy holds for each end. So a cycle ends within 20 seconds even when both ends are down (interface
    2).

    Attributes:
        max_attempts: The largest number of attempts, the first one included.
        patience_s: A wait must end within this time after the first attempt began. A longer wait is left to
            the next cycle.
        first_backoff_s: The wait after the first failed attempt. Every further wait is twice as long.
        longest_backoff_s: The waits grow no longer than this.
        longest_retry_after_s: When a host asks for a longer wait, this one is used.
    """

    max_attempts: int = 5
    patience_s: float = 8.0
    first_backoff_s: float = 0.5
    longest_backoff_s: float = 4.0
    longest_retry_after_s: float = 900.0

    def retrying(self, stop: Stop) -> tenacity.Retrying:
        """
        Return an object that makes requests under this policy: `retrying(stop)(request)` returns what
        `request()` returns.

        Only a `RetryableError` leads to another attempt. The last attempt's error is raised. One such object
        serves any number of requests, also from several threads.

        Args:
            stop: Ends a wait with `StoppedError` when it is set.
        """

        def is_enough(state: tenacity.RetryCallState) -> bool:
            waited_s = (state.seconds_since_start or 0.0) + state.upcoming_sleep
            return state.attempt_number >= self.max_attempts or waited_s >= self.patience_s

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(RetryableError),
            stop=is_enough,
            wait=self._wait_s,
            sleep=stop.sleep,
            reraise=True,
        )

    def backoff_s(self, attempt: int) -> float:
        """
        Return how many seconds to wait after a failed attempt.

        The wait is random, between half of the back-off and all of it, so that instances that failed together
        do not try again together.

        Args:
            attempt: Which attempt failed; 1 is the first.
        """
        # 2.0**64 seconds is longer than any back-off. A much greater power would overflow a float.
        grown_s = self.first_backoff_s * 2.0 ** min(attempt - 1, 64)
        return min(self.longest_backoff_s, grown_s) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        backoff_s = self.backoff_s(state.attempt_number)
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.retry_after_s if isinstance(error, RetryableError) else None
        # A little longer than asked: hosts count whole seconds, and other clients wait for the same instant.
        return backoff_s if asked_s is None else asked_s + 0.1 * backoff_s
