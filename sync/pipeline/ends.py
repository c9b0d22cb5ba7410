"""One end, Gladly or Segment, as cycles see it: what is wrong there, and until when it is left alone."""

import time
from collections.abc import Callable

import structlog

from sync.errors import CredentialsRefusedError, GladlySegmentError, RetryableError, StoppedError

log = structlog.get_logger()

# A refused token or key is tried again this often: a person has to mend it, and need not restart anything.
REFUSED_PAUSE_S = 300.0


class Side:
    """
    Args:
        name: `gladly` or `segment`, for the log.

    Attributes:
        error: What is wrong there, as last found; None while all is well.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: GladlySegmentError | None = None
        self._pause_until = 0.0

    @property
    def is_paused(self) -> bool:
        """Whether it is left alone for now."""
        return self.error is not None and time.monotonic() < self._pause_until

    def attempt(self, work: Callable[[], None]) -> None:
        """Do *work* unless the side is paused, and keep what went wrong."""
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
        """Keep *error*, and say so when it is a new one."""
        before, self.error = self.error, error
        self._pause_until = time.monotonic() + pause_s(error)
        if str(error) != str(before):
            log.error(f"{self.name}.failed", error=str(error))

    def worked(self) -> None:
        """All is well, again or still."""
        if self.error is not None:
            log.info(f"{self.name}.recovered")
        self.error = None


def pause_s(error: GladlySegmentError) -> float:
    """How many seconds an end is left alone after *error*, the next cycle's own interval apart."""
    if isinstance(error, CredentialsRefusedError):
        return REFUSED_PAUSE_S
    return (error.retry_after_s or 0.0) if isinstance(error, RetryableError) else 0.0
