"""A stored conversation comes back with the transitions that are recorded of it."""

from dataclasses import replace

from state.records import (
    OTHER_INBOX,
    CustomerConversation,
    CustomerMerge,
    EventStatus,
    EventType,
    Status,
    Transition,
)
from support.state_samples import (
    commit,
    conversation,
    eight,
    event,
)


def test_a_conversation_comes_back_as_it_was_stored_with_its_transitions(store):
    """What `events` records of it comes with it, in recorded order (semantics 2.0)."""
    stored = conversation("c-1", status=Status.CLOSED, at=eight(60), closed_at=eight(60))
    commit(
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
    commit(store, *(event(f"m-{n}", conversation=f"c-{n}") for n in range(2_000)), conversations=many)
    found = store.conversations(f"c-{n}" for n in range(2_500))
    assert len(found) == 2_000
    assert all(len(each.recorded) == 1 for each in found.values())


def test_a_merge_moves_the_conversations_that_are_stored(store):
    """Conversations of the source customer belong to the destination from then on (semantics 2.2)."""
    commit(store, conversations=[conversation("c-1", customer="ana"), conversation("c-2", customer="ben")])
    commit(store, merges=[CustomerMerge("ana", "ida", eight(50))])
    found = store.conversations(["c-1", "c-2"])
    assert (found["c-1"].customer_id, found["c-2"].customer_id) == ("ida", "ben")


def test_an_identify_call_is_no_transition_of_its_conversation(store):
    """A reopening whose track event is not sent has a call, and stays unrecorded (semantics 1.4)."""
    call = replace(
        event("m-2", conversation="c-1", transition=Transition.REOPENED, at=eight(9)), type=EventType.IDENTIFY
    )
    commit(store, event("m-1", conversation="c-1"), call, conversations=[conversation("c-1")])
    assert store.conversations(["c-1"])["c-1"].recorded == [(Transition.CREATED, eight())]


def test_a_customers_conversations_are_told_as_they_were_at_an_instant(store):
    """With every transition up to then, also one that only an identify call records."""
    call = replace(
        event("m-3", conversation="c-1", transition=Transition.REOPENED, at=eight(9)), type=EventType.IDENTIFY
    )
    commit(
        store,
        event("m-1", conversation="c-1", at=eight(1)),
        event("m-2", conversation="c-1", transition=Transition.CLOSED, at=eight(5)),
        call,
        event("m-4", conversation="c-2", status=EventStatus.SUPPRESSED, reason=OTHER_INBOX, at=eight(2)),
        event("m-5", conversation="c-2", transition=Transition.CLOSED, at=eight(4)),
        conversations=[conversation("c-1"), conversation("c-2"), conversation("c-3", customer="another")],
    )
    first, second = sorted(store.conversations_of(["customer"], eight(9)))
    moments = [(Transition.CREATED, eight(1)), (Transition.CLOSED, eight(5)), (Transition.REOPENED, eight(9))]
    assert first == CustomerConversation("c-1", Status.OPEN, eight(), eight(), None, moments, False)
    assert (second.id, second.is_left_out) == ("c-2", False)
    then = {c.id: c for c in store.conversations_of(["customer"], eight(3))}
    assert then["c-1"].recorded == moments[:1]
    assert then["c-2"].is_left_out
