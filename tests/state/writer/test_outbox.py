"""The outbox: which events are due, in which order, and what may become of them."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from state.instants import from_text, to_text, utc_now
from state.queries.counts import EVENT_STATUSES
from state.reader import Reader
from state.records import EventStatus
from support.state_samples import commit, eight, event, ids, outbox, payload, query, row_of

OTHERS = [status for status in EventStatus if status is not EventStatus.PENDING]


NOTHING_BUT = {
    "delivered": lambda store: store.outbox.mark_delivered(["m-1"]),
    "rejected": lambda store: store.outbox.mark_rejected("m-1", "refused"),
    "attempted": lambda store: store.outbox.mark_attempted(["m-1"], "unreachable"),
}


def test_events_leave_in_recorded_order_and_then_in_order_of_arrival(store):
    """Whichever chunk brought them, what Gladly recorded first goes first (semantics 4.3)."""
    commit(store, event("third", at=eight(2)), event("second", at=eight(1)))
    commit(store, event("first", at=eight(0)), event("fourth", at=eight(2)))
    assert ids(outbox(store)) == ["first", "second", "third", "fourth"]


@pytest.mark.parametrize("page", [1, 2, 3, 7, 100])
def test_pages_show_every_pending_event_once(store, page):
    """Also where many events stand at one instant, no page repeats or leaves out any."""
    commit(store, *(event(f"m-{n}", at=eight(n // 4)) for n in range(20)))
    assert ids(outbox(store, page)) == [f"m-{n}" for n in range(20)]


def test_a_page_is_as_long_as_asked(store):
    """The limit bounds what a delivery holds in memory."""
    commit(store, *(event(f"m-{n}") for n in range(5)))
    assert [len(store.outbox.pending(None, limit)) for limit in (1, 3, 9)] == [1, 3, 5]


def test_what_is_delivered_meanwhile_is_no_longer_on_the_next_page(store):
    """A delivery reads a page, sends it, notes it, and reads on from where it was."""
    commit(store, *(event(f"m-{n}", at=eight(n)) for n in range(6)))
    first = store.outbox.pending(None, 2)
    store.outbox.mark_delivered(ids(first))
    assert ids(store.outbox.pending(first[-1].position, 2)) == ["m-2", "m-3"]
    assert ids(store.outbox.pending(None, 2)) == ["m-2", "m-3"]


def test_the_bytes_to_send_are_those_that_were_stored(store):
    """Every attempt sends the same bytes, whatever characters are in them (semantics 4.3)."""
    strange = 'Zoë "Zo" \\ \u2028 \U0001f600 \ufffd'
    commit(store, event("m-1", email=strange))
    assert [each.payload for each in outbox(store)] == [payload("m-1", email=strange)]


def test_only_pending_events_are_due(store):
    """An event of any other status is not delivered."""
    commit(store, *(event(status, status=status) for status in OTHERS))
    assert outbox(store) == []
    commit(store, event("m-1"))
    assert ids(outbox(store)) == ["m-1"]


def test_a_delivered_event_is_noted_with_the_time(path, store):
    """Reasons of earlier attempts are gone, and the attempt that worked counts."""
    commit(store, event("m-1"))
    store.outbox.mark_attempted(["m-1"], "unreachable")
    store.outbox.mark_delivered(["m-1"])
    status, reason, attempts, at = row_of(path, "m-1", "status, reason, attempts, delivered_at")
    assert (status, reason, attempts) == ("delivered", None, 2)
    assert abs(utc_now() - from_text(at)) < timedelta(minutes=1)


def test_a_rejected_event_is_kept_with_its_reason_and_payload(path, store):
    """A person can see what was refused and why (semantics 4.4)."""
    commit(store, event("m-1"))
    store.outbox.mark_rejected("m-1", "Segment answered 400: no")
    assert row_of(path, "m-1", "status, reason, attempts, payload") == (
        "rejected",
        "Segment answered 400: no",
        1,
        payload("m-1").decode(),
    )


def test_an_event_that_could_not_be_sent_stays_pending(path, store):
    """It keeps its place and the last reason, and its attempts are counted (semantics 4.5)."""
    commit(store, event("m-1"))
    for reason in ("Segment answered 503", "Segment could not be reached"):
        store.outbox.mark_attempted(["m-1"], reason)
    assert row_of(path, "m-1", "status, reason, attempts") == ("pending", "Segment could not be reached", 2)
    assert ids(outbox(store)) == ["m-1"]


@pytest.mark.parametrize(
    ("attempts", "age", "is_marked"),
    [
        pytest.param(1, timedelta(hours=21), True, id="tried before, 21 hours ago"),
        pytest.param(0, timedelta(hours=21), False, id="waited 21 hours, never tried"),
        pytest.param(1, timedelta(hours=19), False, id="tried before, 19 hours ago"),
    ],
)
def test_a_delivery_that_segment_may_have_had_before_is_marked(path, store, attempts, age, is_marked):
    """Segment drops repeats for about 24 hours: an attempt unanswered before that may have arrived (D3)."""
    commit(store, event("m-1"))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE events SET created_at = ?", (to_text(utc_now() - age),))
    if attempts:
        store.outbox.mark_attempted(["m-1"], "no answer in time")
    store.outbox.mark_delivered(["m-1"])
    status, reason = row_of(path, "m-1", "status, reason")
    assert status == "delivered"
    assert ("may be a duplicate" in (reason or "")) is is_marked


@pytest.mark.parametrize("becomes", NOTHING_BUT)
@pytest.mark.parametrize("status", OTHERS)
def test_only_a_pending_event_becomes_anything(path, store, becomes, status):
    """An answer that comes late changes no event that is settled."""
    commit(store, event("m-1", status=status, reason="as before"))
    before = query(path, "SELECT * FROM events")
    NOTHING_BUT[becomes](store)
    assert query(path, "SELECT * FROM events") == before


@pytest.mark.parametrize("becomes", NOTHING_BUT)
def test_the_other_events_are_left_alone(path, store, becomes):
    """A message id names one event."""
    commit(store, event("m-1"), event("m-2"))
    before = row_of(path, "m-2", "*")
    NOTHING_BUT[becomes](store)
    assert row_of(path, "m-2", "*") == before


def test_a_rejected_event_can_be_retried_by_its_message_id(path, store):
    """It is pending again with the same bytes; the count says how many were."""
    commit(store, event("m-1"), event("m-2"))
    for message_id in ("m-1", "m-2"):
        store.outbox.mark_rejected(message_id, "refused")
    assert store.outbox.retry(["m-1"]) == 1
    assert [(each.message_id, each.payload) for each in outbox(store)] == [("m-1", payload("m-1"))]
    assert row_of(path, "m-2", "status, reason") == ("rejected", "refused")


def test_all_rejected_events_can_be_retried(store):
    """Those, and no others."""
    commit(store, *(event(status, status=status) for status in OTHERS))
    commit(store, event("m-1", status=EventStatus.REJECTED))
    assert store.outbox.retry(None) == 2
    assert set(ids(outbox(store))) == {"rejected", "m-1"}
    assert store.outbox.retry(None) == 0


@pytest.mark.parametrize("status", [EventStatus.PENDING, EventStatus.DELIVERED, EventStatus.SUPPRESSED])
def test_only_a_rejected_event_can_be_retried(path, store, status):
    """A delivered event is not sent twice by a mistyped id, and a suppressed one never (semantics 5.1)."""
    commit(store, event("m-1", status=status))
    before = row_of(path, "m-1", "*")
    assert store.outbox.retry(["m-1", "nobody"]) == 0
    assert row_of(path, "m-1", "*") == before


def test_a_replay_makes_delivered_events_since_then_pending_again(path, store):
    """From that instant on, inclusive, with the message ids and bytes they had (semantics 3.7)."""
    commit(store, *(event(f"m-{n}", at=eight(n)) for n in range(3)))
    store.outbox.mark_delivered(["m-0", "m-1", "m-2"])
    assert store.outbox.replay(eight(1)) == 2
    assert [(each.message_id, each.payload) for each in outbox(store)] == [
        ("m-1", payload("m-1")),
        ("m-2", payload("m-2")),
    ]
    assert row_of(path, "m-0", "status") == ("delivered",)
    assert row_of(path, "m-1", "delivered_at") == (None,)


def test_a_replay_leaves_what_was_never_delivered_or_is_erased(path, store):
    """Rejected and suppressed events stay so, and nothing is sent whose payload is gone."""
    commit(store, *(event(status, status=status) for status in OTHERS), event("erased"))
    store.outbox.mark_delivered(["erased"])
    store.erasure.erase_old_payloads(utc_now() + timedelta(days=1), utc_now())
    assert store.outbox.replay(eight(-1)) == 1
    assert ids(outbox(store)) == ["delivered"]
    with Reader(path) as reader:
        assert reader.event_counts() == dict.fromkeys(EVENT_STATUSES, 1)


def test_a_delivery_is_noted_at_the_instant_that_the_caller_gives(path, store):
    """This machine's clock may be a year ahead; the caller knows Gladly's (faults H1.19)."""
    commit(store, event("m-1"), now=eight(5))
    store.outbox.mark_delivered(["m-1"], eight(7))
    assert row_of(path, "m-1", "created_at, delivered_at") == (to_text(eight(5)), to_text(eight(7)))


def test_a_rejected_event_can_be_given_up(path, store):
    """It is suppressed with the reason, without its payload; nothing else is touched."""
    commit(store, *(event(f"m-{n}", at=eight(n)) for n in range(4)))
    for message_id in ("m-1", "m-2", "m-3"):
        store.outbox.mark_rejected(message_id, "refused")
    assert store.outbox.dismiss(["m-1", "m-0", "nobody's"]) == 1
    assert row_of(path, "m-1", "status, reason, payload") == ("suppressed", "dismissed", None)
    assert [row_of(path, f"m-{n}", "status")[0] for n in (0, 2, 3)] == ["pending", "rejected", "rejected"]
    assert store.outbox.dismiss(None) == 2
    assert ids(outbox(store)) == ["m-0"]
