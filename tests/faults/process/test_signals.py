"""SIGTERM or SIGINT comes at any moment (faults F1)."""

import contextlib
import signal
import sqlite3
import threading
import time
from collections.abc import Callable

import pytest

from sandbox import Fault, Sandbox
from support.installation import Installation
from support.processes import (
    FAILPOINT,
    Process,
    daemon_running,
    ends_within,
    running,
    stderr_of,
    stop_process,
)
from support.proxy import Action, Exchange, Proxy
from support.proxy_actions import drip
from support.recovery import assert_nothing_lost
from support.state_file import turn_of_a_resync
from support.waiting import wait_until
from support.worlds import history

pytestmark = pytest.mark.long


SIGNALS = [signal.SIGTERM, signal.SIGINT]


by_name = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


@by_name
def test_an_idle_daemon_ends_at_once(installation, number):
    """Between two cycles, the daemon ends with exit 0 in a moment (faults F1)."""
    history(installation.sandbox)
    with daemon_running(installation) as process:
        wait_until(lambda: "cycle.finished" in stderr_of(installation))
        assert ends_within(process, 2, number) == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def _hangs(reached: threading.Event, then: Action | None = None) -> Action:
    def action(exchange: Exchange) -> bool | None:
        if then is not None:
            exchange.forward()
        reached.set()
        if then is not None:
            return then(exchange)
        exchange.pause(60)
        return False

    return action


@pytest.mark.parametrize(
    ("side", "path", "then", "number"),
    [
        pytest.param("GLADLY", "/api/v1/events", None, signal.SIGTERM, id="the feed never answers"),
        pytest.param("GLADLY", "/api/v1/events", drip(2), signal.SIGINT, id="the feed drips"),
        pytest.param("GLADLY", "/api/v1/conversations/*", None, signal.SIGTERM, id="no conversation"),
        pytest.param("SEGMENT", "/v1/batch", None, signal.SIGINT, id="Segment never answers"),
        pytest.param("SEGMENT", "/v1/batch", drip(2), signal.SIGTERM, id="Segment took them and drips"),
    ],
)
def test_a_signal_in_a_hanging_request_ends_the_daemon(installation, number, side, path, then):
    """
    The socket is shut, and the daemon ends with exit 0 within five seconds. What was not committed is read
    again (faults F1).
    """
    history(installation.sandbox)
    reached, setting = threading.Event(), f"GLADLY_SEGMENT_{side}__BASE_URL"
    direct = installation.environment[setting]
    with Proxy(direct) as proxy:
        proxy.on(path, _hangs(reached, then))
        installation.settings[setting] = proxy.url
        with daemon_running(installation) as process:
            assert reached.wait(10)
            time.sleep(0.1)
            assert ends_within(process, 5, number) == 0
        # The organization's host is part of each messageId, so Gladly keeps its address.
        proxy.script.clear()
        assert_nothing_lost(installation)


@pytest.mark.parametrize(("side", "number"), [("gladly", signal.SIGTERM), ("segment", signal.SIGINT)])
def test_a_signal_in_a_retry_wait_ends_the_daemon(installation, number, side):
    """The daemon does not finish the wait between two attempts (faults F1)."""
    history(installation.sandbox)
    sandbox = installation.sandbox
    sandbox.faults.add(side, "*", Fault(status=503, headers={"Retry-After": "6"}, times=None))
    log = sandbox.gladly_log if side == "gladly" else sandbox.segment_log
    with daemon_running(installation) as process:
        wait_until(log.seen)
        assert ends_within(process, 2, number) == 0
    sandbox.faults.clear()
    assert_nothing_lost(installation)


def _is_in_a_transaction(installation: Installation) -> bool:
    if not installation.sandbox.gladly_requests:  # the tables may not be made yet
        return False
    with contextlib.closing(
        sqlite3.connect(installation.state_path, timeout=0, isolation_level=None)
    ) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            return "locked" in str(error)
    return False


def _is_hung_at(installation: Installation, name: str) -> Callable[[], bool]:
    if name.startswith(("take_in.", "transaction.commit:")):
        return lambda: _is_in_a_transaction(installation)
    if name.startswith("segment.answer"):
        return lambda: len(installation.sandbox.inbox) > 0
    if name.startswith(("transaction.committed", "gladly.answer")):  # of a look-up
        return lambda: installation.state_path.exists() and bool(installation.events())
    return lambda: bool(installation.sandbox.gladly_requests)


def test_a_signal_in_a_cycle_that_hangs_for_good_ends_the_process(tmp_path):
    """
    The cycle hangs in a transaction, after a commit, or in a POST. The daemon ends with exit 0 within ten
    seconds. The transaction is undone, and the file is whole. The three run together, since each takes the
    whole of the daemon's patience (faults F1).
    """
    points = [
        "commit.watermark:1:sleep",
        "transaction.commit:1:sleep",
        "transaction.committed:1:sleep",
        "segment.answer:1:sleep",
        "gladly.answer:3:sleep",
    ]
    with contextlib.ExitStack() as stack:
        installed: dict[str, Installation] = {}
        processes: dict[str, Process] = {}
        for point in points:
            sandbox = stack.enter_context(Sandbox(lateness_s=0, requests_per_second=None))
            (tmp_path / point).mkdir()
            history(sandbox)
            installed[point] = Installation(tmp_path / point, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m"})
            installed[point].settings[FAILPOINT] = point
            processes[point] = stack.enter_context(running(installed[point], "run"))
        for point, process in processes.items():
            wait_until(_is_hung_at(installed[point], point))
            process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        assert {point: process.wait(20) for point, process in processes.items()} == dict.fromkeys(points, 0)
        assert time.monotonic() - begun < 10
        for point, installation in installed.items():
            del installation.settings[FAILPOINT]
            was_committed = point.startswith(("transaction.committed", "segment.answer", "gladly.answer"))
            assert bool(installation.events()) == was_committed
            assert_nothing_lost(installation)
            assert bool(installation.sandbox.inbox.repeats) == point.startswith("segment.answer")


@pytest.mark.parametrize(
    ("command", "delay"),
    [("run", delay) for delay in (0, 0.02, 0.05, 0.15, 0.3)] + [("once", 0.05), ("once", 0.3)],
)
def test_a_signal_during_the_start_leaves_nothing_half_done(installation, command, delay):
    """
    The signal comes at every instant from the first one on. The process ends soon. Its code is 0, unless the
    interpreter itself was still starting, when nothing has been touched yet. The next start finds everything
    in order (faults F1).
    """
    history(installation.sandbox)
    process = installation.start(command)
    try:
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    finally:
        stop_process(process)
    assert "Traceback" not in err
    if process.returncode == -signal.SIGTERM:
        assert list(installation.directory.iterdir()) == []
    elif command == "run":
        assert process.returncode == 0, err
    else:  # `once` fails when it is stopped before its work is done, and not after that
        assert process.returncode in (0, 1), err
    assert_nothing_lost(installation)


def test_the_second_signal_ends_the_process_at_once(installation):
    """
    When the first signal meets a hang, a second one ends the process at once. Nothing is lost (faults F1).
    """
    history(installation.sandbox)
    installation.settings[FAILPOINT] = "commit.events:1:sleep"
    with running(installation, "run") as process:
        wait_until(lambda: _is_in_a_transaction(installation))
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(2) == -signal.SIGTERM
    del installation.settings[FAILPOINT]
    assert_nothing_lost(installation)


def _hang_up(process: Process, times: int) -> None:
    for _ in range(times):
        process.send_signal(signal.SIGHUP)
        time.sleep(0.1)


def test_a_hangup_does_not_end_a_daemon(installation):
    """
    A terminal is closed, or a person expects the settings to be read again. The log says that they are not
    (faults H2.16).
    """
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.2s"
    history(installation.sandbox)
    with daemon_running(installation) as process:
        wait_until(lambda: "cycle.finished" in stderr_of(installation))
        _hang_up(process, times=3)
        wait_until(lambda: "settings.kept" in stderr_of(installation))
        finished = stderr_of(installation).count("cycle.finished")
        wait_until(lambda: stderr_of(installation).count("cycle.finished") > finished + 2)
        assert ends_within(process, 2, signal.SIGTERM) == 0
    assert_nothing_lost(installation)


def test_a_hangup_does_not_end_a_daemon_that_waits_for_its_turn(installation):
    """It comes before the first cycle (faults H2.16)."""
    history(installation.sandbox)
    assert installation.run("once").returncode == 0
    with daemon_running(installation) as process:
        with turn_of_a_resync(installation.state_path):
            wait_until(lambda: "daemon.waiting" in stderr_of(installation))
            _hang_up(process, times=2)
        wait_until(lambda: "settings.kept" in stderr_of(installation))
        wait_until(lambda: "cycle.finished" in stderr_of(installation))
        assert ends_within(process, 2, signal.SIGTERM) == 0
    assert_nothing_lost(installation)


def test_a_hangup_in_a_hanging_request_does_not_end_a_daemon(installation):
    """The request goes on, and the daemon ends when it is asked to (faults H2.16)."""
    history(installation.sandbox)
    installation.sandbox.faults.add("gladly", "/api/v1/events", Fault(delay_s=2.0, times=1))
    with daemon_running(installation) as process:
        wait_until(installation.sandbox.gladly_log.seen)
        _hang_up(process, times=2)
        wait_until(lambda: "cycle.finished" in stderr_of(installation))
        assert '"outcome": "ok"' in stderr_of(installation)
        assert ends_within(process, 2, signal.SIGTERM) == 0
    assert_nothing_lost(installation)
