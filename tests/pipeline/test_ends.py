"""What is wrong at an end, for how long it is left alone, and what both ends have answered."""

import time

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from support.ends import ends_of
from sync.errors import CredentialsRefusedError, RetryableError, StoppedError


@pytest.fixture
def ends(sandbox):
    with ends_of(sandbox, refused_pause_s=0.2) as made:
        yield made


def ask(ends):
    """Ask Gladly something, as a cycle does its work."""
    ends.gladly_health.attempt(ends.gladly.prove_the_token)


def said(logs):
    """Return what was logged of the ends' health: the event and the error."""
    return [(line["event"], line.get("error", "")) for line in logs if line["event"] != "request"]


def test_an_error_is_kept_until_the_end_works_again(ends, sandbox):
    """It is logged when it begins and when it is over, and once in between."""
    sandbox.faults.add("gladly", "*", Fault(503, times=2))
    with capture_logs() as logs:
        ask(ends)
        assert isinstance(ends.gladly_health.error, RetryableError)
        ask(ends)
        ask(ends)
        ask(ends)
    assert ends.errors == {"gladly": None, "segment": None}
    failed, recovered = said(logs)
    assert (failed[0], recovered) == ("gladly.failed", ("gladly.recovered", ""))
    assert "answered 503" in failed[1]


def test_another_error_is_logged_again(ends, sandbox):
    """The end is still down, for another reason."""
    for status in (503, 500, 500):
        sandbox.faults.add("gladly", "*", Fault(status))
    with capture_logs() as logs:
        for _ in range(3):
            ask(ends)
    (_, first), (_, second) = said(logs)
    assert "answered 503" in first
    assert "answered 500" in second


def test_an_end_that_refuses_the_credentials_is_left_alone_for_a_while(ends, sandbox):
    """Nothing is asked of it until the pause is over. Then it may have been mended."""
    sandbox.faults.add("gladly", "*", Fault(401))
    ask(ends)
    begun = time.monotonic()
    assert isinstance(ends.errors["gladly"], CredentialsRefusedError)
    while ends.gladly_health.is_paused:
        ask(ends)
        time.sleep(0.01)
    assert 0.1 < time.monotonic() - begun < 2
    assert len(sandbox.gladly_requests) == 1
    ask(ends)
    assert len(sandbox.gladly_requests) == 2
    assert ends.gladly_health.error is None


def test_an_end_that_asks_for_a_wait_gets_it(ends, sandbox, down):
    """The other end is not concerned."""
    sandbox.faults.add("gladly", "*", down)
    ask(ends)
    error = ends.gladly_health.error
    assert ends.gladly_health.pause_s(error) == 600
    assert (ends.gladly_health.is_paused, ends.segment_health.is_paused) == (True, False)
    ends.segment_health.attempt(ends.segment.reach)
    assert ends.errors == {"gladly": error, "segment": None}


def test_an_end_that_is_down_without_a_wish_is_tried_in_the_next_cycle(ends, sandbox):
    """A cycle's own interval is pause enough."""
    sandbox.faults.add("gladly", "*", Fault(503))
    ask(ends)
    assert ends.gladly_health.error is not None
    assert not ends.gladly_health.is_paused


def test_a_stop_is_no_fault_of_the_end(ends):
    """It passes through to whoever asked for the work."""

    def stopped():
        raise StoppedError

    with pytest.raises(StoppedError):
        ends.gladly_health.attempt(stopped)
    assert ends.gladly_health.error is None


def test_the_answers_of_both_ends_are_counted(ends, sandbox):
    """By status, and with the waits that Gladly has asked for."""
    sandbox.faults.add("gladly", "*", Fault(429, headers={"Retry-After": "0"}))
    sandbox.faults.add("segment", "*", Fault(503))
    ask(ends)
    ask(ends)
    ends.segment_health.attempt(ends.segment.reach)
    assert ends.answers == {"gladly": {"429": 1, "200": 1}, "segment": {"503": 1}}
    assert (ends.holds, ends.request_count) == (1, 3)
    assert ends.request_count == len(sandbox.gladly_requests) + len(sandbox.segment_requests)
