"""The log cannot be written, or there are too few file descriptors (faults C7)."""

import pytest

from support.checker import problems
from support.confinement import shell
from support.processes import errors_of, run_under, stop_process
from support.recovery import assert_nothing_lost
from support.waiting import wait_until
from support.worlds import history

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    "redirection",
    [
        pytest.param("2> /dev/full", id="the log's disk is full"),
        pytest.param("> /dev/full 2> /dev/full", id="both disks are full"),
        pytest.param("2>&-", id="standard error is closed"),
        pytest.param("<&- >&- 2>&-", id="everything is closed"),
    ],
)
def test_a_log_that_cannot_be_written_stops_no_delivery(installation, redirection):
    """The cycle does its work and ends with 0 (faults C7)."""
    history(installation.sandbox)
    done = run_under(installation, ["sh", "-c", f'exec "$@" {redirection}', "sh"], "once")
    assert problems(installation.sandbox) == []
    assert done.returncode == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_a_log_whose_reader_has_gone_stops_no_daemon(installation):
    """
    Whoever reads the daemon's output may go away. The daemon goes on, and ends with 0 when asked to
    (faults C7).
    """
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    process = installation.start("run")
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.readline()
        process.stdout.close()
        process.stderr.close()
        history(installation.sandbox, seconds_ago=45)
        wait_until(lambda: problems(installation.sandbox) == [])
        process.terminate()
        assert process.wait(10) == 0
    finally:
        stop_process(process)
    assert_nothing_lost(installation)


@pytest.mark.parametrize("descriptors", [5, 8, 12])
def test_too_few_descriptors_is_an_error_that_passes(installation, descriptors):
    """The command ends with a documented exit code and without a traceback. Nothing is lost (faults C7)."""
    history(installation.sandbox)
    installation.settings["COVERAGE_PROCESS_CONFIG"] = ""  # the coverage measurement opens files too
    done = run_under(installation, shell(f"ulimit -n {descriptors}"), "once")
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr
    assert bool(errors_of(done)) == bool(done.returncode)
    assert_nothing_lost(installation)
