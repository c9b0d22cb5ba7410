"""The retry policy: what is made again, how often, and after which wait."""

import time

import pytest

from sync.errors import RetryableError, StoppedError, UnexpectedAnswerError
from sync.http.retry import RetryPolicy
from sync.stop import Stop


class Waits(Stop):
    """A stop whose waits are noted and take no time."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def sleep(self, seconds):
        self.seconds.append(seconds)
        self.check()


class Request:
    """A request that fails with each error in turn, and then succeeds."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.made = 0

    def __call__(self):
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


def test_a_request_that_succeeds_is_made_once():
    """And nothing is waited for."""
    stop, request = Waits(), Request()
    assert RetryPolicy().retrying(stop)(request) == "answer"
    assert (request.made, stop.seconds) == (1, [])


def test_a_retryable_failure_is_made_again_after_growing_waits():
    """The waits are between half and all of 0.5, 1 and 2 seconds."""
    stop, request = Waits(), Request(*[RetryableError("busy")] * 3)
    assert RetryPolicy().retrying(stop)(request) == "answer"
    assert request.made == 4
    assert all(full / 2 <= waited <= full for waited, full in zip(stop.seconds, (0.5, 1, 2), strict=True))


def test_after_so_many_attempts_the_last_error_is_raised():
    """As it was, and not wrapped in another."""
    errors = [RetryableError(f"busy {n}") for n in range(9)]
    request = Request(*errors)
    with pytest.raises(RetryableError, match=r"^busy 2$") as raised:
        RetryPolicy(max_attempts=3).retrying(Waits())(request)
    assert raised.value is errors[2]
    assert request.made == 3


def test_any_other_error_is_raised_at_once():
    """Asking again would not change the answer."""
    request = Request(UnexpectedAnswerError("no"))
    with pytest.raises(UnexpectedAnswerError):
        RetryPolicy().retrying(Waits())(request)
    assert request.made == 1


def test_a_wait_that_the_host_asks_for_is_kept_and_a_little_more():
    """Hosts count whole seconds."""
    stop = Waits()
    RetryPolicy().retrying(stop)(Request(RetryableError("busy", retry_after_s=3.0)))
    (waited,) = stop.seconds
    assert 3.0 < waited <= 3.05


def test_a_wait_beyond_the_patience_is_left_to_the_next_cycle():
    """The error is raised at once, with the wait that the host asked for."""
    stop, request = Waits(), Request(RetryableError("busy", retry_after_s=60.0))
    with pytest.raises(RetryableError) as raised:
        RetryPolicy(patience_s=8.0).retrying(stop)(request)
    assert raised.value.retry_after_s == 60.0
    assert (request.made, stop.seconds) == (1, [])


def test_the_patience_counts_from_the_first_attempt():
    """Attempts that take long use it up as waits do."""

    def slow():
        time.sleep(0.06)
        raise RetryableError("busy")

    stop = Waits()
    policy = RetryPolicy(max_attempts=100, patience_s=0.2, first_backoff_s=0.001, longest_backoff_s=0.001)
    with pytest.raises(RetryableError):
        policy.retrying(stop)(slow)
    assert len(stop.seconds) <= 3


def test_a_stop_ends_a_wait():
    """With the error that says so, and no further attempt."""
    stop, request = Stop(), Request(RetryableError("busy", retry_after_s=5.0))

    def and_stop():
        stop.set()
        return request()

    began = time.monotonic()
    with pytest.raises(StoppedError):
        RetryPolicy().retrying(stop)(and_stop)
    assert time.monotonic() - began < 2
    assert request.made == 1


def test_one_object_serves_any_number_of_requests():
    """Also a request that is made while another one is retried."""
    retrying = RetryPolicy().retrying(Waits())
    inner, outer = Request(RetryableError("inner")), Request(RetryableError("outer"))
    assert retrying(lambda: (outer(), retrying(inner))) == ("answer", "answer")
    assert (outer.made, inner.made) == (2, 2)


def test_the_wait_grows_with_each_attempt_up_to_a_cap():
    """Between half and all of 0.5, 1, 2, 4, 4, … seconds, however often it is tried (faults D11)."""
    backoff_s = RetryPolicy().backoff_s
    for attempt, full in enumerate((0.5, 1.0, 2.0, 4.0, 4.0, 4.0), 1):
        drawn = [backoff_s(attempt) for _ in range(200)]
        assert 0.5 * full <= min(drawn) < 0.6 * full
        assert 0.9 * full < max(drawn) <= full
    assert backoff_s(1_000) <= 4.0
    assert backoff_s(100_000) <= 4.0
