"""The heartbeat as a monitor receives it: a real HTTP server, real processes."""

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
    """Answers 200 and notes what came; `answer` may be replaced."""
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


def test_one_for_each_good_cycle(installation, opened, monitor):
    """Of the daemon: as many as it logged good cycles, each a plain GET without credentials."""
    opened()
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.5s"
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished", times=3)
        assert daemon.end()[0] == 0
        good = daemon.lines("cycle.finished", outcome="ok")
    wait_until(lambda: len(monitor.seen) >= len(good) - 1)
    assert len(good) - 1 <= len(monitor.seen) <= len(good)  # the last one's may be cut off by the end
    assert set(monitor.seen) == {("GET", CANARY)}
    assert {request.header("authorization") for request in monitor.requests} == {None}


def test_once_beats_once(installation, opened, monitor):
    """Before it exits, and with its exit code."""
    opened()
    assert installation.run("once").returncode == 0
    assert monitor.seen == [("GET", CANARY)]


def test_a_degraded_cycle_is_a_good_one(installation, opened, monitor):
    """What could be read was; the bad line is in quarantine."""
    opened()
    installation.sandbox.faults.rewrite_feed(lambda lines: [*lines, b"oops\n"])
    ended = installation.run("once")
    assert '"outcome": "degraded"' in ended.stderr
    assert len(monitor.seen) == 1


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_none_for_a_failed_cycle(installation, opened, monitor, down, side):
    """Either end being down is what a monitor is for."""
    opened()
    installation.sandbox.faults.add(side, "*", down)
    assert installation.run("once").returncode == 1
    assert monitor.seen == []


def test_the_daemon_sends_none_for_a_failed_cycle(installation, opened, monitor, down):
    """Not while it lasts; the first good cycle beats again."""
    opened()
    installation.sandbox.faults.add("gladly", "*", down)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished", times=3, outcome="failed")
        assert daemon.end()[0] == 0
    assert monitor.seen == []


def test_none_for_a_dry_run(installation, opened, monitor):
    """It does nothing that anybody could rely on."""
    opened()
    assert installation.run("once", "--dry-run").returncode == 0
    assert monitor.seen == []


def test_the_url_may_come_from_a_file(installation, opened, monitor):
    """As secrets do."""
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
    """One line when it is new, one when it is over, one attempt a cycle."""
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
    """Answer a byte a second: each comes in time, the whole never does."""
    for byte in b"HTTP/1.1 200 OK and a very long reason":
        sock.sendall(bytes([byte]))
        time.sleep(1)


@pytest.mark.parametrize("answer", [hang, pytest.param(drip, marks=pytest.mark.long)])
def test_a_monitor_that_hangs_holds_up_neither_cycles_nor_the_end(installation, opened, monitor, answer):
    """Cycles go on beside it, and SIGTERM ends the daemon at once."""
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
    """And does not fail by it."""
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
    """SIGTERM does not wait for a monitor."""
    opened()
    monitor.answer = hang
    process = installation.start("once")
    wait_until(lambda: monitor.seen)
    began = time.monotonic()
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == 0  # the cycle was done
    assert time.monotonic() - began < 3


def test_check_shows_its_host_and_calls_nothing(installation, monitor):
    """A call would look like a good cycle."""
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
def test_a_url_that_is_none_is_refused_without_being_repeated(installation, url, why, place):
    """Exit 2; whoever reads the message over a shoulder learns nothing."""
    if place == "file":
        (installation.directory / "heartbeat").write_text(url)
        installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL_FILE"] = "heartbeat"
    else:
        installation.settings["GLADLY_SEGMENT_HEARTBEAT__URL"] = url
    ended = installation.run("--debug", "once")
    assert ended.returncode == 2
    assert f"heartbeat.url{'_file' if place == 'file' else ''}: " in ended.stderr
    assert why in ended.stderr
    assert "canary" not in ended.stdout + ended.stderr
