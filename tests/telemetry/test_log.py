"""The log as whoever watches reads it: every line of a cycle can be told from those of the next."""

import json
import re
import subprocess
import sys
from pathlib import Path

from sandbox.world.bulk import fill
from state.reader import Reader
from support.daemon import DEPLOY, Daemon, watched

SYNC = DEPLOY.parent / "sync"


def test_the_lines_of_a_cycle_carry_its_id(installation, opened, down):
    """What went wrong in it and its figures; the id is one of `polls`; the daemon's own lines have none."""
    opened()
    installation.sandbox.faults.add("segment", "*", down)
    with Daemon(watched(installation, SYNC__EVERY="0.3s")) as daemon:
        daemon.wait_for("cycle.finished", times=3)
        daemon.end()
        lines = daemon.lines()
    of_cycles = [line for line in lines if line["event"] in {"cycle.finished", "segment.failed"}]
    ids = [line["cycle"] for line in of_cycles]
    assert ids[0] == ids[1]  # it failed in the first
    assert len(set(ids)) == len(ids) - 1 >= 3
    assert all("cycle" not in line for line in lines if line["event"].startswith(("daemon.", "metrics.")))
    with Reader(installation.state_path) as reader:
        assert reader.last_poll()["started_at"] in ids


def test_a_cycle_that_breaks_says_which_it_was(installation):
    """Also when it is the daemon that says so."""
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = "cycle.begin:1:raise"
    with Daemon(installation) as daemon:
        assert daemon.wait_for("cycle.failed")["cycle"]


def test_once_says_it_too(installation, opened):
    """A cycle is a cycle."""
    opened()
    lines = [json.loads(line) for line in installation.run("once").stderr.splitlines()]
    assert {line["cycle"] for line in lines} == {lines[0]["cycle"]}


def test_a_failing_heartbeat_is_of_the_cycle_it_followed(installation, opened):
    """Though it is logged by a thread of its own."""
    opened()
    installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL"] = "http://127.0.0.1:1/"
    lines = [json.loads(line) for line in installation.run("once").stderr.splitlines()]
    failed = next(line for line in lines if line["event"] == "heartbeat.failed")
    assert failed["cycle"] == lines[0]["cycle"]


def test_every_event_that_is_logged_is_documented():
    """By its name, in docs/watching.md."""
    document = Path(DEPLOY.parent / "docs" / "watching.md").read_text()
    code = "\n".join(file.read_text() for file in SYNC.rglob("*.py"))
    logged = set(re.findall(r"\blog\.(?:debug|info|warning|error)\(\s*\"([a-z.]+)\"", code))
    assert {"cycle.finished", "event.rejected", "heartbeat.failed"} <= logged
    assert {name for name in logged if f"`{name}`" not in document} == set()


def test_a_long_window_says_how_far_it_has_come(installation):
    """Between two chunks, with the watermark just committed; the figures of the whole come at the end."""
    fill(installation.sandbox.world, conversations=310, closed_fraction=0.0, over_s=300.0)
    installation.settings["GLADLY_SEGMENT_SYNC__START"] = "10m"
    said_at_once = (
        "import sync.pipeline.cycle; sync.pipeline.cycle._PROGRESS_EVERY_S = 0;"
        "from sync.cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", said_at_once, "once"],
        cwd=installation.directory,
        env=installation.environment | {"PYTHONPATH": str(SYNC.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    progress, *_, finished = (line for line in lines if line["event"].startswith("cycle."))
    assert (progress["event"], progress["created"], finished["created"]) == ("cycle.progress", 300, 310)
    with Reader(installation.state_path) as reader:
        assert progress["watermark"] < reader.watermark()["position"]
