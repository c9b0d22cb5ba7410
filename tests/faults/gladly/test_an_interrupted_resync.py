"""A resync is interrupted, runs beside a daemon, or is asked for wrongly (semantics 3.5)."""

import json
import signal

from sandbox import Fault
from state.instants import to_text
from state.reader import Reader
from support.checker import problems
from support.endpoints import reports_asked_for
from support.waiting import wait_until
from support.worlds import DAY, live_for


def test_a_resync_sends_what_was_missed_and_leaves_the_watermark(old_world):
    """
    This holds for conversations that are already stored too. A second resync sends nothing more, and a dry
    run changes no byte.
    """
    sandbox = old_world.sandbox
    live_for(sandbox, 6 * DAY, 40)
    now = to_text(sandbox.clock.now())
    old_world.settings["GLADLY_SEGMENT_SYNC__START"] = now
    old_world.state_path.unlink()
    assert old_world.run("once").returncode == 0
    assert sandbox.inbox.received == []
    before = old_world.state_path.read_bytes()
    with Reader(old_world.state_path) as reader:
        watermark = reader.watermark()["position"]

    shown = old_world.run("resync", "--since", "2026-11-20T12:00Z", "--until", now, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert old_world.state_path.read_bytes() == before
    assert sandbox.inbox.received == []

    done = old_world.run("resync", "--since", "2026-11-20T12:00Z", "--until", now)
    assert done.returncode == 0, done.stderr
    assert problems(sandbox) == []
    assert {json.loads(line)["messageId"] for line in shown.stdout.splitlines()} == {
        event["messageId"] for event in sandbox.inbox.received
    }
    with Reader(old_world.state_path) as reader:
        assert reader.watermark()["position"] == watermark
    again = old_world.run("resync", "--since", "2026-11-20T12:00Z", "--until", now)
    assert "0 created and 0 closed" in again.stdout


def test_a_resync_goes_on_where_it_was_interrupted(old_world):
    """It does not ask again for the days that it has read."""
    sandbox = old_world.sandbox
    live_for(sandbox, 8 * DAY, 60)
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.25, times=None))
    command = ("resync", "--since", "2026-11-20", "--until", "2026-11-28")
    process = old_world.start(*command)
    wait_until(lambda: reports_asked_for(sandbox) >= 5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = reports_asked_for(sandbox)
    sandbox.faults.clear()
    done = old_world.run(*command)
    assert done.returncode == 0, done.stderr
    assert reports_asked_for(sandbox) - before <= 6
    assert old_world.run("once").returncode == 0
    assert problems(sandbox) == []


def test_a_daemon_goes_on_polling_beside_a_resync_and_a_second_resync_is_refused(old_world):
    """A daemon and a resync take turns at writing. Two resyncs do not."""
    sandbox = old_world.sandbox
    live_for(sandbox, 6 * DAY, 40)
    old_world.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "1s"
    daemon = old_world.start("run")
    try:
        sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.4, times=None))
        resync = old_world.start("resync", "--since", "2026-11-20", "--until", "2026-11-26")
        wait_until(lambda: reports_asked_for(sandbox) >= 2)
        second = old_world.run("resync", "--since", "2026-11-21", "--until", "2026-11-22")
        assert second.returncode == 4
        assert "resync" in second.stderr
        _, err = resync.communicate(timeout=60)
        assert resync.returncode == 0, err
        polls = sum(request.path == "/api/v1/events" for request in sandbox.gladly_requests)
        assert polls >= 3  # before the resync, beside it and after it
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, err = daemon.communicate(timeout=15)
    assert daemon.returncode == 0, err
    assert problems(sandbox) == []


def test_a_resync_backwards_is_wrong_usage(old_world):
    """The command ends with exit 2, names `--since`, and does nothing."""
    done = old_world.run("resync", "--since", "2026-11-22", "--until", "2026-11-21")
    assert done.returncode == 2
    assert "--since" in done.stderr
