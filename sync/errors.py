"""
What can go wrong at the two ends, sorted by what the caller does next.

* GladlySegmentError
  x SettingsError            a person mends a setting (exit 2)
  x CredentialsRefusedError  a person mends a token or a key; nothing is lost meanwhile (exit 3)
  x RetryableError           the caller waits `retry_after_s`, then makes the same request again (exit 1)
  x UnexpectedAnswerError    the end understood the request and refused it, or somebody else answered (exit 1)
  x UnknownEntityError       the Events API does not know an entity; it is asked without it
  x NotFoundError            Gladly does not have the object; the caller decides what that means
  x TooOldError              the Events API does not reach back that far
  x StoppedError             the process was asked to stop; what was not committed is read again
"""


class GladlySegmentError(Exception):
    """
    Be an error whose message a user reads. The message says what, where and what to do, and holds no secret.
    """


class SettingsError(GladlySegmentError):
    """Say that one or more settings are wrong. `mistakes` holds a sentence for each."""

    def __init__(self, *mistakes: str) -> None:
        self.mistakes = mistakes
        super().__init__("\n".join(mistakes))


class CredentialsRefusedError(GladlySegmentError):
    """Say that Gladly or Segment answered 401 or 403."""


class RetryableError(GladlySegmentError):
    """
    Say that the same request may work later: a time-out, a broken connection, 408, 429 or 5xx.

    Attributes:
        retry_after_s: How many seconds the end asks to wait; None when it asks for nothing.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class UnexpectedAnswerError(GladlySegmentError):
    """Say that an answer is not what was asked for, and that repeating the request will not change it."""


class UnknownEntityError(UnexpectedAnswerError):
    """Say that Gladly refused one of the `entities` of the Events API (gladly-api, Events)."""


class NotFoundError(GladlySegmentError):
    """Say that Gladly answered 404 for one object."""


class TooOldError(GladlySegmentError):
    """Say that Gladly refused `startAt` as older than 24 hours (gladly-api, Events)."""


class StoppedError(GladlySegmentError):
    """Say that SIGTERM or SIGINT arrived."""
