"""A command waits for its turn on the state file, and is asked to end (faults H2.6)."""

import signal
import time

import pytest

from support.processes import cycles_of, ends_within, running, stderr_of
from support.recovery import assert_nothing_lost
from support.state_file import turn_of_a_resync
from support.waiting import wait_until
from support.worlds import history

pytestmark = pytest.mark.long


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(["run"], 0, id="run"),
        pytest.param(["once"], 1, id="once"),
        pytest.param(["resync", "--since", "1h"], 1, id="resync"),
    ],
)
def test_a_signal_ends_a_command_that_waits_to_begin(installation, command, code, number):
    """The other process does not give the turn back. The command ends with its usual code (faults H2.6)."""
    history(installation.sandbox)
    assert installation.run("once").returncode == 0
    asked = len(installation.sandbox.gladly_requests)
    with turn_of_a_resync(installation.state_path), running(installation, *command) as process:
        time.sleep(1.5)
        assert process.poll() is None
        assert ends_within(process, 2, number) == code
    assert "Traceback" not in stderr_of(installation)
    clock = command[0] == "resync"  # an age counts from Gladly's clock
    assert len(installation.sandbox.gladly_requests) == asked + clock
    assert_nothing_lost(installation)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_daemon_whose_cycle_waits(installation, number):
    """The daemon has run cycles before. It ends with exit 0 (faults H2.6)."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    history(installation.sandbox)
    with running(installation, "run") as process:
        wait_until(lambda: cycles_of(installation))
        with turn_of_a_resync(installation.state_path):
            wait_until(lambda: "cycle.waiting" in stderr_of(installation))
            assert ends_within(process, 5, number) == 0
    assert_nothing_lost(installation)
