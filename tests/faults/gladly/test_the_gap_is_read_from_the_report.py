"""A gap is longer than the Events API reaches back, and the report fills it (faults B; semantics 3.5)."""

import json
import signal
from datetime import timedelta

import pytest

from sandbox import Fault, Sandbox
from state.instants import to_text
from state.reader import Reader
from support.checker import problems, suppressed
from support.endpoints import reports_asked_for
from support.installation import Installation
from support.state_file import a_minute_later
from support.waiting import wait_until
from support.worlds import DAY, NOON, live_for


@pytest.mark.parametrize(
    ("seconds", "least"),
    [
        pytest.param(25 * 3_600, 1, id="25 hours"),
        pytest.param(3 * DAY, 3, id="3 days"),
        pytest.param(9 * DAY, 8, id="9 days"),
    ],
)
def test_a_gap_of_any_length_is_read_by_report_and_feed(old_world, seconds, least):
    """
    The report supplies whole UTC days up to the last 23 hours, and the Events API supplies the rest. No
    transition is lost or sent twice (faults B1).
    """
    sandbox = old_world.sandbox
    live_for(sandbox, seconds, 60)
    done = old_world.run("once")
    assert done.returncode == 0, done.stderr
    assert problems(sandbox) == []
    assert least <= reports_asked_for(sandbox) <= least + 2
    with Reader(old_world.state_path) as reader:
        overlap_behind = sandbox.clock.now().replace(microsecond=0) - timedelta(seconds=60)
        assert reader.watermark()["position"] == to_text(overlap_behind)
    before = len(sandbox.gladly_requests)
    assert old_world.run("once").returncode == 0
    assert len(sandbox.gladly_requests) == before + 1


def test_nine_days_away_of_a_world_that_lived_on(tmp_path):
    """
    The report supplies eight days and the feed one. The world goes on meanwhile, with merges and deletions
    (faults B1).
    """
    with Sandbox(
        seed=5, tempo=0.012, start=NOON, pace=0, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        alone = {"GLADLY_SEGMENT_SYNC__RECONCILE": "off", "GLADLY_SEGMENT_SYNC__AUDIT": "off"}
        installation = Installation(tmp_path, sandbox, alone)
        assert installation.run("once").returncode == 0
        sandbox.clock.advance(9 * DAY)
        done = installation.run("once", timeout=110)
        assert done.returncode == 0, done.stderr
        assert 8 <= reports_asked_for(sandbox) <= 10
        sandbox.clock.advance(60)  # which was not visible yet
        a_minute_later(installation.state_path)
        assert installation.run("once").returncode == 0
        assert len(sandbox.inbox.received) > 500
        assert problems(sandbox, since=NOON) == []
        assert suppressed(sandbox, installation.events()) == []


def test_the_same_transition_from_report_and_feed_is_one_event(old_world):
    """
    A resync reads from the report what the feed has already shown. It changes nothing and sends nothing
    (faults B2).
    """
    sandbox = old_world.sandbox
    live_for(sandbox, 6 * 3_600, 30)
    assert old_world.run("once").returncode == 0
    events, sent = old_world.events(), len(sandbox.inbox.attempts)
    sandbox.clock.advance(2 * DAY)
    assert old_world.run("once").returncode == 0
    done = old_world.run("resync", "--since", "2026-11-20", "--until", "2026-11-22")
    assert done.returncode == 0, done.stderr
    assert "0 created and 0 closed" in done.stdout
    assert old_world.events() == events
    assert len(sandbox.inbox.attempts) == sent


def test_what_the_report_does_not_hold_yet_comes_from_the_feed(tmp_path):
    """
    The report is hours behind. Its watermark stops 23 hours back, and the Events API supplies the rest
    (faults B3).
    """
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, report_lateness_s=12 * 3_600
    ) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        live_for(sandbox, 30 * 3_600, 60)
        assert installation.run("once").returncode == 0
        assert problems(sandbox) == []


def test_a_catch_up_resumes_where_it_was_killed(old_world):
    """
    SIGKILL comes after some days have been read. Those days are not asked for again, and nothing is lost or
    sent twice (faults B6).
    """
    sandbox = old_world.sandbox
    live_for(sandbox, 8 * DAY, 80)
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.25, times=None))
    process = old_world.start("once")
    wait_until(lambda: reports_asked_for(sandbox) >= 5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = reports_asked_for(sandbox)
    sandbox.faults.clear()
    assert old_world.run("once").returncode == 0
    assert reports_asked_for(sandbox) - before <= 6
    assert problems(sandbox) == []


@pytest.mark.parametrize("command", ["once", "resync"])
def test_days_without_transitions_are_not_read_again_after_a_kill(old_world, command):
    """
    SIGKILL comes after six quiet days. The position moved with every day, and those days are not asked for
    again, by a catch-up and by a resync (faults H2.12).
    """
    sandbox = old_world.sandbox
    sandbox.clock.advance(9 * DAY)
    arguments = [command] if command == "once" else ["resync", "--since", "2026-11-20"]
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.02, times=6))
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=1.5, times=None))
    process = old_world.start(*arguments)
    wait_until(lambda: reports_asked_for(sandbox) >= 6)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    sandbox.faults.clear()
    before = reports_asked_for(sandbox)
    done = old_world.run(*arguments)
    assert done.returncode == 0, done.stderr
    assert reports_asked_for(sandbox) - before <= 4


def test_the_first_start_can_lie_long_ago(tmp_path):
    """
    `sync.start` may be of any age. The report supplies what follows it, and the feed what is recent
    (faults B7).
    """
    with Sandbox(start=NOON, pace=0, lateness_s=0, requests_per_second=None) as sandbox:
        live_for(sandbox, 5 * DAY, 30)
        start = {"GLADLY_SEGMENT_SYNC__START": "2026-11-18", "GLADLY_SEGMENT_SYNC__RECONCILE": "off"}
        installation = Installation(tmp_path, sandbox, start)
        assert installation.run("once").returncode == 0
        assert problems(sandbox) == []


def test_a_gap_that_nothing_can_fill_is_recorded_with_both_ends(old_world):
    """
    The sync passes over the days that the report refuses. The poll is degraded, and `status` shows both ends
    of the gap (faults B7).
    """
    sandbox = old_world.sandbox
    live_for(sandbox, 5 * DAY, 20)
    refusal = json.dumps({"errors": [{"attr": "startAt", "code": "invalid", "detail": "too long ago"}]})
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(status=400, body=refusal.encode(), times=4))
    assert old_world.run("once").returncode == 0
    assert problems(sandbox, since=NOON.replace(hour=0) + timedelta(days=2)) == []
    status = json.loads(old_world.run("status", "--json").stdout)
    assert status["last_poll"]["outcome"] == "degraded"
    assert [need["what"] for need in status["needs_attention"]] == ["gap clock", "gap", "gap"]
    assert "2026-11-21T00:00:00.000Z to 2026-11-22T00:00:00.000Z" in status["needs_attention"][2]["reason"]
