"""A stored conversation comes back with the transitions that are recorded of it."""

from state.records import (
    CustomerMerge,
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
