"""No cycle grows with the file: what the store asks in one is answered from an index."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta

from state.instants import utc_now
from state.records import BadLine, CustomerMerge, EventStatus, Poll, TakenIn
from support.state_samples import conversation, eight, event, outbox

# `SCAN events` reads the whole table, `SCAN events USING INDEX …` the whole index; a search does neither.
_WHOLE = re.compile(r"^SCAN (?:TABLE )?(?:events|conversations|changes)\b")


_ASKS = re.compile(r"\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)\b", re.IGNORECASE)


def a_cycle(store):
    """Whatever the store does in a cycle, once."""
    store.watermark()
    store.seen_changes()
    store.conversations(["c-1", "c-2"])
    store.changes_near([("c-1", eight(5))], timedelta(seconds=10))
    store.deleted_customers(["ana"])
    bad_line = BadLine("events", "not JSON", b"{")
    store.quarantine.known_bad_lines([bad_line])
    store.commit(
        TakenIn(
            position=eight(9),
            seen=[("change-1", eight(8))],
            seen_since=eight(1),
            conversations=[conversation("c-1", customer="ana"), conversation("c-2", customer="ben")],
            events=[
                event("m-1", conversation="c-1", customer="ana"),
                event("m-2", conversation="c-2", customer="ben"),
                event("m-3", customer="ida"),
                event("m-4", customer="ida"),
            ],
            merges=[CustomerMerge("ana", "ben", eight(5))],
            deletions={"ben": (eight(6), "customer was deleted")},
            bad_lines=[bad_line],
        )
    )
    outbox(store, page=1)
    store.outbox.mark_attempted(["m-3"], "unreachable")
    store.outbox.mark_delivered(["m-3"])
    store.outbox.mark_rejected("m-4", "refused")
    store.erasure.erase_old_payloads(utc_now(), utc_now())
    store.erasure.wipe(utc_now())
    store.record_poll(Poll(started_at=eight()), eight(10))


def reconciling(store):
    """What reconciling asks, which is part of a cycle now and then."""
    store.reconciliation.last_reconciled()
    store.reconciliation.open_conversations()
    store.reconciliation.quiet_conversations(eight(100), limit=10)
    store.reconciliation.mark_checked(["c-1"])


def by_hand(store):
    """What people's commands ask."""
    store.outbox.retry(["m-4"])
    store.outbox.retry(None)
    store.outbox.replay(eight(-1))
    store.reset_watermark(eight())


def statements_of(store, *work):
    """Every statement that the store runs in *work*, with its values, each once."""
    asked = []
    store._connection.set_trace_callback(asked.append)
    try:
        for part in work:
            part(store)
    finally:
        store._connection.set_trace_callback(None)
    return [statement for statement in dict.fromkeys(asked) if _ASKS.match(statement)]


def whole_reads(path, statements):
    """Those steps of SQLite's plans that read all of `events` or all of `conversations`."""
    with closing(sqlite3.connect(path)) as connection:
        return [
            (step, statement)
            for statement in statements
            for *_, step in connection.execute("EXPLAIN QUERY PLAN " + statement)
            if _WHOLE.match(step)
        ]


def test_no_cycle_reads_all_events_or_all_conversations(path, store):
    """Every statement of a cycle finds its rows by key or index, however many there are."""
    statements = statements_of(store, a_cycle, reconciling)
    tables = ("seen_changes", "conversations", "events", "customers", "quarantine", "watermark", "polls")
    assert all(any(table in statement for statement in statements) for table in tables)
    assert len(statements) > 20
    assert whole_reads(path, statements) == []


def test_no_command_that_writes_reads_all_events(path, store):
    """Retrying, replaying and resetting find their rows by index, too."""
    assert whole_reads(path, statements_of(store, a_cycle, by_hand)) == []


def test_the_plans_hold_once_sqlite_knows_the_file(path, store):
    """After ANALYZE, which people's tools may run, a lopsided table does not turn a search into a scan."""
    events = [
        event(f"old-{n}", conversation=f"c-{n}", customer=f"p-{n}", at=eight(n), status=EventStatus.DELIVERED)
        for n in range(2_000)
    ]
    talks = [conversation(f"c-{n}", customer=f"p-{n}", at=eight(n)) for n in range(2_000)]
    store.commit(TakenIn(events=events, conversations=talks))
    with closing(sqlite3.connect(path)) as somebody:
        somebody.execute("ANALYZE")
    statements = statements_of(store, a_cycle, reconciling)
    assert whole_reads(path, statements) == []


def test_the_check_finds_a_whole_read(path, store):
    """A question without an index is seen as what it is: the proof above proves something."""
    asked = ["SELECT * FROM events WHERE reason = 'x'", "UPDATE conversations SET status = 'OPEN'"]
    assert [statement for _, statement in whole_reads(path, asked)] == asked
