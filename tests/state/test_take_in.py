"""Taking in: what a chunk of changes came to is written with the watermark, all of it or nothing."""

import sqlite3
from contextlib import closing

import pytest

from state.errors import StateError, StateWriteError
from state.reader import Reader
from state.records import (
    QUARANTINED_LINE_BYTES,
    BadLine,
    CustomerMerge,
    EventStatus,
    Poll,
    Status,
    TakenIn,
    Transition,
)
from state.store import Store
from support.state_samples import content_of, conversation, eight, event, ids, outbox, query, row_of, take_in

# One of everything, so that every table is written.
EVERYTHING = TakenIn(
    position=eight(100),
    seen=[("change-1", eight(90))],
    conversations=[conversation("c-1", customer="ana"), conversation("c-2", customer="ben")],
    events=[
        event("m-1", conversation="c-1", customer="ana"),
        event("m-2", conversation="c-2", customer="ben"),
    ],
    merges=[CustomerMerge("ana", "ida", eight(50))],
    deletions={"ben": (eight(60), "customer was deleted")},
    bad_lines=[BadLine("events", "not JSON", b"{")],
)
POLL = Poll(started_at=eight(), finished_at=eight(1), changes=4)


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


@pytest.mark.parametrize(
    "table", ["seen_changes", "conversations", "customers", "events", "quarantine", "watermark"]
)
def test_where_one_write_fails_nothing_is_written(path, store, table):
    """Whichever table refuses, every table and the watermark stay as they were (semantics 4.1)."""
    take_in(store, event("m-0", customer="ben"), position=eight(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        before = content_of(path)

        with pytest.raises(StateWriteError, match="refused"):
            store.commit(EVERYTHING)

        assert content_of(path) == before
        somebody.execute("DROP TRIGGER refuse")
    store.commit(EVERYTHING)
    assert store.watermark() == eight(100)


def test_a_full_disk_loses_nothing(path, store):
    """The message names the file and what to do, the watermark has not moved, and space mends it."""
    take_in(store, event("m-0"), position=eight(1))
    before = content_of(path)
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 30}")
    large = [event(f"m-{n}", padding=20_000) for n in range(1, 100)]

    with pytest.raises(StateWriteError, match=rf"{path} could not be written.*full.*watermark has not moved"):
        take_in(store, *large, position=eight(2))

    assert content_of(path) == before
    assert (store.watermark(), ids(outbox(store))) == (eight(1), ["m-0"])
    store._connection.execute("PRAGMA max_page_count = 1000000")
    take_in(store, *large, position=eight(2))
    assert len(outbox(store)) == 100


def test_an_error_of_the_callers_rolls_back_too(path, store):
    """A record that cannot be written leaves no half of a chunk and no open transaction."""
    before = content_of(path)
    broken = BadLine("events", "not JSON", None)
    with pytest.raises(TypeError):
        store.commit(TakenIn(position=eight(), events=[event("m-1")], bad_lines=[broken]))
    assert content_of(path) == before
    take_in(store, event("m-1"), position=eight())


def test_what_is_taken_in_is_there_after_a_restart(path):
    """A committed chunk outlives the process that wrote it."""
    with Store(path) as store:
        store.commit(EVERYTHING)
    with Store(path) as store:
        assert (store.watermark(), ids(outbox(store))) == (eight(100), ["m-1"])


# --- events ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["pending", "delivered", "rejected", "suppressed"])
def test_an_event_already_recorded_stays_as_it_is(path, store, status):
    """The same transition read again has the same message id, and changes nothing (semantics 4.2)."""
    take_in(store, event("m-1", status=EventStatus(status)))
    before = content_of(path)
    take_in(store, event("m-1", email="another@example.com", at=eight(99)))
    assert content_of(path) == before


def test_an_event_that_is_refused_from_the_start_is_kept_with_its_reason(path, store):
    """What is too large to send, or of somebody deleted, is recorded and not pending."""
    take_in(
        store,
        event("m-1", status=EventStatus.REJECTED, reason="40000 bytes"),
        event("m-2", status=EventStatus.SUPPRESSED, reason="customer was deleted"),
    )
    assert outbox(store) == []
    assert row_of(path, "m-1", "status, reason, payload IS NULL") == ("rejected", "40000 bytes", 0)
    assert row_of(path, "m-2", "status, reason, payload") == ("suppressed", "customer was deleted", None)


# --- the watermark and the changes near it --------------------------------------------------------------


def test_before_the_first_poll_there_is_no_watermark(store):
    """Nothing is made up."""
    assert store.watermark() is None


def test_without_a_position_the_watermark_stays(store):
    """A chunk that ends nowhere in particular is written and moves nothing."""
    take_in(store, position=eight(1))
    take_in(store, event("m-1"))
    assert store.watermark() == eight(1)


def test_the_watermark_is_one_row_that_moves(path, store):
    """However often it moves, there is one."""
    for seconds in (1, 2, 3):
        take_in(store, position=eight(seconds))
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


def test_a_poll_and_the_watermark_it_moves_are_one_transaction(path, store):
    """Where the row of the poll cannot be written, the watermark has not moved."""
    query(path, "CREATE TRIGGER refuse BEFORE INSERT ON polls BEGIN SELECT RAISE(ABORT, 'refused'); END")
    with pytest.raises(StateWriteError):
        store.record_poll(POLL, eight(5))
    assert store.watermark() is None


def test_seen_changes_far_behind_the_watermark_are_forgotten(store):
    """Ids are kept from `seen_since` on, that instant included, so their number stays that of the overlap."""
    take_in(store, seen=[("old", eight(9.999)), ("edge", eight(10)), ("new", eight(20))])
    take_in(store, seen=[("newest", eight(30))], seen_since=eight(10))
    assert store.seen_changes() == {"edge": eight(10), "new": eight(20), "newest": eight(30)}


def test_a_reset_moves_the_watermark_and_forgets_the_seen_changes(path, store):
    """Everything since then is read anew, and what is recorded stays as it is (semantics 3.7)."""
    take_in(store, event("m-1"), position=eight(100), seen=[("change-1", eight(90))])
    store.outbox.mark_delivered(["m-1"])
    events = query(path, "SELECT * FROM events")
    store.reset_watermark(eight(-3600))
    assert (store.watermark(), store.seen_changes()) == (eight(-3600), {})
    assert query(path, "SELECT * FROM events") == events


# --- conversations and customers ------------------------------------------------------------------------


def test_a_conversation_comes_back_as_it_was_stored_with_its_transitions(store):
    """What `events` records of it comes with it, in recorded order (semantics 2.0)."""
    stored = conversation("c-1", status=Status.CLOSED, at=eight(60), closed_at=eight(60))
    take_in(
        store,
        event("m-2", conversation="c-1", transition=Transition.CLOSED, at=eight(60)),
        event("m-1", conversation="c-1", transition=Transition.CREATED, at=eight()),
        conversations=[stored],
    )
    found = store.conversations(["c-1", "c-2"])
    assert set(found) == {"c-1"}
    assert found["c-1"].recorded == [(Transition.CREATED, eight()), (Transition.CLOSED, eight(60))]
    found["c-1"].recorded.clear()
    assert found["c-1"] == stored


def test_any_number_of_conversations_can_be_asked_for(store):
    """More ids than SQLite takes parameters are asked for in slices."""
    many = [conversation(f"c-{n}") for n in range(2_000)]
    take_in(store, *(event(f"m-{n}", conversation=f"c-{n}") for n in range(2_000)), conversations=many)
    found = store.conversations(f"c-{n}" for n in range(2_500))
    assert len(found) == 2_000
    assert all(len(each.recorded) == 1 for each in found.values())


def test_a_merge_moves_the_conversations_that_are_stored(store):
    """Conversations of the source customer belong to the destination from then on (semantics 2.2)."""
    take_in(store, conversations=[conversation("c-1", customer="ana"), conversation("c-2", customer="ben")])
    take_in(store, merges=[CustomerMerge("ana", "ida", eight(50))])
    found = store.conversations(["c-1", "c-2"])
    assert (found["c-1"].customer_id, found["c-2"].customer_id) == ("ida", "ben")


# --- quarantine -----------------------------------------------------------------------------------------


def test_a_line_that_could_not_be_read_is_kept_once(path, store):
    """The overlap is read twice; the same line of the same source is the same row."""
    line, again = BadLine("events", "not JSON", b"{oops"), BadLine("report", "not JSON", b"{oops")
    take_in(store, bad_lines=[line])
    assert store.quarantine.known_bad_lines([line, again]) == {line.id}
    take_in(store, bad_lines=[line, again])
    assert query(path, "SELECT source FROM quarantine ORDER BY source") == [("events",), ("report",)]


def test_a_line_is_kept_cut_at_4_kb(path, store):
    """A line of a megabyte does not fill the file (interface 4)."""
    take_in(store, bad_lines=[BadLine("events", "not JSON", b"x" * 1_000_000)])
    assert query(path, "SELECT length(line) FROM quarantine") == [(QUARANTINED_LINE_BYTES,)]
    assert QUARANTINED_LINE_BYTES == 4_096


def test_a_line_of_any_bytes_can_be_kept(path, store):
    """NUL, broken UTF-8 and a cut in the middle of a character are no obstacle to keeping a line."""
    take_in(store, bad_lines=[BadLine("events", "not UTF-8", b"\x00\xff\xfe " + "é".encode() * 3_000)])
    with Reader(path) as reader:
        assert reader.quarantined() == 1


def test_no_sqlite_error_leaves_the_store_unexplained(store):
    """Whatever SQLite says becomes a StateError, which the commands know how to tell."""
    store._connection.execute("DROP TABLE seen_changes")
    with pytest.raises(StateError):
        store.seen_changes()
