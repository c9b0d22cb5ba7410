"""`serve`: one door, one file, read while it is written; it ends when it is told to."""

import selectors
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from inspector.server import bind, look_at, serve
from state.errors import NewerSchemaError, StateFileError
from state.instants import utc_now
from state.records import EventStatus, TakenIn, Transition
from state.store import Store
from support.inspector_samples import at, fill, make_event, served

pytestmark = pytest.mark.long


# Events a second while the inspector is open, and for how long; by hand it ran for 5 minutes.
RATE, SECONDS = 50, 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_with_exit_0(state_path: Path, number: signal.Signals) -> None:
    """Also with no state file yet, and without a word on either stream but the address."""
    with served(state_path) as (url, process):
        assert requests.get(url, timeout=5).status_code == 200
        began = time.monotonic()
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")
        assert time.monotonic() - began < 5


def test_it_listens_on_loopback_only(state_path: Path) -> None:
    """Nobody else on the network reads the state file, unless asked for."""
    with served(state_path) as (url, _):
        assert url.startswith("http://127.0.0.1:")


@contextmanager
def tunnel(port: int) -> Iterator[int]:
    """A port that leads to another port of this machine, as `ssh -L` makes one."""

    def hand_over(end: socket.socket, other: socket.socket) -> bool:
        data = end.recv(65_536)
        other.sendall(data)
        return bool(data)

    def carry() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            with (
                near,
                socket.create_connection(("127.0.0.1", port)) as far,
                selectors.DefaultSelector() as waiting,  # takes descriptors of any number
            ):
                for end, other in ((near, far), (far, near)):
                    waiting.register(end, selectors.EVENT_READ, other)
                while all(hand_over(key.fileobj, key.data) for key, _ in waiting.select()):
                    pass

    listening = bind("127.0.0.1", 0)
    thread = threading.Thread(target=carry, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(timeout=5)


def test_the_printed_address_opens_through_a_tunnel(filled: Path) -> None:
    """With the tunnel's port in place of its own, the token becomes a cookie, and the pages open."""
    with served(filled) as (url, _):
        port = urlsplit(url).port
        assert port
        with tunnel(port) as near, requests.Session() as session:
            session.headers["connection"] = "close"
            answer = session.get(url.replace(f":{port}/", f":{near}/"), timeout=5)
            assert answer.status_code == 200
            assert answer.url == f"http://127.0.0.1:{near}/"
            assert session.get(f"http://127.0.0.1:{near}/overview", timeout=5).status_code == 200
            assert requests.get(f"http://127.0.0.1:{near}/overview", timeout=5).status_code == 403


def test_a_taken_port_is_an_error_before_anything_is_served(state_path: Path) -> None:
    """The command says so; nothing is left listening."""
    with closing(bind("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        serve(state_path, port=taken.getsockname()[1], open_browser=False)


def test_what_is_no_state_file_is_refused(tmp_path: Path, filled: Path) -> None:
    """With the sentences of every other command; a missing file is none yet."""
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE t (x)")
    with pytest.raises(StateFileError, match="another program"):
        look_at(other)
    with pytest.raises(StateFileError, match="does not exist"):
        look_at(tmp_path / "nowhere" / "gladly-segment.db")
    with closing(sqlite3.connect(filled)) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(NewerSchemaError):
        look_at(filled)
    look_at(tmp_path / "not-yet.db")


def test_an_address_is_given_in_the_form_a_browser_takes() -> None:
    """IPv6 in brackets, where this machine has it."""
    try:
        with closing(bind("::1", 0)) as listening:
            assert listening.family is socket.AF_INET6
    except OSError:
        pytest.skip("no IPv6 on loopback here")


def test_reading_leaves_the_file_as_it_is(state_path: Path) -> None:
    """Every page, and the file is byte for byte what it was; no log of ours beside it grows."""
    fill(state_path)
    before = state_path.read_bytes()
    with served(state_path) as (url, _):
        for page in ("", "overview", "conversation?id=conversation-1", "state", "state/events", "api/events"):
            assert requests.get(at(url, page), timeout=10).ok
    assert state_path.read_bytes() == before
    assert sum(part.stat().st_size for part in state_path.parent.glob("*-wal")) == 0


_WRITER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[4])
from support.inspector_samples import make_event
from state.records import TakenIn, Transition
from state.store import Store
from state.instants import utc_now
path, rate, seconds = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
began, number = time.monotonic(), 0
with Store(path) as store:
    while number < rate * seconds:
        if number > (time.monotonic() - began) * rate:
            time.sleep(0.005)
            continue
        number += 1
        now = utc_now()
        event = make_event(number, Transition.CREATED, now)
        store.commit(TakenIn(position=now, events=[event]))
        store.outbox.mark_delivered([event.message_id])
print(number)
"""


def test_reading_and_writing_do_not_meet(state_path: Path) -> None:
    """With 50 events a second being written, every page answers, and no lock is met on either side."""
    fill(state_path)
    with served(state_path) as (url, process):
        writer = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WRITER,
                str(state_path),
                str(RATE),
                str(SECONDS),
                str(Path(__file__).parents[1]),
            ],
            cwd=Path(__file__).parents[2],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        answers = []
        session = requests.Session()
        while writer.poll() is None:
            for page in (
                "overview",
                "api/events",
                "api/events?q=conversation-1",
                "state/events",
                "state/daily_counts",
            ):
                answers.append(session.get(at(url, page), timeout=10).status_code)
        out, err = writer.communicate()
        process.send_signal(signal.SIGTERM)
        _, complaints = process.communicate(timeout=10)
    assert (writer.returncode, err) == (0, "")
    assert int(out) == RATE * SECONDS
    assert set(answers) == {200}
    assert len(answers) > 20
    assert complaints == ""


def test_a_daemon_that_ends_and_starts_again_is_followed(state_path: Path) -> None:
    """
    The last writer to close the file would delete the log under a reader that had lost its lock; what is
    written afterwards must still be seen.
    """
    with served(state_path) as (url, _):
        for number in range(1, 4):
            with Store(state_path) as store:
                event = make_event(number, Transition.CREATED, utc_now(), status=EventStatus.PENDING)
                store.commit(TakenIn(events=[event]))
            assert len(requests.get(at(url, "api/events"), timeout=5).json()["events"]) == number
