"""Others read the state file while the program writes it (faults C4, C12)."""

import contextlib
import shutil
import sqlite3
import threading

import pytest

from state.reader import Reader
from state.store import Store
from support.chunks import commits_in, nth_chunk
from support.recovery import assert_nothing_lost, run_until_delivered
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


def test_readers_neither_wait_nor_disturb(tmp_path):
    """
    One process writes while readers run in a loop. They are never told "locked", and see whole commits only
    (faults C4).
    """
    path, failures, seen = tmp_path / "state.db", [], set()
    with Store(path) as store:
        store.commit(nth_chunk(1))
        over = threading.Event()

        def read() -> None:
            while not over.is_set():
                try:
                    with Reader(path) as reader:
                        position = reader.watermark()
                        assert position is not None
                        seen.add(reader.event_counts()["pending"])
                        assert reader.quick_check() == "ok"
                except Exception as error:
                    failures.append(error)

        readers = [threading.Thread(target=read) for _ in range(2)]
        for thread in readers:
            thread.start()
        for number in range(2, 120):
            store.commit(nth_chunk(number))
        over.set()
        for thread in readers:
            thread.join()
        assert failures == []
        assert commits_in(store) == 119
    assert len(seen) > 1


def test_a_reader_never_writes_the_file(tmp_path):
    """
    A reader does not even tidy up after a writer that was killed. Only a writer copies the log into the file
    (faults C4).
    """
    path = tmp_path / "state.db"
    with Store(path) as store:
        store.commit(nth_chunk(1))
        shutil.copy(path, tmp_path / "copy.db")
        shutil.copy(path.with_name("state.db-wal"), tmp_path / "copy.db-wal")
    before = [(tmp_path / name).read_bytes() for name in ("copy.db", "copy.db-wal")]
    for _ in range(3):
        with Reader(tmp_path / "copy.db") as reader:
            assert reader.event_counts()["pending"] == 1
    assert [(tmp_path / name).read_bytes() for name in ("copy.db", "copy.db-wal")] == before


def test_a_long_reader_delays_the_tidying_and_nothing_else(installation):
    """
    Cycles go on beside the reader. Once it has gone, the log is copied into the file and cut to nothing
    (faults C12).
    """
    history(installation.sandbox)
    run_until_delivered(installation)
    log = installation.state_path.with_name(installation.state_path.name + "-wal")
    with contextlib.closing(
        sqlite3.connect(installation.state_path.as_uri() + "?mode=ro", uri=True, isolation_level=None)
    ) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT count(*) FROM events").fetchone()
        for _ in range(2):
            people_writing_in(installation.sandbox, 40, seconds_ago=20)
            assert installation.run("once", timeout=8).returncode == 0
        assert reader.execute("SELECT count(*) FROM events").fetchone() == before
        grown = log.stat().st_size
        assert grown > 0
    run_until_delivered(installation)
    assert not log.exists() or log.stat().st_size < grown
    assert_nothing_lost(installation)
