"""An error comes that nobody foresaw, or there is too little memory (faults F2)."""

import json
import signal

import pytest

from state.failpoints import NAMES
from support.checker import problems
from support.confinement import shell
from support.processes import FAILPOINT, daemon_running, ends_within, errors_of, run_under, stderr_of
from support.recovery import assert_nothing_lost
from support.waiting import wait_until
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", NAMES[::3])
def test_an_error_nobody_expects_fails_one_cycle_with_a_sentence(installation, name):
    """
    `once` ends with 1 and one sentence, without a traceback. The next one does what was left (faults F2).
    """
    history(installation.sandbox)
    installation.settings[FAILPOINT] = f"{name}:1:raise"
    done = installation.run("once")
    del installation.settings[FAILPOINT]
    assert (done.returncode, done.stdout) == (1, "")
    assert f"FailpointError: {name}" in errors_of(done)
    assert "Traceback" not in done.stderr
    assert_nothing_lost(installation)


SURVIVED = ["gladly.request", "commit.events", "segment.answer", "cycle.end"]


@pytest.mark.parametrize("name", SURVIVED)
def test_a_daemon_survives_an_error_nobody_expects(installation, name):
    """
    The error may come anywhere in a cycle. It is logged, and the next cycle does what was left (faults F2).
    """
    history(installation.sandbox)
    installation.settings |= {"GLADLY_SEGMENT_SYNC__EVERY": "0.1s", FAILPOINT: f"{name}:1:raise"}
    with daemon_running(installation) as process:
        wait_until(
            lambda: (
                problems(installation.sandbox) == [] and stderr_of(installation).count("cycle.finished") > 1
            )
        )
        assert ends_within(process, 3, signal.SIGTERM) == 0
    logged = [json.loads(line) for line in stderr_of(installation).splitlines()]
    failed = [line["error"] for line in logged if line["event"] in ("cycle.failed", "part.failed")]
    assert failed == [f"FailpointError: {name}"]
    del installation.settings[FAILPOINT]
    assert bool(installation.sandbox.inbox.repeats) == (name == "segment.answer")
    assert_nothing_lost(installation)


@pytest.mark.parametrize("name", ["cycle.begin", "gladly.answer", "commit.events", "segment.answer"])
def test_an_exit_from_within_a_cycle_ends_the_daemon(installation, name):
    """
    APScheduler would swallow the exit. The process ends with a code that is not 0, and nothing is lost
    (faults F2).
    """
    history(installation.sandbox)
    installation.settings |= {"GLADLY_SEGMENT_SYNC__EVERY": "0.1s", FAILPOINT: f"{name}:1:exit"}
    done = installation.run("run", timeout=30)
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    del installation.settings[FAILPOINT]
    assert_nothing_lost(installation)


@pytest.mark.parametrize("megabytes", [60, 100, 180, 400])
def test_too_little_memory_loses_nothing(installation, megabytes):
    """
    The limits reach from no start at all to a failure in the middle of a cycle. Nothing hangs and nothing is
    damaged, and the next cycle does the rest (faults F2).
    """
    history(installation.sandbox)
    people_writing_in(installation.sandbox, 100)
    done = run_under(installation, shell(f"ulimit -v {megabytes * 1024}"), "once", timeout=30)
    if problems(installation.sandbox):
        assert done.returncode != 0, done.stderr
    assert_nothing_lost(installation)


LONGEST = {
    "SYNC__RECONCILE": "36500d",
    "STATE__RETENTION": "36500d",
    "SYNC__OVERLAP": "22h",
    "SYNC__START": "2h",
    "GLADLY__REQUESTS_PER_SECOND": "1e300",
}


@pytest.mark.parametrize("every", ["36500d", "0.05s"])
def test_the_longest_settings_that_check_accepts_fail_no_cycle(installation, every):
    """No date leaves the calendar, and no wait is too long to ask for (faults H2.7)."""
    history(installation.sandbox)
    longest = {**LONGEST, "SYNC__EVERY": every}
    installation.settings |= {f"GLADLY_SEGMENT_{name}": value for name, value in longest.items()}
    assert installation.run("check").returncode == 0
    with daemon_running(installation) as process:
        wait_until(lambda: "cycle.finished" in stderr_of(installation))
        wait_until(lambda: problems(installation.sandbox) == [])
        assert ends_within(process, 2, signal.SIGTERM) == 0
    assert "cycle.failed" not in stderr_of(installation)
    assert "part.failed" not in stderr_of(installation)
    assert_nothing_lost(installation)
