"""A reader works beside the writer, delays it never and writes nothing."""

import sqlite3
import threading
from contextlib import closing

from state.instants import to_text, utc_now
from state.queries.counts import EVENT_STATUSES
from state.reader import Reader, read_status
from state.records import Poll
from state.schema.version import APPLICATION_ID, SCHEMA_VERSION
from state.store import Store
from support.state_samples import (
    NEXT_RELEASE,
    commit,
    eight,
    event,
    query,
    whole_file,
)


def test_readers_never_keep_the_writer_waiting(path, store):
    """Over two hundred commits with a reader that looks all the time, nobody meets a lock."""
    done = threading.Event()
    counts, failures = [], []

    def look():
        try:
            while not done.is_set():
                with Reader(path) as reader:
                    counts.append(sum(reader.event_counts().values()))
                    reader.needs_attention()
        except Exception as error:
            failures.append(error)

    reading = threading.Thread(target=look)
    reading.start()
    try:
        for n in range(200):
            commit(store, event(f"m-{n}"), position=eight(n))
    finally:
        done.set()
        reading.join()

    assert failures == []
    assert counts == sorted(counts)
    assert len(counts) > 1
    assert query(path, "SELECT count(*) FROM events") == [(200,)]


def test_a_reader_writes_nothing(path, store):
    """Every question there is leaves the file byte for byte as it was."""
    commit(store, event("m-1"), position=eight())
    store.record_poll(Poll(started_at=eight(), finished_at=eight(1)))
    before = path.read_bytes(), path.with_name("state.db-wal").read_bytes()
    with Reader(path) as reader:
        reader.events()
        reader.last_poll()
        reader.needs_attention()
        assert reader.quick_check() == "ok"
    assert (path.read_bytes(), path.with_name("state.db-wal").read_bytes()) == before


def test_a_new_file_answers_every_question(path, store):
    """Before the first cycle everything is empty, and nothing is an error."""
    with Reader(path) as reader:
        assert reader.watermark() is None
        assert reader.last_poll() is None
        assert reader.last_success() is None
        assert reader.oldest_pending() is None
        assert reader.event_counts() == dict.fromkeys(EVENT_STATUSES, 0)
        assert reader.conversation_counts() == {
            "open": 0,
            "waiting": 0,
            "closed": 0,
            "merged": 0,
            "deleted": 0,
        }
        assert reader.counts_since(to_text(eight())) == {"events": 0, "replayable": 0}
        assert (reader.requests_since(to_text(eight())), reader.quarantined()) == (0, 0)
        assert (reader.events(), reader.needs_attention(), reader.last_event()) == ([], [], 0)
        assert list(reader.events_after(0)) == []
        assert reader.quick_check() == "ok"


def test_a_copy_is_whole_while_the_writer_writes_on(path, busy, tmp_path):
    """What a dry run works on holds everything committed, the write-ahead log's part included."""
    with Reader(path) as reader:
        reader.copy_to(tmp_path / "copy.db")
    commit(busy, event("later"))
    with Reader(tmp_path / "copy.db") as copy:
        assert [e["message_id"] for e in copy.events()] == ["m-4", "m-3", "m-2", "m-1"]
        assert copy.watermark()["position"] == to_text(eight(90))


def test_reading_an_older_file_changes_nothing(older):
    """`status` and the other reading commands answer, beside a daemon that has not been restarted yet."""
    before = whole_file(older)
    with Reader(older, NEXT_RELEASE) as reader:
        assert reader.quarantined() == 0
        assert [need["what"] for need in reader.needs_attention()] == ["gap clock"]
        assert (reader.event_counts()["pending"], reader.version()) == (1, SCHEMA_VERSION)
    assert read_status(older, utc_now(), NEXT_RELEASE)["watermark"] == to_text(eight())
    assert whole_file(older) == before


def test_a_creation_that_was_cut_short_is_completed(path):
    """A file that got its mark and nothing else is empty to a reader, and is finished by a writer."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    with Reader(path) as reader:
        assert (reader.watermark(), reader.event_counts()["pending"], reader.events()) == (None, 0, [])
    with Store(path) as store:
        assert store.watermark() is None
