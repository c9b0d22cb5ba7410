"""What `status` says depends on the time of day, and is the same with and without a file."""

from datetime import UTC, datetime, timedelta

import pytest
from freezegun import freeze_time

from state.instants import parse_instant, utc_now
from state.queries.status import empty_status, is_behind
from state.reader import read_status
from state.records import Status
from state.store import Store
from support.state_samples import commit, conversation, event

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


def test_without_a_file_the_status_is_that_of_an_empty_one(tmp_path):
    """The first cycle has not made it yet, or was cut short: the same keys, and nothing counted."""
    missing, empty = tmp_path / "missing.db", tmp_path / "empty.db"
    Store(empty).close()
    assert read_status(missing, NOON) == read_status(empty, NOON) == empty_status()
    assert not missing.exists()


def test_a_waiting_conversation_is_open_and_an_event_waits_since_it_was_put_into_the_outbox(path, store):
    """An event of three hours ago that a resync has just taken in is not late."""
    long_ago = utc_now() - timedelta(hours=3)
    commit(
        store,
        event("m-1", at=long_ago),
        conversations=[conversation("c-1", status=Status.WAITING), conversation("c-2")],
    )
    found = read_status(path, utc_now())
    assert (found["conversations"]["open"], found["conversations"]["waiting"]) == (2, 1)
    assert 0 <= found["oldest_pending_seconds"] < 60
    assert is_behind(found | {"lag_seconds": 0.0}, timedelta(minutes=5)) is None
