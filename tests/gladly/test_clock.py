"""What is believed of Gladly's clock, of all that the clocks say (semantics 3.2)."""

import time
from datetime import timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from state.instants import utc_now
from sync.gladly.clock import GladlyClock, Moment

NOW = utc_now().replace(microsecond=0)
S, M, H, Y = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=365)
NOTHING = timedelta(0)


def moment(date=NOTHING, ours=NOTHING, after=NOTHING):
    """What the clocks say *after* the beginning, with `Date` and our clock off by so much."""
    return Moment(None if date is None else NOW + after + date, NOW + after + ours, after.total_seconds())


@pytest.mark.parametrize("off", [70 * S, 5 * M, 2 * H, Y])
def test_a_date_that_is_ahead_is_believed_no_further_than_our_clock(off):
    """For good, or in one answer."""
    clock = GladlyClock()
    for minutes in range(5):
        assert clock.believed(moment(date=off, after=minutes * M)) == NOW + minutes * M


@pytest.mark.parametrize("ours", [NOTHING, -5 * M, 3 * H, 2 * Y, -Y], ids=str)
@pytest.mark.parametrize("off", [70 * S, 2 * H, Y], ids=str)
def test_a_date_that_is_ahead_for_once_is_believed_no_further_than_time_can_have_passed(ours, off):
    """Whatever our clock says."""
    clock = GladlyClock()
    clock.prove(NOW, moment(ours=ours))
    assert clock.believed(moment(ours=ours)) == NOW
    assert clock.believed(moment(date=off, ours=ours, after=M)) == NOW + M
    assert clock.believed(moment(ours=ours, after=2 * M)) == NOW + 2 * M


def test_our_clock_is_no_witness_where_a_change_is_newer():
    """It is behind. It stays no witness while nothing happens, and is one again when it was set."""
    clock = GladlyClock()
    behind = moment(ours=-5 * M)
    assert clock.believed(behind) == NOW - 5 * M
    clock.prove(NOW - 20 * S, behind)
    assert clock.believed(behind) == NOW
    assert clock.believed(moment(ours=-5 * M, after=H)) == NOW + H
    assert clock.believed(moment(date=2 * H, ours=NOTHING, after=H)) == NOW + H


def test_a_change_of_the_future_proves_nothing():
    """The answer's own date contradicts it."""
    clock = GladlyClock()
    clock.prove(NOW + Y, moment())
    assert clock.believed(moment(date=2 * H)) == NOW


def test_a_date_that_is_behind_for_once_holds_no_later_one_back():
    """It costs one stretch, read again."""
    clock = GladlyClock()
    clock.prove(NOW, moment(ours=-5 * M))
    clock.believed(moment(ours=-5 * M))
    assert clock.believed(moment(date=-Y, ours=-5 * M, after=M)) == NOW + M - Y
    assert clock.believed(moment(ours=-5 * M, after=2 * M)) == NOW + 2 * M


def test_a_pause_of_the_machine_is_not_a_date_that_is_ahead():
    """Both other clocks say so."""
    clock = GladlyClock()
    clock.believed(moment())
    assert clock.believed(Moment(NOW + 2 * H, NOW + 2 * H, 1.0)) == NOW + 2 * H


def test_an_answer_of_a_cache_is_no_witness():
    """Its `Date` says nothing, and what is believed moves with the other clocks."""
    clock = GladlyClock()
    date = format_datetime(utc_now() + H, usegmt=True)
    assert clock.hear({"Date": date, "Age": "0"}).date is None
    assert clock.heard is None
    assert clock.hear({}).date is None
    assert clock.hear({"Date": date}).date is not None
    assert clock.heard is not None
    assert clock.believed(moment(date=None)) == NOW


@pytest.mark.parametrize("off", [-5 * M, 70 * S, Y])
def test_a_difference_is_said_once(off):
    """Whichever clock is wrong."""
    clock = GladlyClock()
    with capture_logs() as logs:
        for _ in range(3):
            clock.hear({"Date": format_datetime(utc_now() + off, usegmt=True)})
    (said,) = logs
    assert said["event"] == "clock.skewed"
    assert abs(said["seconds"] + off.total_seconds()) <= 2
    assert abs((clock.skew + off).total_seconds()) <= 2


def test_the_present_is_known_after_the_first_answer():
    """And goes on by itself."""
    clock = GladlyClock()
    assert clock.now() is None
    clock.believed(clock.hear({"Date": format_datetime(utc_now(), usegmt=True)}))
    first = clock.now()
    time.sleep(0.05)
    assert 0.04 < (clock.now() - first).total_seconds() < 5
