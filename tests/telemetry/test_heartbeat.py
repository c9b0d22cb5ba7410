"""A real HTTP server receives the heartbeat of real processes, as a monitor would."""

import json
import threading
import time

import pytest

from support.daemon import Daemon
from support.raw_server import RawServer
from support.waiting import wait_until

CANARY = "/ping/canary-7d3f?token=canary-9e1b"


@pytest.fixture
def monitor(installation):
    """A server that answers 200 and notes each request. A test may replace its `answer`."""
    seen = []

    def receive(request, sock):
        seen.append(request)
        return server.answer(sock)

    def good(sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")

    with RawServer(receive) as server:
        server.answer, server.requests = good, seen
        installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL"] = server.url + CANARY
        yield server


def status(code, *headers):
    lines = [f"HTTP/1.1 {code} So", *headers, "Content-Length: 0", "", ""]
    return lambda sock: sock.sendall("\r\n".join(lines).encode())


def test_each_good_cycle_sends_one_heartbeat(installation, opened, monitor):
    """
    The daemon sends one heartbeat for each good cycle that it logs. Each is a plain GET without credentials.
    """
    opened()
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.5s"
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished", times=3)
        assert daemon.end()[0] == 0
        good = daemon.lines("cycle.finished", outcome="ok")
    wait_until(lambda: len(monitor.seen) >= len(good) - 1)
    assert len(good) - 1 <= len(monitor.seen) <= len(good)  # the end of the daemon may cut off the last one
    assert set(monitor.seen) == {("GET", CANARY)}
    assert {request.header("authorization") for request in monitor.requests} == {None}


def test_once_sends_one_heartbeat(installation, opened, monitor):
    """`once` sends its heartbeat before it exits, and its exit code stays the same."""
    opened()
    assert installation.run("once").returncode == 0
    assert monitor.seen == [("GET", CANARY)]


def test_a_degraded_cycle_is_a_good_one(installation, opened, monitor):
    """The cycle read what could be read, and the bad line is in quarantine."""
    opened()
    installation.sandbox.faults.rewrite_feed(lambda lines: [b"oops\n", *lines])
    ended = installation.run("once")
    assert '"outcome": "degraded"' in ended.stderr
    assert len(monitor.seen) == 1


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_a_failed_cycle_sends_no_heartbeat(installation, opened, monitor, down, side):
    """A monitor is there to notice that an end is down."""
    opened()
    installation.sandbox.faults.add(side, "*", down)
    assert installation.run("once").returncode == 1
    assert monitor.seen == []


def test_the_daemon_sends_none_for_a_failed_cycle(installation, opened, monitor, down):
    """It sends none while the failure lasts, and one after the first good cycle."""
    opened()
    installation.sandbox.faults.add("gladly", "*", down)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished", times=3, outcome="failed")
        assert daemon.end()[0] == 0
    assert monitor.seen == []


def test_a_dry_run_sends_no_heartbeat(installation, opened, monitor):
    """A dry run does nothing that anybody could rely on."""
    opened()
    assert installation.run("once", "--dry-run").returncode == 0
    assert monitor.seen == []


def test_the_url_may_come_from_a_file(installation, opened, monitor):
    """The URL is a secret, and secrets may come from files."""
    url = installation.settings.pop("GLADLY_SEGMENT_HEARTBEAT__URL")
    (installation.directory / "heartbeat").write_text(url + "\n")
    installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL_FILE"] = "heartbeat"
    opened()
    assert installation.run("once").returncode == 0
    assert monitor.seen == [("GET", CANARY)]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "answered 404"),
        (status(500), "answered 500"),
        (
            status(302, f"Location: {CANARY}"),
            "answered 302, a redirect, which is not followed",
        ),
        (lambda sock: None, "could not be reached"),
        (lambda sock: sock.sendall(b"nonsense\r\n\r\n"), "could not be reached"),
    ],
    ids=["404", "500", "a redirect", "hangs up", "no HTTP"],
)
def test_a_failure_is_a_warning_once_and_fails_nothing(installation, opened, monitor, answer, reason):
    """
    There is one log line when the failure is new and one when it is over, and one attempt for each cycle.
    """
    opened()
    monitor.answer = answer
    good = status(200)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.3s"
    with Daemon(installation) as daemon:
        assert daemon.wait_for("heartbeat.failed")["reason"] == reason
        wait_until(lambda: len(monitor.seen) >= 3)
        monitor.answer = good
        daemon.wait_for("heartbeat.recovered")
        daemon.end()
        assert len(daemon.lines("heartbeat.failed")) == 1
        assert daemon.lines("heartbeat.failed")[0]["level"] == "warning"
        assert {line["outcome"] for line in daemon.lines("cycle.finished")} == {"ok"}
        assert len(monitor.seen) <= len(daemon.lines("cycle.finished"))
        assert "canary" not in daemon.log_path.read_text()


def hang(sock):
    """Never answer."""
    threading.Event().wait(30)


def drip(sock):
    """Answer a byte a second. Each byte comes in time, and the whole answer never does."""
    for byte in b"HTTP/1.1 200 OK and a very long reason":
        sock.sendall(bytes([byte]))
        time.sleep(1)


@pytest.mark.parametrize("answer", [hang, pytest.param(drip, marks=pytest.mark.long)])
def test_a_monitor_that_hangs_holds_up_neither_cycles_nor_the_end(installation, opened, monitor, answer):
    """Cycles go on beside the heartbeat, and SIGTERM ends the daemon at once."""
    opened()
    monitor.answer = answer
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.3s"
    with Daemon(installation) as daemon:
        wait_until(lambda: monitor.seen)
        before = len(daemon.lines("cycle.finished"))
        daemon.wait_for("heartbeat.failed", reason="no answer in time")
        cycles = daemon.lines("cycle.finished")[before:]
        code, took_s = daemon.end()
    assert code == 0
    assert took_s < 5
    assert len(cycles) >= 8
    assert {line["outcome"] for line in cycles} == {"ok"}
    assert max(line["seconds"] for line in cycles) < 2


@pytest.mark.parametrize("answer", [hang, pytest.param(drip, marks=pytest.mark.long)])
def test_once_waits_five_seconds_and_no_longer(installation, opened, monitor, answer):
    """`once` does not fail because of the monitor."""
    opened()
    monitor.answer = answer
    began = time.monotonic()
    ended = installation.run("once")
    assert 5 <= time.monotonic() - began < 9
    assert ended.returncode == 0
    (warning,) = [
        line for line in map(json.loads, ended.stderr.splitlines()) if line["event"] == "heartbeat.failed"
    ]
    assert warning["reason"] == "no answer in time"


def test_once_is_ended_while_it_waits(installation, opened, monitor):
    """SIGTERM ends `once` without waiting for a monitor."""
    opened()
    monitor.answer = hang
    process = installation.start("once")
    wait_until(lambda: monitor.seen)
    began = time.monotonic()
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0  # the cycle had ended
    assert time.monotonic() - began < 3


def test_check_shows_its_host_and_calls_nothing(installation, monitor):
    """A request would look like a good cycle."""
    checked = installation.run("check")
    assert checked.returncode == 0
    assert "ok      heartbeat   will be sent to 127.0.0.1 after each good cycle" in checked.stdout
    assert monitor.seen == []
    assert "canary" not in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://canary.example.com/canary", "must begin with https://"),
        ("https://canary:canary@example.com/", "must not contain a user name or password"),
        ("canary", "must be a URL"),
        ("https://[canary", "must be a URL"),
        ("https://example.com:canary/", "must be a URL"),
        ("ftp://canary.example.com/", "must be a URL"),
        ("https://example.com/a canary", "must be a URL"),
    ],
)
@pytest.mark.parametrize("place", ["variable", "file"])
def test_what_is_not_a_url_is_refused_without_being_repeated(installation, url, why, place):
    """The command ends with exit 2. Someone who reads the message over a shoulder learns nothing."""
    if place == "file":
        (installation.directory / "heartbeat").write_text(url)
        installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL_FILE"] = "heartbeat"
    else:
        installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL"] = url
    ended = installation.run("--debug", "once")
    assert ended.returncode == 2
    assert f"The variable GLADLY_SEGMENT_HEARTBEAT__URL{'_FILE' if place == 'file' else ''}: " in ended.stderr
    assert why in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr
