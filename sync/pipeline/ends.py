"""
Both ends of an organization, Gladly and Segment, as cycles see them.

An end is reached through its client. Its `EndHealth` says what is wrong there, and for how long it is left
alone.
"""

import time
from collections.abc import Callable

import structlog

from state.findings import Condition
from sync.errors import (
    CredentialsRefusedError,
    EverythingRefusedError,
    GladlySegmentError,
    RetryableError,
    StoppedError,
)
from sync.gladly.client import GladlyClient
from sync.segment.client import SegmentClient

log = structlog.get_logger()

# What each end refuses, as the conditions of the state file call it.
_REFUSED = {"gladly": "refused token", "segment": "refused key"}

# A refused token or key is tried again this often. A person has to mend it, and need not restart anything.
REFUSED_PAUSE_S = 300.0


class EndHealth:
    """
    Keep what is wrong at one end, from cycle to cycle.

    Args:
        end: `gladly` or `segment`, for the log.
        refused_pause_s: How many seconds the end is left alone after it refused the credentials.

    Attributes:
        error: What is wrong there, as last found; None while all is well.
    """

    def __init__(self, end: str, refused_pause_s: float = REFUSED_PAUSE_S) -> None:
        self.end = end
        self.error: GladlySegmentError | None = None
        self._refused_pause_s = refused_pause_s
        self._pause_until = 0.0  # monotonic

    @property
    def is_paused(self) -> bool:
        """Return whether the end is left alone for now."""
        return self.error is not None and time.monotonic() < self._pause_until

    @property
    def condition_id(self) -> str:
        """Return the id of the condition that this end refuses the credentials, in the state file."""
        return f"{self.end}-credentials"

    @property
    def refusal(self) -> Condition | None:
        """Return the condition that this end refuses the credentials. Return None where it does not."""
        if not isinstance(self.error, CredentialsRefusedError | EverythingRefusedError):
            return None
        return Condition(self.condition_id, _REFUSED[self.end], str(self.error), "gladly-segment check")

    def attempt(self, work: Callable[[], None]) -> None:
        """
        Do *work*, unless the end is paused, and keep what goes wrong.

        Raises:
            StoppedError: A stop was asked for.
        """
        if self.is_paused:
            return
        try:
            work()
        except StoppedError:
            raise
        except GladlySegmentError as error:
            self.failed(error)
        else:
            self.worked()

    def failed(self, error: GladlySegmentError) -> None:
        """Keep *error*, and log it when it is a new one."""
        before, self.error = self.error, error
        self._pause_until = time.monotonic() + self.pause_s(error)
        if str(error) != str(before):
            log.error(f"{self.end}.failed", error=str(error))

    def worked(self) -> None:
        """Note that all is well, and log it when something was wrong before."""
        if self.error is not None:
            log.info(f"{self.end}.recovered")
        self.error = None

    def pause_s(self, error: GladlySegmentError) -> float:
        """
        Return how many seconds the end is left alone after *error*, beyond the next cycle's own interval.
        """
        if isinstance(error, CredentialsRefusedError):
            return self._refused_pause_s
        return (error.retry_after_s or 0.0) if isinstance(error, RetryableError) else 0.0


class Ends:
    """
    Hold both ends of one organization, and tell what they have answered (`EndFigures`).

    Args:
        gladly: Gladly's client.
        segment: Segment's client.
        refused_pause_s: How many seconds an end is left alone after it refused the credentials.

    Attributes:
        gladly_health: What is wrong at Gladly.
        segment_health: What is wrong at Segment.
    """

    def __init__(
        self, gladly: GladlyClient, segment: SegmentClient, refused_pause_s: float = REFUSED_PAUSE_S
    ) -> None:
        self.gladly = gladly
        self.segment = segment
        self.gladly_health = EndHealth("gladly", refused_pause_s)
        self.segment_health = EndHealth("segment", refused_pause_s)

    @property
    def answers(self) -> dict[str, dict[str, int]]:
        """Return the number of requests by end and status. The status is "none" when no answer came."""
        return {"gladly": dict(self.gladly.host.answers), "segment": dict(self.segment.host.answers)}

    @property
    def holds(self) -> int:
        """Return how often Gladly's rate limit made the sync wait."""
        return self.gladly.pacer.holds

    @property
    def errors(self) -> dict[str, GladlySegmentError | None]:
        """Return what is wrong at each end, as the last cycle found it."""
        return {health.end: health.error for health in (self.gladly_health, self.segment_health)}

    @property
    def request_count(self) -> int:
        """Return the number of requests to both ends. It grows while anything goes on."""
        return self.gladly.host.request_count + self.segment.host.request_count

    def close(self) -> None:
        """Close the pooled connections."""
        self.gladly.close()
        self.segment.close()
