"""The process lives, and does nothing (faults F3)."""

import json
import time

import pytest

from support.checker import problems
from support.processes import FAILPOINT, cycles_of, errors_of, running
from support.recovery import assert_nothing_lost
from support.waiting import wait_until
from support.worlds import history

pytestmark = pytest.mark.long


def test_a_daemon_that_hangs_is_found_by_the_health_check(installation):
    """
    The process lives, and its watermark stands still. `status --max-lag` fails, and says since when
    (faults F3).
    """
    history(installation.sandbox)
    installation.settings |= {"GLADLY_SEGMENT_SYNC__EVERY": "0.2s", FAILPOINT: "cycle.begin:3:sleep"}
    with running(installation, "run") as process:
        wait_until(lambda: installation.state_path.exists() and problems(installation.sandbox) == [])
        assert installation.run("status", "--max-lag", "5m").returncode == 0
        time.sleep(3)
        assert process.poll() is None
        assert len(cycles_of(installation)) == 2
        checked = installation.run("status", "--json", "--max-lag", "62s")
        assert checked.returncode == 1
        assert errors_of(checked).startswith("error: Behind: the watermark is too old")
        status = json.loads(checked.stdout)
        assert status["lag_seconds"] > 62
        process.kill()
    del installation.settings[FAILPOINT]
    assert_nothing_lost(installation)
