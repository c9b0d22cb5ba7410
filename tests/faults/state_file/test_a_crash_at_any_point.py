"""SIGKILL comes at every failpoint, and at random moments (faults C1)."""

import ast
import itertools
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sandbox import Sandbox
from state.failpoints import NAMES
from support.installation import Installation
from support.processes import FAILPOINT
from support.recovery import assert_nothing_lost, assert_whole
from support.state_file import rows
from support.worlds import history

pytestmark = pytest.mark.long


ROOT = Path(__file__).parents[3]


# The suite kills so many times at random moments. GLADLY_SEGMENT_KILLS=200 is the long run.
KILLS = int(os.environ.get("GLADLY_SEGMENT_KILLS", "25"))


@pytest.mark.parametrize("name", NAMES)
def test_a_kill_at_any_point_of_a_first_cycle_loses_nothing(installation, name):
    """
    A first cycle passes every failpoint. Before the commit the file holds nothing of the cycle, and after it
    everything. Only a kill between Segment's answer and the note of it sends events twice, with the same
    bytes and ids (faults C1).
    """
    history(installation.sandbox)
    installation.settings[FAILPOINT] = name
    assert installation.run("once").returncode == -signal.SIGKILL
    del installation.settings[FAILPOINT]
    is_committed = NAMES.index(name) >= NAMES.index("transaction.committed")
    assert bool(installation.events()) == is_committed
    assert bool(rows(installation.state_path, "PRAGMA user_version")[0][0]) == (
        not name.startswith("migrate.")
    )
    assert_nothing_lost(installation)
    assert bool(installation.sandbox.inbox.repeats) == (name == "segment.answer")


def test_the_list_of_failpoints_names_exactly_those_in_the_code():
    """The names in the code and those in `failpoints.NAMES` are the same (faults C1)."""
    ends = {"gladly", "segment"}
    used: set[str] = set()
    for file in itertools.chain((ROOT / "state").rglob("*.py"), (ROOT / "sync").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "failpoint":
                (argument,) = node.args
                if isinstance(argument, ast.Constant):
                    used.add(argument.value)
                else:  # f"{self.name.lower()}.request": one for each end
                    assert isinstance(argument, ast.JoinedStr)
                    assert isinstance(argument.values[-1], ast.Constant)
                    used |= {side + argument.values[-1].value for side in ends}
    assert used == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


LATER = [
    "gladly.request:9",
    "gladly.answer:7",
    "commit.seen:2",
    "commit.events:2",
    "commit.watermark:3",
    "transaction.commit:5",
    "transaction.committed:5",
    "segment.request:3",
    "segment.answer:2",
    "poll.record:4",
    "cycle.end:4",
]


def test_kills_at_later_passes_of_a_running_daemon_lose_nothing(tmp_path):
    """
    A daemon in a busy world is killed at one failpoint after another. After each kill the next daemon starts
    (faults C1).
    """
    with Sandbox(seed=3, tempo=10, pace=10, lateness_s=5, requests_per_second=None) as sandbox:
        installation = Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "1h", "GLADLY_SEGMENT_SYNC__EVERY": "0.1s"}
        )
        for point in LATER:
            installation.settings[FAILPOINT] = point
            killed = installation.run("run", timeout=30)
            assert (point, killed.returncode) == (point, -signal.SIGKILL), killed.stderr
            assert_whole(installation)
        del installation.settings[FAILPOINT]
        until = sandbox.clock.now()
        time.sleep(0.6)  # the feed is late by 5 seconds of the world
        assert_nothing_lost(installation, until=until)
    assert len(sandbox.inbox) > 20


# Make every poll a long one: a chunk is two transitions, and is delivered while the next is fetched.
_BESIDE = """
from sync.cli.main import main
from sync.gladly.limits import GladlyLimits
from sync.pipeline.delivery import DeliveryTiming
from sync.runtime.build import Tuning
delivery = DeliveryTiming(part_batch_after_s=0.0)
main(tuning=Tuning(delivery=delivery, gladly=GladlyLimits(chunk_transitions=2)))
"""


@pytest.mark.timeout(60 + 3 * KILLS)
def test_kills_at_random_moments_lose_nothing(tmp_path):
    """
    Cycles and daemons are killed at random instants while the world goes on. In the end Segment has exactly
    the world's history, and each messageId has one content (faults C1).
    """
    moments = random.Random(KILLS)
    kills = 0
    with Sandbox(seed=7, tempo=3, pace=10, lateness_s=15, requests_per_second=None) as sandbox:
        installation = Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "1h", "GLADLY_SEGMENT_SYNC__EVERY": "0.05s"}
        )
        while kills < KILLS:
            command = moments.choice(["once", "run"])
            program = moments.choice([["-m", "sync"], ["-c", _BESIDE]])
            process = installation.start(command, program=program)
            # A start takes about 0.4 s. Most kills hit the cycles after it, and some the start itself.
            spread = (0.05, 0.6) if command == "once" else (0.3, 1.3)
            try:
                process.communicate(timeout=moments.uniform(*spread))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                kills += 1
            else:
                assert process.returncode == 0
        assert_whole(installation)
        until = sandbox.clock.now()
        time.sleep(1.6)  # the feed is late by 15 seconds of the world
        assert_nothing_lost(installation, until=until)
    assert len(sandbox.inbox) > KILLS
