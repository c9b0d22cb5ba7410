"""What depends on the time of day: ages in `status`, and instants given as ages."""

from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from state.instants import parse_instant, utc_now
from state.queries.status import is_behind
from state.reader import read_status
from state.store import Store

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def standing(tmp_path):
    """A state file whose watermark stands at noon."""
    path = tmp_path / "state.db"
    with Store(path) as store:
        store.reset_watermark(NOON)
    return path


@pytest.mark.parametrize(
    ("hours", "lag_s", "left_s"),
    [
        pytest.param(0, 0, 86_400, id="now"),
        pytest.param(6, 21_600, 64_800, id="six hours later"),
        pytest.param(30, 108_000, 0, id="older than the Events API reaches: nothing left, never less"),
    ],
)
def test_the_gap_clock_runs_down(standing, hours, lag_s, left_s):
    """The time left until the gap is older than the Events API's 24 hours (interface 2)."""
    with freeze_time(NOON + timedelta(hours=hours)):
        found = read_status(standing, utc_now())
    assert (found["lag_seconds"], found["gap_seconds_left"]) == (lag_s, left_s)


def test_a_health_check_fails_once_the_watermark_is_too_old(standing):
    """Up to and including the limit it holds."""
    with freeze_time(NOON) as clock:
        assert is_behind(read_status(standing, utc_now()), timedelta(minutes=10)) is None
        clock.tick(timedelta(minutes=10))
        assert is_behind(read_status(standing, utc_now()), timedelta(minutes=10)) is None
        clock.tick(timedelta(seconds=1))
        assert is_behind(read_status(standing, utc_now()), timedelta(minutes=10)) is not None


@freeze_time(NOON)
def test_an_age_is_an_instant_before_now():
    """`36h` in a setting or an option."""
    assert parse_instant("36h", utc_now()) == datetime(2026, 11, 19, tzinfo=UTC)
