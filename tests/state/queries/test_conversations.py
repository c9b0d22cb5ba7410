"""One conversation: its changes, its customer, the customer's others. The list of all of them."""

from dataclasses import replace

import pytest

from state.queries.conversations import (
    changes_of,
    customer,
    customer_name_of,
    events_of,
    listed_conversations,
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


@pytest.fixture
def many(store):
    """Seven conversations, each changed a second after the one before; two of them at one instant."""
    statuses = [
        Status.OPEN,
        Status.CLOSED,
        Status.WAITING,
        Status.CLOSED,
        Status.OPEN,
        Status.CLOSED,
        Status.MERGED,
    ]
    payload = b'{"properties": {"customerName": "Zo\\u00eb Quinn", "email": "Zoe@Example.com"}}'
    commit(
        store,
        replace(event("m-1", conversation="c-2", at=eight(0)), payload=payload),
        replace(event("m-2", conversation="c-2", at=eight(9)), payload=None),
        conversations=[
            replace(
                conversation(f"c-{number}", customer=f"customer-{number % 2}"),
                status=status,
                updated_at=eight(min(number, 5)),
            )
            for number, status in enumerate(statuses)
        ],
    )


def ids(found):
    """Which conversations were found."""
    return [row["id"] for row in found]


def test_conversations_are_listed_by_their_last_change_page_by_page(many, answer):
    """Newest first. Two of one instant stand on different pages, and each stands there once."""
    whole = ids(answer(listed_conversations))
    assert whole == ["c-6", "c-5", "c-4", "c-3", "c-2", "c-1", "c-0"]
    pages, before = [], None
    while found := answer(listed_conversations, before=before, limit=1):
        pages += ids(found)
        before = (found[-1]["updated_at"], found[-1]["place"])
    assert pages == whole


def test_conversations_are_filtered_by_status(many, answer):
    """Of one status or of several."""
    assert ids(answer(listed_conversations, statuses=("OPEN", "WAITING"))) == ["c-4", "c-2", "c-0"]
    assert ids(answer(listed_conversations, statuses=("MERGED",))) == ["c-6"]
    assert ids(answer(listed_conversations, statuses=("DELETED",))) == []


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("c-3", ["c-3"]),
        ("customer-1", ["c-5", "c-3", "c-1"]),
        ("cust", ["c-6", "c-5", "c-4", "c-3", "c-2", "c-1", "c-0"]),
        ("ZOË", ["c-2"]),
        ("zoe@example", ["c-2"]),
        ("zo", []),
        ("u00eb", []),
    ],
)
def test_conversations_are_found_by_id_customer_name_and_email(many, answer, q, found):
    """Capital letters make no difference in a name, and how the payload spells it neither."""
    assert ids(answer(listed_conversations, q=q)) == found


def test_a_search_has_pages_and_a_status_too(many, answer):
    """Both hold."""
    first = answer(listed_conversations, q="customer-1", limit=2)
    last = (first[-1]["updated_at"], first[-1]["place"])
    assert ids(answer(listed_conversations, q="customer-1", before=last)) == ["c-1"]
    assert ids(answer(listed_conversations, q="customer-0", statuses=("OPEN",))) == ["c-4", "c-0"]


def test_a_conversation_has_the_name_of_its_newest_event_with_a_payload(many, answer):
    """One whose payload was erased gives none."""
    assert answer(customer_name_of, "c-2") == "Zoë Quinn"
    assert answer(customer_name_of, "c-3") is None
    assert [row["customer_name"] for row in answer(listed_conversations, q="c-2")] == ["Zoë Quinn"]
