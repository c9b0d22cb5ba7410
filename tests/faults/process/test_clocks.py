"""Clocks are wrong, jump or are in another zone, or a poll takes longer than its interval (faults E1-E4)."""

import signal
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text
from support.checker import problems
from support.installation import Installation
from support.measuring import cpu_seconds, peak_bytes
from support.processes import cycles_of, ends_within, running, stderr_of
from support.recovery import assert_nothing_lost
from support.state_file import rows
from support.waiting import wait_until
from support.worlds import history

pytestmark = pytest.mark.long


_LIBRARIES = "/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"


def _another_clock(installation: Installation, offset_s: float) -> Path:
    """
    Set the program's clock off by that many seconds, by libfaketime. Return the file that holds the offset.
    """
    found = [file for pattern in _LIBRARIES for file in Path("/").glob(pattern.lstrip("/"))]
    if not found:
        pytest.skip("libfaketime is not installed (package faketime)")
    says = installation.directory / "clock.txt"
    says.write_text(f"{offset_s:+.0f}\n")
    installation.settings |= {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(says),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    return says


OFFSETS = [
    pytest.param(timedelta(minutes=5), id="five minutes ahead"),
    pytest.param(timedelta(minutes=-5), id="five minutes behind"),
    pytest.param(timedelta(days=3), id="three days ahead"),
    pytest.param(timedelta(days=-3), id="three days behind"),
]


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_wrong_clock_loses_nothing(tmp_path, offset):
    """
    The watermark is behind Gladly's clock by the overlap, however wrong this machine's clock is. `check` says
    that this clock is off (faults E1).
    """
    with Sandbox(start=datetime.now(UTC) + offset, lateness_s=0, requests_per_second=None) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m"})
        history(sandbox)
        assert installation.run("once").returncode == 0
        ((position,),) = rows(installation.state_path, "SELECT position FROM watermark")
        behind = sandbox.clock.now() - from_text(position)
        assert timedelta(seconds=60) <= behind < timedelta(seconds=75)
        history(sandbox, seconds_ago=45)
        assert_nothing_lost(installation)
        assert sandbox.inbox.repeats.total() == 0
        checked = installation.run("check")
        assert "This machine's clock is" in checked.stdout
        seconds = int(checked.stdout.split("clock is ", 1)[1].split(" s ", 1)[0])
        assert abs(seconds + offset.total_seconds()) < 10


@pytest.mark.parametrize("seconds", [300, -3 * 86_400])
def test_a_process_with_a_wrong_clock_loses_nothing(installation, seconds):
    """The same holds when the clock of the process itself is off (faults E1)."""
    _another_clock(installation, seconds)
    history(installation.sandbox)
    assert_nothing_lost(installation)
    ((position,),) = rows(installation.state_path, "SELECT position FROM watermark")
    behind = installation.sandbox.clock.now() - from_text(position)
    assert timedelta(seconds=60) <= behind < timedelta(seconds=75)


@pytest.mark.parametrize("jump_s", [25 * 3_600, -3_600], ids=["25 hours on", "an hour back"])
def test_a_clock_that_jumps_under_a_daemon_stops_nothing(installation, jump_s):
    """The daemon keeps its interval. What happens after the jump is delivered within seconds (faults E2)."""
    says = _another_clock(installation, 0)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.3s"
    with running(installation, "run") as process:
        wait_until(lambda: len(cycles_of(installation)) > 1)
        says.write_text(f"{jump_s:+d}\n")
        history(installation.sandbox, seconds_ago=45)
        wait_until(lambda: problems(installation.sandbox) == [], timeout_s=12)
        process.kill()
    says.write_text("+0\n")
    assert_nothing_lost(installation)


FAR_JUMPS = [
    pytest.param({"EVERY": "1s"}, 0, 3_650 * 86_400, id="ten years on"),
    pytest.param({"EVERY": "1s"}, -56 * 365 * 86_400, 0, id="set from 1970"),
    pytest.param({"EVERY": "0.1s"}, -56 * 365 * 86_400, 3_650 * 86_400, id="set from 1970, too far"),
    pytest.param({"CRON": "* * * * *"}, -56 * 365 * 86_400, 0, id="set from 1970, with cron"),
    pytest.param({"EVERY": "1s"}, 3_650 * 86_400, 0, id="ten years back"),
]


@pytest.mark.parametrize(("schedule", "before_s", "after_s"), FAR_JUMPS)
def test_a_clock_set_over_years_costs_a_daemon_nothing(installation, schedule, before_s, after_s):
    """
    The cycles that were missed in those years are not counted one by one. The daemon needs less than 1 s of
    CPU and less than 100 MB for the jump, and it ends when asked to (faults H2.4).
    """
    says = _another_clock(installation, before_s)
    installation.settings |= {f"GLADLY_SEGMENT_SYNC__{name}": value for name, value in schedule.items()}
    installation.settings["COVERAGE_PROCESS_CONFIG"] = ""  # its measurement costs CPU too
    with running(installation, "run") as process:
        wait_until(lambda: cycles_of(installation))
        used_s = cpu_seconds(process.pid)
        says.write_text(f"{after_s:+d}\n")
        wait_until(lambda: "clock.jumped" in stderr_of(installation), timeout_s=20)
        history(installation.sandbox, seconds_ago=45)
        wait_until(lambda: problems(installation.sandbox) == [], timeout_s=20)
        assert cpu_seconds(process.pid) - used_s < 1
        assert peak_bytes(process.pid) < 100_000_000
        assert ends_within(process, 2, signal.SIGTERM) == 0


def test_gladlys_clock_put_back_moves_no_watermark_back_and_loses_nothing(installation):
    """
    Gladly's clock is corrected. The watermark stays where it is, and later changes are read (faults E2).
    """
    world, clock = installation.sandbox.world, installation.sandbox.clock
    history(installation.sandbox)
    assert installation.run("once").returncode == 0
    ((before,),) = rows(installation.state_path, "SELECT position FROM watermark")
    clock.advance(-30)
    assert installation.run("once").returncode == 0
    ((after,),) = rows(installation.state_path, "SELECT position FROM watermark")
    assert after >= before
    world.open_conversation(world.add_customer())
    assert_nothing_lost(installation)


@pytest.mark.parametrize(
    "zone", ["Asia/Kathmandu", ":nowhere/at/all", "EST5EDT,M3.2.0,M11.1.0", "<+03>-3", "Nowhere/At_All"]
)
def test_the_hosts_zone_means_nothing(installation, zone):
    """Instants are UTC and the schedule runs, whatever `TZ` says (faults E3, H2.10)."""
    installation.settings |= {"TZ": zone, "GLADLY_SEGMENT_SYNC__EVERY": "0.2s"}
    history(installation.sandbox)
    with running(installation, "run") as process:
        wait_until(lambda: len(cycles_of(installation)) > 3)
        process.terminate()
        assert process.wait(10) == 0
    now = datetime.now(UTC)
    for begun, ended in cycles_of(installation):
        assert now - timedelta(seconds=60) < begun <= ended <= now
    ((position,),) = rows(installation.state_path, "SELECT position FROM watermark")
    assert timedelta(seconds=60) <= installation.sandbox.clock.now() - from_text(position)
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


@pytest.mark.parametrize(
    ("zone", "change"),
    [
        pytest.param("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC), id="the hour twice"),
        pytest.param("America/New_York", datetime(2027, 3, 14, 7, tzinfo=UTC), id="the hour left out"),
    ],
)
def test_no_poll_is_skipped_or_doubled_in_the_night_the_clocks_change(tmp_path, zone, change):
    """The interval stays the same while the host's summer time begins or ends (faults E3)."""
    begun = change - timedelta(seconds=40)
    with Sandbox(start=begun, lateness_s=0, requests_per_second=None) as sandbox:
        installation = Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m", "GLADLY_SEGMENT_SYNC__EVERY": "0.5s"}
        )
        installation.settings["TZ"] = zone
        says = _another_clock(installation, (begun - datetime.now(UTC)).total_seconds())
        history(sandbox)
        with running(installation, "run") as process:
            wait_until(lambda: len(cycles_of(installation)) > 1)
            says.write_text(f"{(change - datetime.now(UTC)).total_seconds() - 1.5:+.1f}\n")
            wait_until(lambda: cycles_of(installation)[-1][0] > change)
            wait_until(lambda: cycles_of(installation)[-1][0] > change + timedelta(seconds=1))
            process.kill()
        polls = cycles_of(installation)
        assert problems(sandbox) == []
    starts = [start for start, _ in polls]
    assert starts[0] < change < starts[-1]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(starts)]
    assert max(gaps) < 90, gaps
    assert len(gaps) <= sum(gaps) / 0.5 + 2, gaps


def test_a_poll_longer_than_its_interval_is_followed_by_one_not_by_many(installation):
    """Cycles never overlap. Those that fell due meanwhile become one (faults E4)."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    history(installation.sandbox)
    sandbox = installation.sandbox
    sandbox.faults.add("gladly", "/api/v1/events", Fault(delay_s=0.8, times=2))
    with running(installation, "run") as process:
        wait_until(lambda: len(cycles_of(installation)) > 6)
        process.terminate()
        assert process.wait(10) == 0
    polls = cycles_of(installation)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(polls))
    assert all(ended - begun >= timedelta(seconds=0.79) for begun, ended in polls[:2])
    # If the cycles that fell due during the two long ones had queued up, there would be six more.
    intervals = (polls[-1][0] - polls[0][0]) / timedelta(seconds=0.2)
    assert len(polls) - 1 <= intervals - 4
    assert_nothing_lost(installation)
    assert sandbox.inbox.repeats.total() == 0


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "EST5EDT,M3.2.0,M11.1.0", "Nowhere/At_All"])
def test_a_cron_line_is_read_in_utc(installation, zone):
    """
    `sync.cron` is read in UTC in any zone. The daemon begins with a cycle, and then waits for the next minute
    (faults E4, H2.10).
    """
    installation.settings |= {"TZ": zone, "GLADLY_SEGMENT_SYNC__CRON": "* * * * *"}
    history(installation.sandbox)
    with running(installation, "run") as process:
        wait_until(lambda: problems(installation.sandbox) == [])
        process.terminate()
        assert process.wait(10) == 0
    assert_nothing_lost(installation)
