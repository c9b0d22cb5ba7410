"""How many events and conversations there are, and how long the outbox has waited."""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from state.instants import to_text, utc_now
from state.queries.counts import EVENT_STATUSES
from state.reader import Reader
from state.records import EventType, Status
from support.state_samples import commit, conversation, eight, event, query, row_of


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
    commit(busy, event("m-1"), conversations=[conversation("c-3", status=Status.CLOSED, closed_at=eight(99))])
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
    assert len(asked) == 7


def test_events_and_conversations_are_counted_by_status(reader):
    """Every status is named; a waiting conversation is an open one, too."""
    assert reader.event_counts() == {status: int(status != "recorded") for status in EVENT_STATUSES}
    assert reader.conversation_counts() == {
        "open": 2,
        "waiting": 1,
        "closed": 1,
        "merged": 1,
        "deleted": 1,
    }
    assert reader.quarantined() == 1


def test_the_oldest_pending_event_is_the_one_that_has_waited_longest(path, store):
    """It counts from when it was put into the outbox, not from when it happened at Gladly."""
    commit(store, event("m-1", at=eight(-86_400 * 30)), event("m-2"))
    store.outbox.mark_delivered(["m-2"])
    with Reader(path) as reader:
        assert reader.oldest_pending() == row_of(path, "m-1", "created_at")[0]
        assert reader.oldest_pending() > to_text(eight(-86_400))


def test_what_a_reset_concerns_is_counted(path, busy):
    """All events recorded since then, and those of them that can be replayed."""
    busy.erasure.erase_old_payloads(utc_now() + timedelta(seconds=1), utc_now())
    busy.outbox.mark_delivered(["m-3"])
    with Reader(path) as reader:
        assert reader.counts_since(to_text(eight(0))) == {"events": 4, "replayable": 1}
        assert reader.counts_since(to_text(eight(61))) == {"events": 1, "replayable": 0}


def test_deliveries_are_counted_by_name_and_day(path, store):
    """The start counts and the end does not. What was not delivered, or is an identify call, does not."""
    call = replace(event("m-4"), type=EventType.IDENTIFY, event="identify")
    commit(store, event("m-1"), event("m-2"), event("m-3"), call)
    store.outbox.mark_delivered(["m-1", "m-2", "m-4"])
    (name, at), (day, until) = (
        row_of(path, "m-1", "event, delivered_at"),
        row_of(path, "m-2", "delivered_at, '~'"),
    )
    asked: list[str] = []
    with Reader(path) as reader:
        reader._connection.set_trace_callback(asked.append)
        assert reader.delivered_by_day(at, until) == {name: {day[:10]: 2}}
        assert reader.delivered_by_day(at[:4], at) == {}
    [*_, plan] = query(path, "EXPLAIN QUERY PLAN " + asked[0])[0]
    assert "USING COVERING INDEX events_by_delivery" in plan
