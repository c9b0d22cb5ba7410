"""The questions people ask the state file, by `Reader` and by its views (interface 4)."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from state.instants import to_text, utc_now
from state.reader import Reader
from state.records import BadLine, EventStatus, Poll, PollOutcome, Status, Transition
from support.state_samples import conversation, eight, event, query, row_of, take_in


@pytest.fixture
def busy(path, store):
    """A store in which a little of everything has happened."""
    take_in(
        store,
        event("m-1", conversation="c-1", at=eight(0)),
        event("m-2", conversation="c-2", at=eight(1)),
        event("m-3", conversation="c-1", at=eight(60), transition=Transition.CLOSED),
        event("m-4", conversation="c-3", at=eight(86_400), status=EventStatus.SUPPRESSED, reason="gone"),
        conversations=[
            conversation("c-1", status=Status.CLOSED, closed_at=eight(60)),
            conversation("c-2", status=Status.WAITING, at=eight(1)),
            conversation("c-3", status=Status.OPEN, at=eight(2)),
            conversation("c-4", status=Status.MERGED),
            conversation("c-5", status=Status.DELETED),
        ],
        bad_lines=[BadLine("events", "not JSON", b"{")],
        position=eight(90),
    )
    store.outbox.mark_delivered(["m-1"])
    store.outbox.mark_rejected("m-2", "Segment answered 400: no")
    return store


@pytest.fixture
def reader(path, busy):
    """A reader of the busy store."""
    with Reader(path) as opened:
        yield opened


# --- nothing yet ----------------------------------------------------------------------------------------


def test_a_new_file_answers_every_question(path, store):
    """Before the first cycle everything is empty, and nothing is an error."""
    with Reader(path) as reader:
        assert reader.watermark() is None
        assert reader.last_poll() is None
        assert reader.last_success() is None
        assert reader.oldest_pending() is None
        assert reader.event_counts() == {"pending": 0, "delivered": 0, "rejected": 0, "suppressed": 0}
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


# --- counts and times -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "by_hand",
    [
        pytest.param([], id="the program alone"),
        pytest.param(["DELETE FROM events WHERE message_id = 'm-3'"], id="an event deleted"),
        pytest.param(["UPDATE conversations SET status = 'CLOSED'"], id="conversations closed"),
        pytest.param(["UPDATE events SET status = status, reason = 'seen'"], id="nothing but a reason"),
        pytest.param(["DELETE FROM events", "DELETE FROM conversations"], id="everything deleted"),
        pytest.param(["INSERT OR IGNORE INTO events SELECT * FROM events"], id="what is there already"),
    ],
)
def test_the_file_counts_what_it_holds_whoever_writes_to_it(path, busy, by_hand):
    """`counts` is what counting would give, after the program's writes and a person's."""
    take_in(
        busy, event("m-1"), conversations=[conversation("c-3", status=Status.CLOSED, closed_at=eight(99))]
    )
    busy.outbox.retry(["m-2"])
    with closing(sqlite3.connect(path)) as somebody, somebody:
        for statement in by_hand:
            somebody.execute(statement)
    for table in ("events", "conversations"):
        kept = dict(query(path, f"SELECT status, n FROM counts WHERE counted = '{table}' AND n <> 0"))
        assert kept == dict(query(path, f"SELECT status, count(*) FROM {table} GROUP BY status"))


def test_counting_does_not_grow_with_the_file(path, busy):
    """`status` and a scrape ask these: no step of theirs reads all events or all conversations."""
    with Reader(path) as reader:
        asked = []
        reader._connection.set_trace_callback(asked.append)
        reader.event_counts()
        reader.conversation_counts()
        reader.oldest_pending()
        reader.last_success()
        reader.needs_attention()
        reader.quarantined()
    plans = [step for sql in asked for *_, step in query(path, "EXPLAIN QUERY PLAN " + sql)]
    assert [step for step in plans if re.match(r"SCAN (events|conversations|e|c)\b", step)] == []
    assert len(asked) == 6


def test_events_and_conversations_are_counted_by_status(reader):
    """Every status is named; a waiting conversation is an open one, too."""
    assert reader.event_counts() == {"pending": 1, "delivered": 1, "rejected": 1, "suppressed": 1}
    assert reader.conversation_counts() == {
        "open": 2,
        "waiting": 1,
        "closed": 1,
        "merged": 1,
        "deleted": 1,
    }
    assert reader.quarantined() == 1


def test_the_watermark_is_shown_with_the_time_of_its_last_move(reader):
    """As text, as the file has it."""
    assert reader.watermark() == {
        "position": "2026-11-20T08:01:30.000Z",
        "updated_at": reader.watermark()["updated_at"],
    }


def test_the_oldest_pending_event_is_the_one_that_has_waited_longest(path, store):
    """It counts from when it was put into the outbox, not from when it happened at Gladly."""
    take_in(store, event("m-1", at=eight(-86_400 * 30)), event("m-2"))
    store.outbox.mark_delivered(["m-2"])
    with Reader(path) as reader:
        assert reader.oldest_pending() == row_of(path, "m-1", "created_at")[0]
        assert reader.oldest_pending() > to_text(eight(-86_400))


def test_the_last_poll_and_the_last_success_are_told_apart(path, store):
    """After a failure `status` says when things last went well; a degraded poll went well enough."""
    for n, outcome in enumerate([PollOutcome.OK, PollOutcome.DEGRADED, PollOutcome.FAILED]):
        at = eight(60 * n)
        store.record_poll(
            Poll(started_at=at, finished_at=at, outcome=outcome, error="down" if n == 2 else None)
        )
    with Reader(path) as reader:
        last = reader.last_poll()
        assert (last["outcome"], last["error"]) == ("failed", "down")
        assert reader.last_success() == to_text(eight(60))


def test_requests_are_counted_over_the_cycles_begun_since_then(path, store):
    """For the share of Gladly's rate limit in use."""
    for n in range(4):
        store.record_poll(Poll(started_at=eight(n), finished_at=eight(n), requests=10**n))
    with Reader(path) as reader:
        assert reader.requests_since(to_text(eight(2))) == 1_100
        assert reader.requests_since(to_text(eight(9))) == 0


def test_what_a_reset_concerns_is_counted(path, busy):
    """All events recorded since then, and those of them that can be replayed."""
    busy.erasure.erase_old_payloads(utc_now() + timedelta(seconds=1))
    busy.outbox.mark_delivered(["m-3"])
    with Reader(path) as reader:
        assert reader.counts_since(to_text(eight(0))) == {"events": 4, "replayable": 1}
        assert reader.counts_since(to_text(eight(61))) == {"events": 1, "replayable": 0}


# --- events ---------------------------------------------------------------------------------------------


def test_the_latest_events_come_first(reader):
    """By the time Gladly recorded them."""
    assert [e["message_id"] for e in reader.events()] == ["m-4", "m-3", "m-2", "m-1"]
    assert [e["message_id"] for e in reader.events(limit=2)] == ["m-4", "m-3"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({"status": "rejected"}, ["m-2"], id="by status"),
        pytest.param({"conversation": "c-1"}, ["m-3", "m-1"], id="by conversation"),
        pytest.param({"conversation": "c-1", "status": "delivered"}, ["m-1"], id="by both"),
        pytest.param({"conversation": "nobody's"}, [], id="by what there is not"),
        pytest.param({"conversation": "' OR 1=1 --"}, [], id="by what looks like SQL"),
    ],
)
def test_events_can_be_asked_for(reader, asked, expected):
    """By status, by conversation, by both."""
    assert [e["message_id"] for e in reader.events(**asked)] == expected


def test_an_event_is_shown_with_its_columns_and_its_payload_as_an_object(reader):
    """The columns of interface 4; a payload that is gone is null."""
    suppressed, closed = reader.events(limit=2)
    assert set(closed) >= {
        "message_id",
        "conversation_id",
        "customer_id",
        "event",
        "occurred_at",
        "status",
        "reason",
        "payload",
        "attempts",
        "created_at",
        "delivered_at",
    }
    assert closed["payload"]["properties"] == {"email": "zoe@example.com"}
    assert (suppressed["payload"], suppressed["reason"]) == (None, "gone")


def test_new_events_are_followed_in_the_order_they_arrive(path, busy):
    """Each with its place, from which to go on; an event that happened earlier is new all the same."""
    with Reader(path) as reader:
        last = reader.last_event()
        assert list(reader.events_after(last)) == []
        take_in(busy, event("m-5", at=eight(-600), conversation="c-9"), event("m-6"))
        followed = list(reader.events_after(last))
        assert [e["message_id"] for _, e in followed] == ["m-5", "m-6"]
        assert [e["message_id"] for _, e in reader.events_after(followed[0][0])] == ["m-6"]
        assert [e["message_id"] for _, e in reader.events_after(last, conversation="c-9")] == ["m-5"]
        assert list(reader.events_after(last, status="rejected")) == []


# --- the views ------------------------------------------------------------------------------------------


def test_what_needs_a_person_is_listed_with_the_command_that_mends_it(path, reader):
    """Rejected events and lines that could not be read, and nothing else."""
    needs = {need["what"]: need for need in reader.needs_attention()}
    assert set(needs) == {"rejected event", "unreadable line"}
    assert needs["rejected event"]["id"] == "m-2"
    assert needs["rejected event"]["reason"] == "Segment answered 400: no"
    assert needs["rejected event"]["command"] == "gladly-segment retry m-2"
    line = needs["unreadable line"]
    assert line["command"] == f"gladly-segment dismiss {line['id']}"
    assert query(path, "SELECT id, line FROM quarantine") == [(line["id"], "{")]
    assert len(reader.needs_attention(limit=1)) == 1


def test_days_are_counted_by_event(path, busy):
    """How many of each event a day had, and what became of them."""
    assert query(
        path, "SELECT day, event, events, delivered, pending, rejected, suppressed FROM daily_counts"
    ) == [
        ("2026-11-21", "Gladly Conversation Created", 1, 0, 0, 0, 1),
        ("2026-11-20", "Gladly Conversation Closed", 1, 0, 1, 0, 0),
        ("2026-11-20", "Gladly Conversation Created", 2, 1, 0, 1, 0),
    ]


def test_open_conversations_are_listed_with_their_age(path, store):
    """Open and waiting ones, those unchanged longest first, with the hours they have been open."""
    now = utc_now()
    old, new = conversation("old", at=eight(0)), conversation("new", at=eight(9), status=Status.WAITING)
    old.created_at = new.created_at = now.replace(microsecond=0)
    take_in(store, conversations=[new, old, conversation("closed", status=Status.CLOSED)])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE conversations SET created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-6 hours')"
            " WHERE id = 'old'"
        )
    assert query(path, "SELECT id, hours_open FROM open_conversations") == [("old", 6.0), ("new", 0.0)]


def test_the_delay_of_each_delivery_is_listed(path, store):
    """From Gladly's record of the change to Segment's answer, in seconds."""
    take_in(store, event("m-1"), event("m-2"))
    store.outbox.mark_delivered(["m-1"])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE events SET delivered_at = ? WHERE message_id = 'm-1'", (to_text(eight(2.5)),)
        )
    assert query(path, "SELECT message_id, seconds FROM delivery_lag") == [("m-1", 2.5)]


# --- copies ---------------------------------------------------------------------------------------------


def test_a_copy_is_whole_while_the_writer_writes_on(path, busy, tmp_path):
    """What a dry run works on holds everything committed, the write-ahead log's part included."""
    with Reader(path) as reader:
        reader.copy_to(tmp_path / "copy.db")
    take_in(busy, event("later"))
    with Reader(tmp_path / "copy.db") as copy:
        assert [e["message_id"] for e in copy.events()] == ["m-4", "m-3", "m-2", "m-1"]
        assert copy.watermark()["position"] == to_text(eight(90))
