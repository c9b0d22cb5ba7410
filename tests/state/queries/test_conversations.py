"""One conversation: its changes in order, its customer, and the customer's other conversations."""

import pytest

from state.queries.conversations import (
    changes_of,
    customer,
    events_of,
    latest_conversations,
    other_conversations_of,
)
from state.records import ChangeRecord, CustomerMerge, Status
from support.state_samples import commit, conversation, eight, event


def change(seconds, type_="CREATED", conversation_id="c-1"):
    """A change of a conversation, as it was taken in."""
    return ChangeRecord(
        f"change-{seconds}", conversation_id, type_, eight(seconds), None, Status.OPEN, None, "open already"
    )


@pytest.fixture
def told(store):
    """A customer with two conversations, of which the first has changed three times."""
    commit(
        store,
        event("m-2", conversation="c-1", at=eight(60)),
        event("m-1", conversation="c-1", at=eight(0)),
        event("m-3", conversation="c-2", at=eight(30)),
        conversations=[conversation("c-1"), conversation("c-2"), conversation("c-3", customer="other")],
        changes=[change(60, "CLOSED"), change(0), change(90, "REOPENED"), change(5, conversation_id="c-2")],
        merges=[CustomerMerge("gone", "customer", eight(1))],
    )


def test_changes_are_told_in_the_order_gladly_recorded_them(told, answer):
    """Also those that came later; where there are too many, the oldest are told."""
    assert [row["type"] for row in answer(changes_of, "c-1")] == ["CREATED", "CLOSED", "REOPENED"]
    assert [row["type"] for row in answer(changes_of, "c-1", 2)] == ["CREATED", "CLOSED"]
    assert answer(changes_of, "nobody's") == []


def test_events_of_a_conversation_come_oldest_first(told, answer):
    """Those of other conversations are not among them."""
    assert [row["message_id"] for row in answer(events_of, "c-1")] == ["m-1", "m-2"]


def test_a_customer_is_known_once_merged_or_deleted(told, answer):
    """Nobody else is in the table."""
    assert answer(customer, "gone")["merged_into"] == "customer"
    assert answer(customer, "customer") is None


def test_the_other_conversations_of_a_customer(told, answer):
    """Not the one they are asked for, and nobody else's."""
    assert [row["id"] for row in answer(other_conversations_of, "customer", "c-1")] == ["c-2"]


def test_the_latest_conversations_are_those_of_the_newest_events(told, answer):
    """Each once, with the number of its events; one without an event is not among them."""
    found = answer(latest_conversations)
    assert [(row["id"], row["events"]) for row in found] == [("c-1", 2), ("c-2", 1)]
