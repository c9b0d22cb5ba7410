"""
What can go wrong at the two ends, by what the caller does next.

* GladlySegmentError
  x SettingsError            a person mends a setting (exit 2)
  x CredentialsRefusedError  a person mends a token or a key; nothing is lost meanwhile (exit 3)
  x RetryableError           wait `retry_after_s`, then make the same call again (exit 1)
  x UnexpectedAnswerError    the call was understood and refused, or not answered by who it should be (exit 1)
  x NotFoundError            the object is gone: the caller decides what that means
  x TooOldError              the Events API does not reach back that far
  x StoppedError             the process was asked to stop; what was not committed is read again
"""


class GladlySegmentError(Exception):
    """Any error whose message a user reads: what, where, what to do; never a secret."""


class SettingsError(GladlySegmentError):
    """One setting or several are wrong; `mistakes` holds a sentence for each."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


class CredentialsRefusedError(GladlySegmentError):
    """Gladly or Segment answered 401 or 403."""


class RetryableError(GladlySegmentError):
    """A time-out, a broken connection, 408, 429 or 5xx: the same call may work later."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class UnexpectedAnswerError(GladlySegmentError):
    """An answer that repeating the call will not change."""


class NotFoundError(GladlySegmentError):
    """Gladly answered 404 for one object."""


class TooOldError(GladlySegmentError):
    """Gladly refused `startAt` as older than 24 hours (Gladly REST API, Events)."""


class StoppedError(GladlySegmentError):
    """SIGTERM or SIGINT arrived."""
