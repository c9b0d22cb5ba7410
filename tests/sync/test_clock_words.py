"""What depends on the time of day: ages in `status`, instants given as ages, waits given as dates."""

from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time
from urllib3 import HTTPResponse

from state.instants import parse_instant, utc_now
from state.queries.status import is_behind
from state.reader import read_status
from state.store import Store
from sync.http.host import LONGEST_RETRY_AFTER_S, retry_after_s

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


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT", "Date": "Fri, 20 Nov 2026 12:00:20 GMT"}, 10.0),
        ({"Retry-After": "Fri, 20 Nov 2026 11:00:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "4"}, 4.0),
        ({"Retry-After": "10000000000"}, LONGEST_RETRY_AFTER_S),
    ],
    ids=str,
)
@freeze_time(NOON)
def test_a_host_is_believed_about_a_wait_that_makes_sense(headers, expected):
    """Seconds or a date, by the host's own clock where it tells it; never for longer than the cap (A17)."""
    assert retry_after_s(HTTPResponse(headers=headers)) == expected
