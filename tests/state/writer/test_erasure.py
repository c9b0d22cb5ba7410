"""Forgetting (semantics 5): what is erased is gone from the bytes of the file and of its siblings."""

import random
import sqlite3
import time
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from state.instants import utc_now
from state.records import CustomerMerge, EventStatus, Status, TakenIn
from state.store import Store
from state.writer.erasure import WipeTiming
from support.state_samples import commit, conversation, eight, event, files_holding, outbox, query, row_of

GONE = "customer was deleted"


def delete(store, *customers):
    """Take in that these customers were deleted."""
    store.commit(TakenIn(deletions=dict.fromkeys(customers, (eight(500), GONE))))


@contextmanager
def a_reader_in_the_way(path):
    """A connection that holds on to the file as it is now, as somebody's open query does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        yield reader


@pytest.mark.parametrize(
    ("status", "becomes", "reason"),
    [
        (EventStatus.PENDING, "suppressed", GONE),
        (EventStatus.REJECTED, "suppressed", GONE),
        (EventStatus.DELIVERED, "delivered", "as before"),
        (EventStatus.SUPPRESSED, "suppressed", "as before"),
    ],
)
def test_what_is_kept_of_a_deleted_customer_is_erased(path, store, status, becomes, reason):
    """Every payload goes; what was still to be sent, or could be retried, never is (semantics 5.1)."""
    commit(store, event("m-1", status=status, reason="as before"))
    delete(store, "customer")
    assert row_of(path, "m-1", "status, reason, payload") == (becomes, reason, None)
    assert outbox(store) == []


def test_an_event_that_comes_with_its_customers_deletion_is_not_sent(path, store):
    """Nothing about a customer is sent once the deletion is known, also from the same chunk."""
    store.commit(TakenIn(events=[event("m-1")], deletions={"customer": (eight(), GONE)}))
    assert row_of(path, "m-1", "status, payload") == ("suppressed", None)


def test_a_retry_or_a_replay_brings_nothing_of_a_deleted_customer_back(store):
    """What is erased cannot be sent."""
    commit(store, event("m-1"), event("m-2"))
    store.outbox.mark_delivered(["m-1"])
    store.outbox.mark_rejected("m-2", "refused")
    delete(store, "customer")
    again = [store.outbox.retry(None), store.outbox.retry(["m-2"]), store.outbox.replay(eight(-1))]
    assert again == [0, 0, 0]
    assert outbox(store) == []


def test_the_conversations_of_a_deleted_customer_are_deleted(store):
    """But for those merged away before, which end as they did."""
    commit(
        store,
        conversations=[
            conversation(status.value, customer="customer", status=status)
            for status in (Status.OPEN, Status.WAITING, Status.CLOSED, Status.MERGED)
        ],
    )
    delete(store, "customer")
    found = store.conversations(["OPEN", "WAITING", "CLOSED", "MERGED"])
    assert {id_: c.status for id_, c in found.items()} == {
        "OPEN": Status.DELETED,
        "WAITING": Status.DELETED,
        "CLOSED": Status.DELETED,
        "MERGED": Status.MERGED,
    }


def test_a_deletion_is_remembered(store):
    """Of a customer deleted once nothing is sent later either, and the first reason stands."""
    delete(store, "customer")
    store.commit(TakenIn(deletions={"customer": (eight(900), "customer's profile is gone (404)")}))
    assert store.deleted_customers(["customer", "other"]) == {"customer": GONE}


def test_everyone_merged_into_a_deleted_customer_is_erased_with_them(path, store):
    """Over a chain of merges, in whatever order they are known, and nobody else's."""
    people = ["ana", "ben", "cleo", "dora"]
    commit(
        store,
        *(event(f"m-{name}", customer=name, email=f"{name}@example.com") for name in people),
        conversations=[conversation(f"c-{name}", customer=name) for name in people],
    )
    commit(store, merges=[CustomerMerge("ben", "cleo", eight(20))])
    commit(store, merges=[CustomerMerge("ana", "ben", eight(10))])
    store.outbox.mark_delivered(["m-ana"])
    store.outbox.mark_rejected("m-ben", "refused")

    delete(store, "cleo")

    assert [row_of(path, f"m-{name}", "status, payload IS NULL") for name in people] == [
        ("delivered", 1),
        ("suppressed", 1),
        ("suppressed", 1),
        ("pending", 0),
    ]
    assert {c.id: c.status.value for c in store.conversations([f"c-{name}" for name in people]).values()} == {
        "c-ana": "DELETED",
        "c-ben": "DELETED",
        "c-cleo": "DELETED",
        "c-dora": "OPEN",
    }
    assert {name: files_holding(path, f"{name}@example.com") != [] for name in people} == {
        "ana": False,
        "ben": False,
        "cleo": False,
        "dora": True,
    }


def test_a_circle_of_merges_ends(path, store):
    """Merges that lead back to where they began, which nobody should record, hang nothing."""
    commit(
        store,
        event("m-1", customer="ana"),
        merges=[CustomerMerge("ana", "ben", eight(1)), CustomerMerge("ben", "ana", eight(2))],
    )
    delete(store, "ben")
    assert row_of(path, "m-1", "status") == ("suppressed",)


@pytest.mark.parametrize("padding", [0, 10_000], ids=["small", "over several pages"])
@pytest.mark.parametrize("status", ["pending", "delivered", "rejected"])
def test_nothing_of_an_erased_payload_is_left_in_the_files(path, store, status, padding):
    """The e-mail is in no byte of the state file, its write-ahead log or its index, at once."""
    commit(store, event("m-0", customer="other", email="other@example.com"))
    commit(store, event("m-1", status=EventStatus(status), padding=padding))
    assert files_holding(path, "zoe@example.com") != []
    delete(store, "customer")
    assert files_holding(path, "zoe@example.com") == []
    assert files_holding(path, "other@example.com") != []


def test_nothing_is_left_in_the_files_where_pages_have_been_rearranged(path, store):
    """
    Also among many events of many sizes, whose cells SQLite has moved from page to page, copies that
    moving left behind are gone.
    """
    rng = random.Random(1)  # every size there is, in an order that makes pages split
    for chunk in range(0, 3_000, 50):
        commit(
            store,
            *(
                event(
                    f"m-{n}",
                    customer=f"customer-{n % 200}",
                    email=f"person-{n % 200}@example.com",
                    padding=rng.choice([50, 200, 800, 3_000, 9_000]),
                )
                for n in range(chunk, chunk + 50)
            ),
        )
    message_ids = [f"m-{n}" for n in range(3_000)]
    rng.shuffle(message_ids)
    for first in range(0, 3_000, 300):
        store.outbox.mark_delivered(message_ids[first : first + 300])

    delete(store, *(f"customer-{n}" for n in range(0, 200, 2)))

    left = [n for n in range(0, 200, 2) if files_holding(path, f"person-{n}@")]
    assert left == []
    assert files_holding(path, "person-1@") != []


def test_a_reader_in_the_way_delays_the_wiping_and_not_the_writer(path, store):
    """
    While somebody reads an older state its bytes must stay; the store goes on at once, and wipes when it is
    asked to after the reader has gone.
    """
    commit(store, event("m-1"))
    with a_reader_in_the_way(path):
        began = time.monotonic()
        delete(store, "customer")
        took_s = time.monotonic() - began
        assert row_of(path, "m-1", "payload") == (None,)
    store.erasure.wipe(utc_now())
    assert files_holding(path, "zoe@example.com") == []
    assert took_s < 5


def test_what_could_not_be_wiped_is_wiped_after_a_restart(path):
    """A reader that outlives a restart delays the wiping still, and does not prevent it."""
    store = Store(path)
    store._connection.execute("PRAGMA busy_timeout = 50")  # how long it waits is the test before's
    commit(store, event("m-1"))
    with a_reader_in_the_way(path) as reader:
        delete(store, "customer")
        store.close()
        with Store(path) as again:
            reader.execute("COMMIT")
            again.erasure.wipe(utc_now())
            assert files_holding(path, "zoe@example.com") == []


def test_what_an_ended_process_could_not_wipe_is_wiped_by_the_next(path):
    """A cycle's `wipe` also removes what an earlier process left in the write-ahead log."""
    store = Store(path)
    store._connection.execute("PRAGMA busy_timeout = 50")
    commit(store, event("m-1"))
    with a_reader_in_the_way(path):
        delete(store, "customer")
        store.close()
        assert files_holding(path, "zoe@example.com") != []
        again = Store(path)
    again.erasure.wipe(utc_now())
    assert files_holding(path, "zoe@example.com") == []
    again.close()


def test_payloads_of_delivered_events_are_erased_after_their_time(path, store):
    """Ids and times stay, the bytes go (semantics 5.3)."""
    commit(store, event("m-1"))
    store.outbox.mark_delivered(["m-1"])
    before = row_of(path, "m-1", "conversation_id, customer_id, occurred_at, delivered_at, status, attempts")
    assert store.erasure.erase_old_payloads(utc_now() + timedelta(seconds=1), utc_now()) == 1
    assert row_of(path, "m-1", "payload") == (None,)
    assert files_holding(path, "zoe@example.com") == []
    assert before == row_of(
        path, "m-1", "conversation_id, customer_id, occurred_at, delivered_at, status, attempts"
    )


def test_what_was_delivered_later_is_kept(path, store):
    """The time counts from the delivery, not from the event."""
    commit(store, event("m-1", at=eight(-86_400 * 90)))
    store.outbox.mark_delivered(["m-1"])
    assert store.erasure.erase_old_payloads(utc_now() - timedelta(days=30), utc_now()) == 0
    assert row_of(path, "m-1", "payload IS NULL") == (0,)


@pytest.mark.parametrize("status", ["pending", "rejected"])
def test_what_was_never_delivered_is_kept(path, store, status):
    """However old, an event that may still be sent keeps what is to be sent."""
    commit(store, event("m-1", status=EventStatus(status)))
    assert store.erasure.erase_old_payloads(utc_now() + timedelta(days=999), utc_now()) == 0
    assert row_of(path, "m-1", "payload IS NULL") == (0,)


def test_retention_goes_in_steps(path, store):
    """At most so many at once, so that no cycle is held up for long; the count says whether to go on."""
    commit(store, *(event(f"m-{n}") for n in range(5)))
    store.outbox.mark_delivered([f"m-{n}" for n in range(5)])
    later = utc_now() + timedelta(seconds=1)
    assert [store.erasure.erase_old_payloads(later, utc_now(), limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert query(path, "SELECT count(*) FROM events WHERE payload IS NOT NULL") == [(0,)]


def test_a_disk_without_the_room_to_erase_is_written_down_until_there_is(path):
    """It needs a person, who may have to make room. The next process erases and takes the row back."""
    with Store(path, wiping=WipeTiming(reserve_bytes=1 << 60)) as store:
        commit(store, event("m-1"), deletions={"customer": (eight(), "customer was deleted")})
        (found,) = query(path, "SELECT what, reason FROM needs_attention WHERE what = 'delayed erasure'")
        assert "deleted customers' data cannot be overwritten: " in found[1]
        assert "MB free, and it takes" in found[1]
    with Store(path) as store:
        store.erasure.wipe(utc_now())
        assert query(path, "SELECT * FROM conditions") == []
        assert query(path, "SELECT 1 FROM customers WHERE wiped_at IS NULL") == []
