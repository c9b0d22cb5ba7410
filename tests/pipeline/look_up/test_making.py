"""Which events are made, where only some inboxes are sent (`sync.inboxes`)."""

import pytest

from sandbox import Fault
from state.records import OTHER_INBOX, UNKNOWN_INBOX
from support.state_file import rows
from sync.events.options import EventOptions
from sync.pipeline.look_up.timing import LookUpTiming


@pytest.fixture
def read(parts_of, ago):
    """Return a function that records what is new and looks it up: `read()`."""
    at_once = LookUpTiming(not_found_again_s=0.0, linger_s=0.0, waits_for_late_changes=False)
    parts = parts_of(EventOptions(inboxes=("General",)), look_up_timing=at_once)

    def once():
        for chunk in parts.feed.since(ago(600)):
            with parts.deliverer.begin() as delivery:
                parts.record.record(chunk, delivery)
        with parts.deliverer.begin() as delivery:
            parts.look_up.run(delivery)
        return rows(parts.store.path, "SELECT status, reason FROM events ORDER BY occurred_at, rowid")

    return once


@pytest.fixture
def opened(sandbox):
    """Return a function that opens a conversation of a new customer in an inbox: `opened("General")`."""
    ids = {inbox.name: id_ for id_, inbox in sandbox.world.inboxes.items()}
    return lambda inbox: sandbox.world.open_conversation(sandbox.world.add_customer("Ana"), inbox=ids[inbox])


def asked(sandbox, part):
    return [r.path for r in sandbox.gladly_requests if part in r.path]


def test_where_the_list_does_not_come_events_wait_and_are_not_suppressed(sandbox, read, opened):
    """Nobody knows yet whether they are sent. Healed, each becomes what it is."""
    opened("General")
    opened("Wholesale")
    sandbox.faults.add("gladly", "/api/v1/inboxes", Fault(500))
    assert [status for status, _ in read()] == ["recorded", "recorded"]
    assert asked(sandbox, "/customer-profiles/") == []


def test_a_conversation_that_is_gone_before_its_inbox_was_seen_is_not_sent(sandbox, read, opened):
    """It may be another brand's. One of which something was sent is sent to its end."""
    known, unknown = opened("General"), opened("General")
    sandbox.world.close(unknown)
    sandbox.faults.add(
        "gladly",
        f"/api/v1/conversations/{unknown.id}",
        Fault(404, body=b'{"errors":[{"code":"not_found"}]}', times=None),
    )
    assert [status for status, _ in read()][:1] == ["pending"]
    sandbox.world.close(known)
    sandbox.faults.add(
        "gladly",
        f"/api/v1/conversations/{known.id}",
        Fault(404, body=b'{"errors":[{"code":"not_found"}]}', times=None),
    )
    for _ in range(2):
        found = read()
    assert sorted(found, key=str) == sorted(
        [("pending", None), ("pending", None), ("suppressed", UNKNOWN_INBOX), ("suppressed", UNKNOWN_INBOX)],
        key=str,
    )


def test_what_is_not_sent_costs_one_request(sandbox, read, opened):
    """The conversation tells its inbox. Neither profile nor agent is asked for."""
    talk = opened("Wholesale")
    assert read() == [("suppressed", OTHER_INBOX)]
    assert asked(sandbox, "/conversations/") == [f"/api/v1/conversations/{talk.id}"]
    assert asked(sandbox, "/customer-profiles/") == asked(sandbox, "/agents") == []
