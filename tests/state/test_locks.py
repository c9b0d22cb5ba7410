"""Who may write the state file: one process for each role, and the roles take turns."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from itertools import groupby

import pytest

from state.errors import StateLockedError
from state.locks import RESYNC
from state.reader import Reader
from state.role_watch import Holder, RoleWatch
from state.store import Store
from support.state_samples import commit, event, outbox


class NoPatience(Exception):
    """Somebody else has the turn, and that is all we wanted to know."""


def give_up(_seconds):
    raise NoPatience


@pytest.fixture
def resync(path, store):
    """A second store on the file, as a resync opens it beside the daemon."""
    with Store(path, RESYNC) as opened:
        yield opened


def test_a_resync_writes_beside_the_daemon(path, store, resync):
    """Both see what the other has committed."""
    commit(store, event("m-1"))
    commit(resync, event("m-2"))
    assert len(outbox(store)) == len(outbox(resync)) == 2


def test_there_is_one_resync_at_a_time(path, resync):
    """A second one is told what holds the file."""
    with pytest.raises(StateLockedError, match="a resync"):
        Store(path, RESYNC)


def test_whoever_has_the_turn_has_it_alone(store, resync):
    """The other waits, is told so once, and has it afterwards."""
    told = []
    with store.turn(), pytest.raises(NoPatience), resync.turn(give_up, lambda: told.append(1)):
        pytest.fail("two had the turn")
    assert told == [1]
    with resync.turn(give_up):
        pass


def test_the_threads_of_a_process_take_turns_too(store):
    """A cycle and an audit share one connection. The locks on files belong to the process as a whole."""
    told, has_it, may_end = [], threading.Event(), threading.Event()

    def work():
        with store.turn():
            has_it.set()
            may_end.wait(5)

    other = threading.Thread(target=work)
    other.start()
    has_it.wait(5)
    with pytest.raises(NoPatience), store.turn(give_up, lambda: told.append(1)):
        pytest.fail("two had the turn")
    assert (told, store.looks_for_the_turn) == ([1], 1)
    may_end.set()
    other.join()
    with store.turn(give_up):
        pass


def test_the_turns_go_round(store, resync):
    """
    A process that gives the turn back and wants it again at once gets it after the other one, which waits
    (faults H2.5).
    """
    until, turns = time.monotonic() + 1.5, []

    def take_turns(name, opened):
        while time.monotonic() < until:
            with opened.turn():
                turns.append(name)
                time.sleep(0.1)

    threads = [
        threading.Thread(target=take_turns, args=named) for named in (("main", store), ("resync", resync))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(turns) >= 8
    assert max(len(list(row)) for _, row in groupby(turns)) <= 2, turns


def test_whoever_gives_up_waiting_holds_nobody_up(store, resync):
    """Its place in the queue is free again."""
    with store.turn(), pytest.raises(NoPatience), resync.turn(give_up):
        pytest.fail("two had the turn")
    with store.turn(give_up), pytest.raises(NoPatience), resync.turn(give_up):
        pytest.fail("two had the turn")
    with resync.turn(give_up):
        pass


def test_a_turn_ends_with_an_error_too(store, resync):
    """Whatever happened in it."""
    with pytest.raises(ZeroDivisionError), store.turn():
        raise ZeroDivisionError
    with resync.turn(give_up):
        pass


_HOLD_THE_FILE = """
import sys
from pathlib import Path
from state.store import Store
with Store(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(path):
    """Let another process be the writer; it is killed at the end at the latest."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD_THE_FILE, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_process_at_a_time_writes(path):
    """A second writer is told which process is the first, which is not disturbed; a reader may read on."""
    with held_by_another_process(path) as holder:
        with pytest.raises(StateLockedError, match=rf"held by process {holder.pid} "):
            Store(path)
        with Reader(path) as reader:
            assert reader.watermark() is None
        assert holder.poll() is None


def test_one_process_at_a_time_writes_whatever_it_calls_the_file(path):
    """A link to the file is the file: through it there is no second writer."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with Store(path), pytest.raises(StateLockedError):
        Store(link)


def test_the_lock_dies_with_its_process(path):
    """After SIGKILL the file can be written at once: no lock file has to be removed by hand."""
    with held_by_another_process(path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with Store(path) as store:
            commit(store, event("m-1"))
            assert len(outbox(store)) == 1


def test_who_runs_cycles_is_seen_without_a_lock_and_without_a_file(path):
    """The process id while it lives, and nobody after it was killed. No file is made for the look."""
    with RoleWatch(path) as watch:
        assert watch.holder() == Holder(False)
    assert list(path.parent.iterdir()) == []
    with held_by_another_process(path) as holder, RoleWatch(path) as watch:
        before = {file: file.stat().st_mtime_ns for file in path.parent.iterdir()}
        assert watch.holder() == Holder(True, holder.pid)
        assert watch._is_lock_file_held()
        assert {file: file.stat().st_mtime_ns for file in path.parent.iterdir()} == before
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert watch.holder() == Holder(False)
        assert not watch._is_lock_file_held()
        with Store(path):
            pass  # the look has left no lock


def test_who_runs_cycles_is_seen_by_any_name_and_without_its_lock_file(path):
    """The lock is on the file itself. Without the lock file, the process is not known."""
    link = path.with_name("link.db")
    link.symlink_to(path)
    with held_by_another_process(path) as holder:
        path.with_name("state.db.lock").unlink()
        with RoleWatch(link) as watch:
            assert watch.holder() == Holder(True, None)
        assert holder.poll() is None


def test_a_resync_is_nobody_who_runs_cycles(path):
    """Another role is another lock."""
    with Store(path, RESYNC), RoleWatch(path) as watch, RoleWatch(path, RESYNC) as of_resyncs:
        assert (watch.holder().is_there, of_resyncs.holder().is_there) == (False, True)
