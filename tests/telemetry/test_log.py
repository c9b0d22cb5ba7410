"""
Whoever reads the log can tell the lines of a cycle from those of the next, and sees each request at level
debug.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

from sandbox import Fault
from sandbox.world.bulk import fill
from state.reader import Reader
from support.daemon import DEPLOY, Daemon, watched

SYNC = DEPLOY.parent / "sync"


def test_the_lines_of_a_cycle_carry_its_id(installation, opened, down):
    """
    The errors and the figures of a cycle carry its id, which is one of `polls`. The daemon's own lines carry
    none.
    """
    opened()
    installation.sandbox.faults.add("segment", "*", down)
    with Daemon(watched(installation, SYNC__EVERY="0.3s")) as daemon:
        daemon.wait_for("cycle.finished", times=3)
        daemon.end()
        lines = daemon.lines()
    of_cycles = [line for line in lines if line["event"] in {"cycle.finished", "segment.failed"}]
    ids = [line["cycle"] for line in of_cycles]
    assert ids[0] == ids[1]  # Segment failed in the first cycle
    assert len(set(ids)) == len(ids) - 1 >= 3
    assert all("cycle" not in line for line in lines if line["event"].startswith(("daemon.", "metrics.")))
    with Reader(installation.state_path) as reader:
        assert reader.last_poll()["started_at"] in ids


def test_a_cycle_that_breaks_says_which_it_was(installation):
    """The line carries the id even when the daemon logs it."""
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = "cycle.begin:1:raise"
    with Daemon(installation) as daemon:
        assert daemon.wait_for("cycle.failed")["cycle"]


def test_the_lines_of_once_carry_the_id_too(installation, opened):
    """Every line that `once` logs carries the id of its cycle."""
    opened()
    lines = [json.loads(line) for line in installation.run("once").stderr.splitlines()]
    assert {line["cycle"] for line in lines} == {lines[0]["cycle"]}


def test_a_failing_heartbeat_is_of_the_cycle_it_followed(installation, opened):
    """The line carries the cycle's id, although a separate thread logs it."""
    opened()
    installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL"] = "http://127.0.0.1:1/"
    lines = [json.loads(line) for line in installation.run("once").stderr.splitlines()]
    failed = next(line for line in lines if line["event"] == "heartbeat.failed")
    assert failed["cycle"] == lines[0]["cycle"]


def test_every_event_that_is_logged_is_documented():
    """docs/watching.md names each event."""
    document = Path(DEPLOY.parent / "docs" / "watching.md").read_text()
    code = "\n".join(file.read_text() for file in SYNC.rglob("*.py"))
    logged = set(re.findall(r"\blog\.(?:debug|info|warning|error)\(\s*\"([a-z.]+)\"", code))
    assert {"cycle.finished", "event.rejected", "heartbeat.failed"} <= logged
    assert {name for name in logged if f"`{name}`" not in document} == set()


def test_a_long_window_says_how_far_it_has_come(installation):
    """
    A line comes between two chunks, with the watermark that was just committed. The figures of the whole
    cycle come at its end.
    """
    fill(installation.sandbox.world, conversations=310, closed_fraction=0.0, over_s=300.0)
    installation.settings["GLADLY_SEGMENT_SYNC__START"] = "10m"
    said_at_once = (
        "from sync.cli.main import main; from sync.pipeline.cycle import CycleTiming;"
        "from sync.runtime.build import Tuning; main(tuning=Tuning(cycle=CycleTiming(progress_every_s=0.0)))"
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


def test_each_request_is_a_line_of_its_cycle(installation, opened):
    """
    There are as many lines as requests that the ends saw, including those of the helping threads. Each
    carries the cycle's id and shows no query.
    """
    for n in range(20):
        opened(60 + n)
    installation.sandbox.gladly.latency_s = 0.02  # slow enough for the look-ups to use helping threads
    named = Fault(headers={"X-Request-Id": "request-4711"}, times=None)
    installation.sandbox.faults.add("segment", "*", named)
    with Daemon(watched(installation, LOG__LEVEL="debug", SYNC__EVERY="1h")) as daemon:
        cycle = daemon.wait_for("cycle.finished")["cycle"]
        lines = daemon.lines("request")
    for end in ("gladly", "segment"):
        seen = [(r.method, r.path, str(r.status)) for r in getattr(installation.sandbox, f"{end}_requests")]
        shown = [(line["method"], line["path"], line["status"]) for line in lines if line["end"] == end]
        assert sorted(shown) == sorted(seen)
        assert len(shown) >= 1
    assert {line["cycle"] for line in lines} == {cycle}
    assert {line["level"] for line in lines} == {"debug"}
    assert all(0 < line["milliseconds"] < 60_000 for line in lines)
    assert max(line["milliseconds"] for line in lines if line["end"] == "gladly") >= 20
    assert {line["request_id"] for line in lines if line["end"] == "segment"} == {"request-4711"}
    assert {line["request_id"] for line in lines if line["end"] == "gladly"} == {None}
    log = daemon.log_path.read_text()
    assert "?" not in "".join(line["path"] for line in lines)
    assert not [found for found in ("zoe", "Zoë", "example.com", "startAt") if found in log]


def test_no_request_is_a_line_at_level_info(installation, opened):
    """A line for each cycle is enough for every day."""
    opened()
    assert '"event": "request"' not in installation.run("once").stderr


def test_a_request_without_an_answer_is_a_line_too(installation):
    """Its status is `none`."""
    installation.settings |= {
        "GLADLY_SEGMENT_GLADLY__BASE_URL": "http://127.0.0.1:1",
        "GLADLY_SEGMENT_LOG__LEVEL": "debug",
    }
    assert '"status": "none"' in installation.run("once").stderr
