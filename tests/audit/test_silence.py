"""A feed that fell silent at a busy time (semantics 6.4): a simulated week, watched and not watched."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from sandbox import Sandbox
from state.instants import to_text, utc_now
from state.reader import Reader
from support.state_file import rows

HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)


@pytest.fixture
def monday():
    """Nine o'clock, ten days ago: that day of the week is the one that this file calls Monday."""
    return utc_now().replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=10)


@pytest.fixture
def sandbox(monday):
    """A world whose clock moves when a test moves it, from half an hour before nine on."""
    with Sandbox(pace=0, start=monday - HOUR / 2, lateness_s=0, requests_per_second=None) as running:
        yield running


@pytest.fixture
def program(begin, tuned):
    tuned(cycle={"silence_every_s": 0.0})
    return begin()


@pytest.fixture
def at(program, sandbox):
    """
    Return a function that runs a cycle at an instant of the world.

    A new process does it, since a running one does not believe a clock that leaps. The second cycle judges
    what the first has written.
    """

    def run(instant):
        sandbox.clock.set(instant)
        program.restart()
        for _ in range(2):
            assert program.run().errors == []

    return run


@pytest.fixture
def busy(sandbox):
    """Return a function that lets twelve customers write in within the hour from an instant on."""

    def write_in(instant):
        sandbox.clock.set(instant + HOUR)
        for n in range(12):
            customer = sandbox.world.add_customer(f"Customer {n}", recorded=False)
            sandbox.world.open_conversation(customer, at=instant + n * timedelta(minutes=4))

    return write_in


@pytest.fixture
def a_busy_week(at, busy, monday):
    """Two busy hours on Monday, and a sync that watches until Sunday."""
    at(monday - HOUR / 2)
    busy(monday)
    busy(monday + HOUR)
    for hours in (3, 20, 40, 60, 80, 100, 120, 140):
        at(monday + hours * HOUR)


def listed(program):
    with Reader(program.path) as reader:
        return [need for need in reader.needs_attention() if need["what"] == "silent feed"]


def test_a_busy_time_without_changes_is_silence_until_one_comes(
    a_busy_week, at, busy, program, sandbox, monday
):
    """It is logged once, listed with since when, and ends by itself with the first change."""
    next_monday = monday + WEEK
    at(next_monday - HOUR)
    at(next_monday + HOUR + HOUR / 4)
    assert listed(program) == []  # one hour is not enough
    with capture_logs() as logs:
        at(next_monday + 2 * HOUR + HOUR / 4)
        at(next_monday + 5 * HOUR)  # a quiet time does not end it
    (line,) = [line for line in logs if line["event"] == "feed.silent"]
    assert line["since"] == to_text(next_monday)
    (need,) = listed(program)
    assert need["since"] == to_text(next_monday)
    assert need["command"] == f"gladly-segment resync --since {to_text(next_monday)}"
    busy(next_monday + 5 * HOUR)
    with capture_logs() as logs:
        at(next_monday + 6 * HOUR)
    assert [line["event"] for line in logs if line["event"].startswith("feed.")] == ["feed.resumed"]
    assert listed(program) == []


def test_a_week_like_the_one_before_is_no_silence(a_busy_week, at, busy, program, monday):
    """Nor is a night, or a Tuesday on which nobody wrote in the week before either."""
    next_monday = monday + WEEK
    at(next_monday - HOUR)
    busy(next_monday)
    busy(next_monday + HOUR)
    for hours in (2.25, 12, 26.25):
        at(next_monday + hours * HOUR)
        assert listed(program) == []


def test_what_the_sync_did_not_watch_is_no_silence(a_busy_week, at, program, monday):
    """It was stopped for over a day, and read the report. That proves nothing about the feed."""
    at(monday + WEEK + timedelta(days=2))
    assert listed(program) == []
    first_hour = to_text(monday + WEEK)
    assert rows(program.path, f"SELECT * FROM feed_hours WHERE hour = '{first_hour}'") == []


def test_hours_that_the_feed_shows_after_a_short_stop_were_watched(a_busy_week, at, program, monday):
    """The sync was stopped over the two hours, for less than a day. The feed has nothing of them."""
    at(monday + WEEK - HOUR)
    at(monday + WEEK + 2 * HOUR + HOUR / 4)
    assert [need["since"] for need in listed(program)] == [to_text(monday + WEEK)]
