"""A second writer, a child process or another thread uses the state file (faults C3, C13)."""

import signal
import subprocess
import threading
from datetime import timedelta
from itertools import pairwise

import pytest

from sandbox.world.bulk import fill
from state.errors import StateLockedError
from state.store import Store
from support.checker import problems
from support.chunks import commits_in, nth_chunk
from support.processes import cycles_of, errors_of, running
from support.recovery import assert_nothing_lost
from support.waiting import wait_until
from support.worlds import history
from sync.pipeline.resync import TURN_S

pytestmark = pytest.mark.long


def test_a_second_writer_is_turned_away_and_the_first_not_disturbed(installation):
    """The second writer ends with exit 4 and names the first. A killed process holds no lock (faults C3)."""
    history(installation.sandbox)
    with running(installation, "run") as first:
        wait_until(lambda: problems(installation.sandbox) == [])
        wait_until(lambda: installation.events(status="delivered"))
        for command in ("run", "once"):
            second = installation.run(command)
            assert second.returncode == 4
            assert f"is held by process {first.pid}" in errors_of(second)
        assert first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert installation.run("once").returncode == 0
    assert_nothing_lost(installation)
    assert installation.sandbox.inbox.repeats.total() == 0


def test_a_resync_and_the_daemon_take_turns_fairly(installation):
    """
    While a resync of 3,000 transitions goes on, the daemon's cycles are at most two intervals and one of the
    resync's turns apart (faults H2.5).
    """
    every_s = 0.5
    two_days_ago = installation.sandbox.clock.now() - timedelta(days=2)
    fill(installation.sandbox.world, conversations=1_500, closed_fraction=1.0, at=two_days_ago)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = f"{every_s}s"
    with running(installation, "run") as daemon:
        wait_until(lambda: len(cycles_of(installation)) > 1)
        before = len(cycles_of(installation))
        resync = installation.run("resync", "--since", "60h", "--until", "36h", timeout=100)
        assert resync.returncode == 0, resync.stderr
        ends = [ended for _, ended in cycles_of(installation)[before - 1 :]]
        assert daemon.poll() is None
    assert len(installation.events()) == 3_000
    assert len(ends) >= 4
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(ends)]
    assert max(gaps) < 2 * every_s + TURN_S + 1.0, gaps


def test_the_store_serves_a_thread_that_did_not_open_it(tmp_path):
    """The scheduler's thread uses what the main thread opened, without a ProgrammingError (faults C13)."""
    with Store(tmp_path / "state.db") as store:
        failures = []

        def use() -> None:
            try:
                store.commit(nth_chunk(1))
            except Exception as error:
                failures.append(error)

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert failures == []
        assert commits_in(store) == 1


def test_a_child_process_keeps_neither_the_lock_nor_the_file(tmp_path):
    """
    A child process inherits nothing of the state file. The lock is free once the program has ended
    (faults C13).
    """
    with Store(tmp_path / "state.db"):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
        with pytest.raises(StateLockedError):
            Store(tmp_path / "state.db")
    try:
        Store(tmp_path / "state.db").close()
    finally:
        child.kill()
        child.wait()
