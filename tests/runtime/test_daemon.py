"""`run` runs cycles until it is asked to end, and then ends in time, wherever it is."""

import signal
from contextlib import contextmanager

import pytest

from sandbox import Fault
from state.reader import Reader
from support.daemon import BROKEN_PARTS, Daemon
from support.proxy import Proxy
from support.proxy_actions import swallow
from support.waiting import wait_until

ENDS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])

# Interface 2 allows ten seconds. Nothing here needs half of them.
IN_TIME_S = 5.0


@contextmanager
def running(installation, *options):
    """Run the daemon with a short interval for the time of a block. Kill it at the end if it still runs."""
    installation.settings.setdefault("GLADLY_SEGMENT_SYNC__EVERY", "0.2s")
    with Daemon(installation, options=options) as daemon:
        yield daemon


@ENDS
def test_it_delivers_what_happens_and_ends_when_asked(installation, opened, number):
    """
    The first cycle runs at once, and the others on schedule. An idle daemon ends with exit 0. It logs its
    beginning and its end.
    """
    opened(60)
    with running(installation) as daemon:
        assert daemon.wait_for("daemon.started")["pid"] == daemon.process.pid
        daemon.wait_for("cycle.finished", delivered=1)
        opened(0)
        assert installation.sandbox.inbox.wait_for(2)
        daemon.wait_for("cycle.finished", times=2, delivered=1)
        code, took_s = daemon.end(number)
    assert code == 0
    assert took_s < IN_TIME_S
    assert daemon.lines()[-1]["event"] == "daemon.stopped"
    assert daemon.output == ""
    assert [event["status"] for event in installation.events()] == ["delivered"] * 2


@ENDS
def test_it_ends_in_the_middle_of_a_read_that_hangs(installation, opened, number):
    """Gladly took the request and never answers. What was not committed is dropped (faults F1)."""
    opened()
    with Proxy(installation.sandbox.gladly_url) as proxy:
        proxy.on("/api/v1/events", swallow())
        installation.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = proxy.url
        with running(installation) as daemon:
            wait_until(lambda: any("/api/v1/events" in target for _, target in proxy.seen))
            code, took_s = daemon.end(number)
    assert code == 0
    assert took_s < IN_TIME_S
    assert installation.events() == []


@ENDS
def test_it_ends_in_the_middle_of_a_delivery_that_hangs(installation, gladly_segment, opened, number):
    """Nobody knows whether Segment has the event. It stays pending, and is sent again under the same id."""
    opened()
    with Proxy(installation.sandbox.segment_url) as proxy:
        proxy.on("/v1/batch", swallow())
        installation.settings["GLADLY_SEGMENT_SEGMENT__BASE_URL"] = proxy.url
        with running(installation) as daemon:
            wait_until(lambda: len(installation.sandbox.inbox) == 1)
            code, took_s = daemon.end(number)
    assert code == 0
    assert took_s < IN_TIME_S
    (event,) = installation.events()
    assert event["status"] == "pending"
    del installation.settings["GLADLY_SEGMENT_SEGMENT__BASE_URL"]
    assert gladly_segment("once").code == 0
    assert [attempt.outcome for attempt in installation.sandbox.inbox.attempts] == ["received", "repeat"]


def test_it_ends_while_it_waits_to_try_again(installation):
    """The daemon waits between two attempts at an end that is down."""
    installation.sandbox.faults.add("gladly", "*", Fault(status=503, times=None))
    with running(installation) as daemon:
        wait_until(lambda: len(installation.sandbox.gladly_requests) >= 2)
        code, took_s = daemon.end()
    assert code == 0
    assert took_s < IN_TIME_S


def test_a_failing_cycle_is_logged_and_the_next_one_runs(installation, opened):
    """
    Gladly answers 500 for a while. The daemon logs an error when it begins and a line when it is over, and
    loses nothing.
    """
    opened()
    # "At once" spares the test the pauses between a cycle's five attempts.
    at_once = {"Retry-After": "0"}
    installation.sandbox.faults.add("gladly", "*", Fault(status=500, headers=at_once, times=5))
    with running(installation) as daemon:
        assert "answered 500" in daemon.wait_for("gladly.failed")["error"]
        daemon.wait_for("cycle.finished", outcome="failed")
        daemon.wait_for("gladly.recovered")
        daemon.wait_for("cycle.finished", outcome="ok")
        assert installation.sandbox.inbox.wait_for(1)
        assert daemon.end()[0] == 0


@pytest.mark.parametrize("options", [[], ["--debug"]], ids=["plain", "debug"])
def test_a_cycle_that_breaks_is_logged_and_the_next_one_runs(installation, opened, options):
    """The error is one that nobody foresaw. `--debug` shows where it came from."""
    opened()
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = "cycle.begin:1:raise"
    with running(installation, *options) as daemon:
        failed = daemon.wait_for("cycle.failed")
        assert daemon.wait_for("cycle.finished")["outcome"] == "ok"
        assert daemon.end()[0] == 0
    assert "FailpointError" in failed["error"]
    assert ("Traceback" in str(failed)) is bool(options)


def test_a_part_that_fails_takes_no_other_part_with_it(installation, opened):
    """
    The heartbeat, systemd's status and the look at the clock fail each time. Cycles go on.
    Each failure is logged once (faults H2.7).
    """
    opened()
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    with Daemon(installation, program=("-c", BROKEN_PARTS)) as daemon:
        daemon.wait_for("cycle.finished", delivered=1)
        wait_until(lambda: len(daemon.lines("part.failed")) >= 3)
        finished = len(daemon.lines("cycle.finished", outcome="ok"))
        daemon.wait_for("cycle.finished", times=finished + 5, outcome="ok")
        assert daemon.end()[0] == 0
    failed = daemon.lines("part.failed")
    assert sorted(line["part"] for line in failed) == ["heartbeat", "schedule", "status"]
    assert {line["error"] for line in failed} == {"ZeroDivisionError: division by zero"}
    assert daemon.lines("cycle.failed") == []


def test_an_error_that_lasts_is_logged_once(installation, opened):
    """The daemon logs a refused token when it finds it, not every second. It does not end because of it."""
    installation.settings["GLADLY_API_TOKEN"] = "wrong"
    with running(installation) as daemon:
        daemon.wait_for("cycle.finished", times=3, outcome="failed")
        assert daemon.end()[0] == 0
    (failure,) = daemon.lines("gladly.failed")
    assert "GLADLY_API_TOKEN" in failure["error"]


def test_segment_being_down_does_not_stop_polling(installation, opened, down):
    """What happens meanwhile is recorded, and goes out when Segment is back (semantics 4.5)."""
    installation.sandbox.faults.add("segment", "*", down)
    with running(installation) as daemon:
        daemon.wait_for("cycle.finished")
        opened(0)
        assert daemon.wait_for("cycle.finished", created=1)["delivered"] == 0
        with Reader(installation.state_path) as reader:
            assert reader.event_counts()["pending"] == 1
        assert daemon.end()[0] == 0


def test_a_cron_line_is_a_schedule_too(installation, opened):
    """The first cycle runs at once here too. The daemon ends at once, even minutes before the next cycle."""
    opened()
    installation.settings |= {"GLADLY_SEGMENT_SYNC__CRON": "*/5 * * * *", "GLADLY_SEGMENT_SYNC__EVERY": ""}
    with running(installation) as daemon:
        assert daemon.wait_for("cycle.finished")["delivered"] == 1
        code, took_s = daemon.end()
    assert code == 0
    assert took_s < IN_TIME_S


def test_a_second_daemon_ends_with_4_and_the_first_goes_on(installation, gladly_segment):
    """Only one process at a time is the writer, and the message names it (faults C3)."""
    with running(installation) as daemon:
        daemon.wait_for("cycle.finished")
        second = gladly_segment("run")
        assert second.code == 4
        assert f"held by process {daemon.process.pid} " in second.err
        finished = len(daemon.lines("cycle.finished", outcome="ok"))
        daemon.wait_for("cycle.finished", times=finished + 1, outcome="ok")
        assert daemon.end()[0] == 0


def test_settings_that_are_wrong_end_it_before_it_begins(gladly_segment):
    """The daemon ends with exit 2, because a restart by a supervisor would change nothing."""
    ended = gladly_segment("run", GLADLY_SEGMENT_SYNC__EVERY="often")
    assert (ended.code, "GLADLY_SEGMENT_SYNC__EVERY" in ended.err) == (2, True)


def test_after_a_kill_the_next_one_goes_on_where_it_was(installation, gladly_segment, opened):
    """SIGKILL leaves a state file that opens, and nothing to remove by hand."""
    opened(60)
    with running(installation) as daemon:
        daemon.wait_for("cycle.finished", delivered=1)
        daemon.process.kill()
        daemon.process.wait()
    opened(0)
    assert gladly_segment("once").code == 0
    assert [attempt.outcome for attempt in installation.sandbox.inbox.attempts] == ["received"] * 2


def test_a_rejected_event_is_retried_while_the_daemon_runs(installation, opened):
    """`retry` takes its turn between two cycles, and the next cycle sends the event."""
    opened()
    bad = opened()
    faults = installation.sandbox.faults
    faults.reject_message(lambda event: event["properties"]["conversationId"] == bad.id)
    with running(installation) as daemon:
        daemon.wait_for("event.rejected")
        faults.reject_message(None)
        retried = installation.run("retry", "--all")
        assert (retried.returncode, retried.stdout) == (0, "Events pending again: 1.\n")
        assert installation.sandbox.inbox.wait_for(2)
    assert len(installation.sandbox.inbox) == 2
