"""
What can go wrong at the two ends, sorted by what the caller does next.

* GladlySegmentError
  x SettingsError            a person corrects a setting (exit 2)
  x CredentialsRefusedError  a person corrects a token or a key; nothing is lost meanwhile (exit 3)
  x RetryableError           the caller waits `retry_after_s`, then makes the same request again (exit 1)
  x UnexpectedAnswerError    the end understood and refused the request, or another server answered (exit 1)
  x ForbiddenError         Gladly does not show the object; the token may be right all the same
  x EverythingRefusedError   Segment takes no event at all; the write key or the address may be wrong
  x UnknownEntityError       the Events API does not know an entity; it is asked without it
  x NotFoundError            Gladly does not have the object; the caller decides what that means
  x TooOldError              the Events API does not reach back that far
  x BrokenPartError          a part of the program failed; the other parts go on (exit 1)
  x StoppedError             the process was asked to stop; what was not committed is read again
"""


class GladlySegmentError(Exception):
    """
    Carry a message that a user reads: what is wrong, where, and what to do. The message holds no secret.
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
        retry_after_s: How many seconds the end asks to wait; None when it does not ask.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


class RateLimitedError(RetryableError):
    """Say that Gladly answered 429, or asks for a wait that is longer than our patience."""


class UnexpectedAnswerError(GladlySegmentError):
    """Say that an answer is not the one that was asked for, and that another attempt will not help."""


class ForbiddenError(GladlySegmentError):
    """Say that Gladly answered 401 or 403 to the request for one object or one list."""


class EverythingRefusedError(UnexpectedAnswerError):
    """Say that Segment refused every event that was tried: the write key or the address may be wrong."""


class UnknownEntityError(UnexpectedAnswerError):
    """Say that Gladly refused one of the `entities` of the Events API (gladly-api, Events)."""


class NotFoundError(GladlySegmentError):
    """Say that Gladly answered 404 for one object."""


class TooOldError(GladlySegmentError):
    """Say that Gladly refused `startAt` as older than 24 hours (gladly-api, Events)."""


class BrokenPartError(GladlySegmentError):
    """Say that a part of the program itself failed, in a way that nobody expected. The other parts go on."""


class StoppedError(GladlySegmentError):
    """Say that SIGTERM or SIGINT arrived."""
