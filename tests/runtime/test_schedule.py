"""When cycles run: at once, then on schedule, never two at a time, and after the clock has jumped."""

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from state.instants import LONGEST_DURATION
from support.waiting import wait_until
from sync.runtime.schedule import NextRun, Schedule, longest_interval, next_run_of
from sync.settings.sections import SyncSettings


@contextmanager
def scheduled(run_cycle, **settings):
    """Run cycles by these settings for the time of a block."""
    schedule = Schedule(SyncSettings(**settings), run_cycle, lambda: None, 60.0)
    schedule.start()
    try:
        yield schedule
    finally:
        schedule.stop()


def test_the_first_cycle_runs_at_once_and_the_others_an_interval_apart():
    """In a thread of the schedule's own."""
    runs = []

    def run():
        runs.append((time.monotonic(), threading.current_thread()))

    begun = time.monotonic()
    with scheduled(run, every=timedelta(seconds=0.3)):
        wait_until(lambda: len(runs) >= 4)
    moments = [at for at, _ in runs]
    assert moments[0] - begun < 0.25
    assert moments[3] - moments[0] >= 0.85
    assert threading.main_thread() not in {thread for _, thread in runs}


def test_a_cycle_that_takes_long_is_followed_by_one_and_overlaps_none():
    """Those that fell due meanwhile become one. The log says that they were missed."""
    begun, ended = [], []

    def run():
        begun.append(time.monotonic())
        time.sleep(0.5 if len(begun) == 1 else 0.0)
        ended.append(time.monotonic())

    with capture_logs() as logs, scheduled(run, every=timedelta(seconds=0.1)):
        wait_until(lambda: len(ended) >= 4)
    assert all(end <= start for end, start in zip(ended, begun[1:], strict=False))
    assert begun[3] - ended[0] >= 0.1
    missed = {line["reason"] for line in logs if line["event"] == "cycle.missed"}
    assert missed == {"the one before it was still running"}


def test_the_next_cycle_is_known():
    """The first cycle comes first, then an interval later the second."""
    ran = threading.Event()
    schedule = Schedule(SyncSettings(every=timedelta(hours=1)), ran.set, lambda: None, 60.0)
    assert abs(schedule.next_cycle - datetime.now(UTC)) < timedelta(seconds=5)
    schedule.start()
    assert ran.wait(10)
    wait_until(lambda: schedule.next_cycle > datetime.now(UTC) + timedelta(minutes=59))
    assert schedule.next_cycle < datetime.now(UTC) + timedelta(minutes=61)
    schedule.stop()


def test_a_cron_line_is_read_in_utc(monkeypatch):
    """In any zone of the host. The first cycle runs at once here too."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    ran = threading.Event()
    try:
        with scheduled(ran.set, cron="30 4 * * *") as schedule:
            assert ran.wait(10)
            wait_until(lambda: schedule.next_cycle.minute == 30)
            planned = schedule.next_cycle.astimezone(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert (planned.hour, planned.minute) == (4, 30)
    assert timedelta(0) < planned - datetime.now(UTC) <= timedelta(days=1)


@pytest.mark.parametrize("jump_s", [3_600, -3_600])
def test_after_a_jump_of_the_clock_a_cycle_runs_at_once(monkeypatch, jump_s):
    """Otherwise a clock put back by an hour would make it wait for an hour (faults E2)."""
    runs = []
    with capture_logs() as logs, scheduled(lambda: runs.append(1), every=timedelta(hours=1)) as schedule:
        wait_until(lambda: len(runs) == 1)
        wait_until(lambda: schedule.next_cycle > datetime.now(UTC))
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump_s)
        schedule.follow_the_clock()
        schedule.follow_the_clock()
        wait_until(lambda: len(runs) == 2)
    assert [line["seconds"] for line in logs if line["event"] == "clock.jumped"] == [jump_s]


def test_a_clock_that_is_corrected_a_little_changes_no_plan(monkeypatch):
    """NTP moves it by parts of a second all the time."""
    runs = []
    with capture_logs() as logs, scheduled(lambda: runs.append(1), every=timedelta(hours=1)) as schedule:
        wait_until(lambda: len(runs) == 1)
        wait_until(lambda: schedule.next_cycle > datetime.now(UTC))
        planned, now = schedule.next_cycle, time.time
        monkeypatch.setattr(time, "time", lambda: now() + 1.5)
        schedule.follow_the_clock()
        assert schedule.next_cycle == planned
    assert (runs, [line for line in logs if line["event"] == "clock.jumped"]) == ([1], [])


def test_after_its_end_no_cycle_begins():
    """A cycle under way is not waited for."""
    begun, go_on = threading.Event(), threading.Event()
    runs = []

    def run():
        runs.append(1)
        begun.set()
        go_on.wait(10)

    schedule = Schedule(SyncSettings(every=timedelta(seconds=0.1)), run, lambda: None, 60.0)
    schedule.start()
    assert begun.wait(10)
    at = time.monotonic()
    schedule.stop()
    assert time.monotonic() - at < 2
    go_on.set()
    time.sleep(0.4)
    assert runs == [1]


NOW = datetime(2026, 11, 28, 8, 0, 0, tzinfo=UTC)

SETTINGS = [
    pytest.param(SyncSettings(every=timedelta(seconds=1)), id="every second"),
    pytest.param(SyncSettings(every=timedelta(seconds=0.05)), id="twenty times a second"),
    pytest.param(SyncSettings(every=LONGEST_DURATION), id="every hundred years"),
    pytest.param(SyncSettings(cron="* * * * *"), id="every minute by cron"),
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize(
    "last", [datetime(1970, 1, 1, tzinfo=UTC), NOW - timedelta(days=3_650), NOW, NOW + timedelta(days=3_650)]
)
def test_the_next_run_is_the_first_one_after_now(settings, last):
    """The runs missed since *last* are not listed one by one (faults H2.4)."""
    interval = timedelta(minutes=1) if settings.cron else settings.every
    found = NextRun(next_run_of(settings)).get_next_fire_time(last, NOW)
    assert found > NOW
    if last <= NOW:
        assert found - NOW <= interval
        assert (found - last) % interval == timedelta(0)


@pytest.mark.parametrize(
    ("settings", "longest"),
    [
        pytest.param({"every": timedelta(seconds=15)}, timedelta(seconds=15), id="every 15 s"),
        pytest.param({"cron": "* * * * *"}, timedelta(minutes=1), id="each minute"),
        pytest.param({"cron": "0,10 * * * *"}, timedelta(minutes=50), id="twice an hour"),
        pytest.param({"cron": "*/5 8-18 * * 1-5"}, timedelta(days=2, hours=13, minutes=5), id="a weekend"),
        pytest.param({"cron": "0 3 * * *"}, timedelta(days=1), id="once a day"),
        pytest.param({"cron": "30 4 1 * *"}, timedelta(days=31), id="once a month"),
        pytest.param({"cron": "0 0 29 2 *"}, timedelta(days=1_461), id="in leap years"),
    ],
)
def test_the_longest_time_between_two_cycles_is_known(settings, longest):
    """Nights and weekends on which a crontab has no time count, from whatever moment it is asked."""
    for at in (datetime(2026, 11, 28, 12, 3, tzinfo=UTC), datetime(2026, 11, 23, 9, 0, tzinfo=UTC)):
        assert longest_interval(SyncSettings(**settings), at) == longest
