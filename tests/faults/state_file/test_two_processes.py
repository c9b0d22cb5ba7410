"""A second writer, a child process or another thread uses the state file (faults C3, C13)."""

import signal
import subprocess
import threading

import pytest

from state.errors import StateLockedError
from state.store import Store
from support.checker import problems
from support.chunks import commits_in, nth_chunk
from support.processes import errors_of, running
from support.recovery import assert_nothing_lost
from support.waiting import wait_until
from support.worlds import history

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
