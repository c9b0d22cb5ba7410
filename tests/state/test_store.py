"""What a chunk of changes came to is committed with the watermark; and the file is watched."""

from pathlib import Path

import pytest

from state.errors import StateFileError
from state.reader import Reader
from state.records import (
    EventStatus,
    Status,
)
from state.store import Store
from support.state_samples import (
    EVERYTHING,
    POLL,
    commit,
    content_of,
    eight,
    event,
    ids,
    outbox,
    query,
    row_of,
)


def test_everything_a_chunk_came_to_is_written(path, store):
    """Conversations, events, merges, deletions, bad lines, seen changes and the watermark."""
    store.commit(EVERYTHING)
    assert store.watermark() == eight(100)
    assert store.seen_changes() == {"change-1": eight(90)}
    assert {c.id: (c.customer_id, c.status) for c in store.conversations(["c-1", "c-2"]).values()} == {
        "c-1": ("ida", Status.OPEN),
        "c-2": ("ben", Status.DELETED),
    }
    assert ids(outbox(store)) == ["m-1"]
    assert store.deleted_customers(["ana", "ben"]) == {"ben": "customer was deleted"}
    assert query(path, "SELECT source, reason, line FROM quarantine") == [("events", "not JSON", "{")]


def test_what_is_taken_in_is_there_after_a_restart(path):
    """A committed chunk outlives the process that wrote it."""
    with Store(path) as store:
        store.commit(EVERYTHING)
    with Store(path) as store:
        assert (store.watermark(), ids(outbox(store))) == (eight(100), ["m-1"])


@pytest.mark.parametrize("status", ["pending", "delivered", "rejected", "suppressed"])
def test_an_event_already_recorded_stays_as_it_is(path, store, status):
    """The same transition read again has the same message id, and changes nothing (semantics 4.2)."""
    commit(store, event("m-1", status=EventStatus(status)))
    before = content_of(path)
    commit(store, event("m-1", email="another@example.com", at=eight(99)))
    assert content_of(path) == before


def test_an_event_that_is_refused_from_the_start_is_kept_with_its_reason(path, store):
    """What is too large to send, or of somebody deleted, is recorded and not pending."""
    commit(
        store,
        event("m-1", status=EventStatus.REJECTED, reason="40000 bytes"),
        event("m-2", status=EventStatus.SUPPRESSED, reason="customer was deleted"),
    )
    assert outbox(store) == []
    assert row_of(path, "m-1", "status, reason, payload IS NULL") == ("rejected", "40000 bytes", 0)
    assert row_of(path, "m-2", "status, reason, payload") == ("suppressed", "customer was deleted", None)


def test_before_the_first_poll_there_is_no_watermark(store):
    """Nothing is made up."""
    assert store.watermark() is None


def test_without_a_position_the_watermark_stays(store):
    """A chunk that ends nowhere in particular is written and moves nothing."""
    commit(store, position=eight(1))
    commit(store, event("m-1"))
    assert store.watermark() == eight(1)


def test_the_watermark_is_one_row_that_moves(path, store):
    """However often it moves, there is one."""
    for seconds in (1, 2, 3):
        commit(store, position=eight(seconds))
    assert query(path, "SELECT feed, position FROM watermark") == [
        ("conversations", "2026-11-20T08:00:03.000Z")
    ]


def test_a_finished_cycle_is_a_row_with_its_figures(path, store):
    """What a cycle did can be read afterwards (interface 4)."""
    store.record_poll(POLL)
    assert query(
        path, "SELECT started_at, finished_at, window_start, changes, outcome, error FROM polls"
    ) == [("2026-11-20T08:00:00.000Z", "2026-11-20T08:00:01.000Z", None, 4, "ok", None)]


def test_a_poll_that_found_nothing_moves_the_watermark_with_its_own_row(path, store):
    """An idle cycle costs one write."""
    store.record_poll(POLL, eight(5))
    assert store.watermark() == eight(5)
    store.record_poll(POLL)
    assert (store.watermark(), query(path, "SELECT count(*) FROM polls")) == (eight(5), [(2,)])


def test_seen_changes_far_behind_the_watermark_are_forgotten(store):
    """Ids are kept from `seen_since` on, that instant included, so their number stays that of the overlap."""
    commit(store, seen=[("old", eight(9.999)), ("edge", eight(10)), ("new", eight(20))])
    commit(store, seen=[("newest", eight(30))], seen_since=eight(10))
    assert store.seen_changes() == {"edge": eight(10), "new": eight(20), "newest": eight(30)}


def test_a_reset_moves_the_watermark_and_forgets_the_seen_changes(path, store):
    """Everything since then is read anew, and what is recorded stays as it is (semantics 3.7)."""
    commit(store, event("m-1"), position=eight(100), seen=[("change-1", eight(90))])
    store.outbox.mark_delivered(["m-1"])
    events = query(path, "SELECT * FROM events")
    store.reset_watermark(eight(-3600))
    assert (store.watermark(), store.seen_changes()) == (eight(-3600), {})
    assert query(path, "SELECT * FROM events") == events


def move(path):
    path.rename(path.with_suffix(".moved"))


def delete(path):
    path.unlink()


def replace(path):
    copy = path.with_suffix(".copy")
    with Reader(path) as reader:
        reader.copy_to(copy)
    copy.rename(path)


@pytest.mark.parametrize("take_away", [move, delete, replace])
def test_a_file_that_is_taken_away_is_noticed(path, store, take_away):
    """Writing on into what nobody will open again would lose it (faults C10)."""
    store.check_still_there()
    take_away(path)
    with pytest.raises(StateFileError, match=f"{path} was moved, deleted or replaced"):
        store.check_still_there()


def test_damaged_pages_are_found(path):
    """SQLite looks at each of them once (faults C9)."""
    with Store(path) as store:
        commit(store, *(event(f"m-{n}", padding=500) for n in range(200)))
        store.check_pages()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + b"\xa5" * 4096 + whole[len(whole) // 2 + 4096 :])
    with Store(path) as store, pytest.raises(StateFileError, match="is damaged"):
        store.check_pages()


@pytest.mark.timeout(10)
def test_closing_twice_is_closing_once(path):
    """A second close does nothing, hangs nothing, and takes the file from nobody."""
    first = Store(path)
    first.close()
    with Store(path) as second:
        first.close()
        commit(second, event("m-1"))


def test_a_store_that_could_not_be_opened_keeps_nothing_open(path):
    """A refused file can be replaced and opened by the same process, however often it was tried."""
    path.write_bytes(b"Dear diary, " * 500)
    before = set(Path("/dev/fd").iterdir())
    for _ in range(3):
        with pytest.raises(StateFileError):
            Store(path)
    assert len(set(Path("/dev/fd").iterdir())) == len(before)
    path.unlink()
    Store(path).close()
