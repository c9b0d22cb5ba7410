"""A real datagram socket receives what systemd would hear from a real daemon (sd_notify(3))."""

import os
import secrets
import socket
import time
from itertools import pairwise

import pytest

from sandbox import Fault
from support.daemon import IMPATIENT, UNSCHEDULED, Daemon
from support.state_file import turn_of_a_resync
from support.waiting import wait_until


class Systemd:
    """The other end of $NOTIFY_SOCKET. An address that begins with @ is an abstract one."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.setblocking(False)
        self._heard: list[tuple[float, str]] = []

    def close(self) -> None:
        self._socket.close()

    def heard(self, prefix: str = "") -> list[tuple[float, str]]:
        """
        Return the messages so far that begin with *prefix*, each with the moment it was read (monotonic).
        """
        try:
            while True:
                self._heard.append((time.monotonic(), self._socket.recv(4_096).decode()))
        except BlockingIOError:
            return [(at, said) for at, said in self._heard if said.startswith(prefix)]


@pytest.fixture(params=["a path", "an abstract name"])
def any_systemd(request, installation):
    """A listener at either kind of address."""
    is_path = request.param == "a path"
    address = f"{installation.directory}/notify" if is_path else f"@gladly-segment-{secrets.token_hex(4)}"
    systemd = Systemd(address)
    installation.settings["NOTIFY_SOCKET"] = systemd.address
    yield systemd
    systemd.close()


@pytest.fixture
def systemd(installation):
    """A listener at a path."""
    systemd = Systemd(f"{installation.directory}/notify")
    installation.settings["NOTIFY_SOCKET"] = systemd.address
    yield systemd
    systemd.close()


def test_it_is_ready_says_how_it_stands_and_that_it_stops(installation, opened, any_systemd):
    """
    READY comes once, then a status with the cycle's figures, and STOPPING last. The watchdog is not fed
    unless it is asked for.
    """
    opened()
    with Daemon(installation) as daemon:
        wait_until(lambda: any_systemd.heard("STATUS="))
        assert daemon.end()[0] == 0
    said = [what for _, what in any_systemd.heard()]
    assert said[0] == "READY=1"
    assert said[-1] == "STOPPING=1"
    assert said[1].startswith("STATUS=Last cycle ok at 2")
    assert "created 1, closed 0, delivered 1" in said[1]
    assert len(said) == 3


def test_it_is_ready_though_an_end_is_down(installation, systemd, down):
    """systemd would kill and restart a start that waits for Gladly. The status says what is wrong."""
    installation.sandbox.faults.add("gladly", "*", down)
    with Daemon(installation):
        wait_until(lambda: systemd.heard("STATUS=Last cycle failed"))
    assert systemd.heard()[0][1] == "READY=1"
    assert "answered 503" in systemd.heard("STATUS=")[0][1]


def test_it_is_not_ready_with_wrong_settings(installation, systemd):
    """The daemon sends nothing. The exit code tells."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "often"
    assert installation.run("run").returncode == 2
    assert systemd.heard() == []


def test_the_watchdog_is_fed_twice_as_often_as_asked(installation, systemd):
    """The daemon feeds it while it idles between two cycles that are far apart."""
    installation.settings |= {"WATCHDOG_USEC": "2000000", "GLADLY_SEGMENT_SYNC__EVERY": "1h"}
    with Daemon(installation):
        wait_until(lambda: len(systemd.heard("WATCHDOG=1")) >= 4)
    times = [at for at, _ in systemd.heard("WATCHDOG=1")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert max(gaps) < 2.0
    assert min(gaps) > 0.4


@pytest.mark.parametrize(
    ("microseconds", "pid"),
    [("1000000", str(os.getpid())), ("", None), ("0", None), ("soon", None)],
    ids=["asked of another process", "empty", "zero", "no number"],
)
def test_the_watchdog_of_another_process_is_not_fed(installation, systemd, microseconds, pid):
    """WATCHDOG_PID names the process that should feed it."""
    installation.settings |= {"WATCHDOG_USEC": microseconds} | ({"WATCHDOG_PID": pid} if pid else {})
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished")
        time.sleep(1.5)
        assert daemon.end()[0] == 0
    assert systemd.heard("WATCHDOG=1") == []
    assert systemd.heard("STOPPING=1")


@pytest.mark.parametrize(
    "point",
    [
        "transaction.commit:1:sleep",
        pytest.param("cycle.begin:2:sleep", marks=pytest.mark.long),
        pytest.param("cycle.end:2:sleep", marks=pytest.mark.long),
    ],
)
def test_a_cycle_that_hangs_lets_the_watchdog_fire(installation, opened, systemd, point):
    """The main thread is alive, and that does not count. The process still ends when it is asked to."""
    opened()
    installation.settings |= {
        "WATCHDOG_USEC": "400000",
        "GLADLY_SEGMENT_SYNC__EVERY": "0.3s",
        "GLADLY_SEGMENT_FAILPOINT": point,
    }
    with Daemon(installation, program=("-c", IMPATIENT)) as daemon:
        wait_until(lambda: systemd.heard("WATCHDOG=1"))
        silent_since = wait_until(lambda: _silent(systemd, for_s=1.5))
        assert daemon.process.poll() is None
        code, took_s = daemon.end()
    assert code == 0
    assert took_s < 10
    assert systemd.heard("WATCHDOG=1")[-1][0] == silent_since


def test_a_schedule_that_has_died_lets_the_watchdog_fire(installation, systemd):
    """No cycle hangs, because none begins."""
    installation.settings |= {"WATCHDOG_USEC": "400000", "GLADLY_SEGMENT_SYNC__EVERY": "0.3s"}
    with Daemon(installation, program=("-c", UNSCHEDULED)) as daemon:
        wait_until(lambda: systemd.heard("WATCHDOG=1"))
        wait_until(lambda: _silent(systemd, for_s=1.5))
        assert daemon.end()[0] == 0
    assert installation.sandbox.gladly_requests == []


def test_a_cycle_that_gets_on_slowly_keeps_the_watchdog_fed(installation, systemd):
    """The cycle takes several times as long as a cycle may hang, and answers come now and then."""
    slow = Fault(status=500, headers={"Retry-After": "0"}, delay_s=0.6, times=None)
    installation.sandbox.faults.add("gladly", "*", slow)
    installation.settings |= {"WATCHDOG_USEC": "400000", "GLADLY_SEGMENT_SYNC__EVERY": "1h"}
    with Daemon(installation, program=("-c", IMPATIENT)) as daemon:
        assert daemon.wait_for("cycle.finished")["seconds"] > 2.5
    times = [at for at, _ in systemd.heard("WATCHDOG=1")]
    assert len(times) >= 8


def test_waiting_for_the_turn_keeps_the_watchdog_fed(installation, systemd):
    """A resync holds the turn for several times as long as a cycle may hang (faults H2.13)."""
    installation.settings |= {"WATCHDOG_USEC": "400000", "GLADLY_SEGMENT_SYNC__EVERY": "0.3s"}
    with Daemon(installation, program=("-c", IMPATIENT)) as daemon:
        daemon.wait_for("cycle.finished")
        with turn_of_a_resync(installation.state_path):
            daemon.wait_for("cycle.waiting")
            held_since = time.monotonic()
            while (held_until := time.monotonic()) < held_since + 3:
                systemd.heard()
                time.sleep(0.05)
        before = len(daemon.lines("cycle.finished"))
        daemon.wait_for("cycle.finished", times=before + 1)
    fed = [at for at, _ in systemd.heard("WATCHDOG=1") if held_since < at < held_until]
    assert max(later - earlier for earlier, later in pairwise([held_since, *fed, held_until])) < 0.8


def test_a_start_that_waits_for_the_turn_asks_for_more_time(installation, gladly_segment, systemd):
    """systemd would end a start of 90 s. The daemon says that it gets on (faults H2.13)."""
    assert gladly_segment("once").code == 0
    with turn_of_a_resync(installation.state_path), Daemon(installation) as daemon:
        daemon.wait_for("daemon.waiting")
        wait_until(lambda: systemd.heard("EXTEND_TIMEOUT_USEC="))
        assert systemd.heard("READY=1") == []
        code, took_s = daemon.end()
    assert (code, systemd.heard("READY=1")) == (0, [])
    assert took_s < 2


def _silent(systemd, for_s):
    """Return when the watchdog was last fed, or None if that is less than *for_s* seconds ago."""
    last = systemd.heard("WATCHDOG=1")[-1][0]
    return last if time.monotonic() - last > for_s else None
