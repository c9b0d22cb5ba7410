"""What people can add to events, leave out of them or send as a hash (semantics 1.3)."""

import hashlib
from dataclasses import replace

import msgspec
import pytest

from state.records import Transition
from support.track_samples import CONVERSATION, PROFILE, SUBJECT, event
from sync.events.gladly_objects import Email
from sync.events.options import ADDABLE, AS_GLADLY, HASHABLE, OPTIONAL, EventOptions


def test_without_options_events_are_as_gladly_sends_them():
    """`AS_GLADLY` is what is meant when nobody asks for anything."""
    assert EventOptions() == AS_GLADLY
    assert AS_GLADLY == ("created", False, (), (), (), "customerId", False, ())
    sent = event(Transition.CLOSED)["properties"]
    assert not sent.keys() & set(ADDABLE)
    assert sent.keys() >= {*OPTIONAL, *HASHABLE}


def test_more_properties_are_sent_where_they_are_asked_for():
    """Beside Gladly's own, under Gladly's names; what only a close has, with a closed event alone (1.3)."""
    subject = replace(
        SUBJECT,
        conversation=msgspec.structs.replace(CONVERSATION, inbox_id="inbox-1"),
        topic_names=["Sizes", "Returns"],
        profile=msgspec.structs.replace(PROFILE, external_customer_ids=["crm-7", "shop-9"]),
    )
    plain = event(Transition.CLOSED, subject)["properties"]
    more = event(Transition.CLOSED, subject, add=ADDABLE)["properties"]
    assert more == plain | {
        "createdAt": "2022-07-08T18:46:37.946Z",
        "closedAt": "2022-07-09T10:00:00.005Z",
        "inboxId": "inbox-1",
        "topicNames": ["Sizes", "Returns"],
        "externalCustomerId": "crm-7",
    }
    created = event(Transition.CREATED, subject, add=ADDABLE)["properties"]
    assert created.keys() - event(Transition.CREATED, subject)["properties"].keys() == {
        "createdAt",
        "inboxId",
        "externalCustomerId",
    }


def test_more_properties_that_nobody_knows_are_left_out():
    """Never null, as all the others (1.3)."""
    gone = replace(SUBJECT, conversation=None)
    assert "inboxId" not in event(Transition.CLOSED, gone, add=("inboxId",))["properties"]


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_property_can_be_left_out(name):
    """That one and no other."""
    plain = event(Transition.CLOSED)["properties"]
    del plain[name]
    assert event(Transition.CLOSED, leave_out=(name,))["properties"] == plain


def test_which_conversation_it_is_cannot_be_left_out():
    """An event about nothing in particular is none."""
    assert "conversationId" not in OPTIONAL


@pytest.mark.parametrize("name", HASHABLE)
def test_a_property_can_be_sent_as_a_hash(name):
    """
    SHA-256 of what would be sent, whatever the case it was written in.

    It has a name of its own: Segment takes `properties.email` of any event for an identifier.
    """
    shouting = msgspec.structs.replace(PROFILE, emails=[Email(normalized=" Zoe@Example.COM ")])
    expected = {"email": "zoe@example.com", "phone": "+12125550123"}[name]
    plain = event(Transition.CLOSED)["properties"]
    hashed = event(Transition.CLOSED, replace(SUBJECT, profile=shouting), hashed=(name,))["properties"]
    assert hashed[f"{name}Sha256"] == hashlib.sha256(expected.encode()).hexdigest()
    plain |= {"email": " Zoe@Example.COM ", f"{name}Sha256": hashed[f"{name}Sha256"]}
    del plain[name]
    assert hashed == plain


def test_what_is_left_out_is_not_hashed_either():
    """Left out wins; and what is not there has no hash."""
    properties = event(Transition.CLOSED, hashed=HASHABLE, leave_out=("email",))["properties"]
    assert not properties.keys() & {"email", "emailSha256", "phone"}
    assert "phoneSha256" in properties
    nobody = msgspec.structs.replace(PROFILE, emails=[], phones=[])
    unknown = event(Transition.CLOSED, replace(SUBJECT, profile=nobody), hashed=HASHABLE)["properties"]
    assert not unknown.keys() & {"email", "emailSha256", "phone", "phoneSha256"}


@pytest.mark.parametrize(
    ("ids", "one", "expected"),
    [
        (["crm-7", "shop-9"], "old-1", "crm-7"),
        ([" ", "shop-9"], None, "shop-9"),
        ([], "old-1", "old-1"),
        (None, "old-1", "old-1"),
        (None, None, PROFILE.id),
        ([""], "", PROFILE.id),
    ],
)
def test_the_user_can_be_the_id_in_another_system(ids, one, expected):
    """The first id that says anything; Gladly's own where there is none (1.5). By default nothing changes."""
    profile = msgspec.structs.replace(PROFILE, external_customer_ids=ids, external_customer_id=one)
    subject = replace(SUBJECT, profile=profile)
    assert event(Transition.CREATED, subject, user_id="externalCustomerId")["userId"] == expected
    assert event(Transition.CREATED, subject) == event(Transition.CREATED)
    added = event(Transition.CREATED, subject, add=("externalCustomerId",))["properties"]
    assert added.get("externalCustomerId") == (None if expected == PROFILE.id else expected)
