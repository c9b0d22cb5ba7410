"""A change: its kind, its order among others, and what an id may be."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.events.changes import OF_A_CONVERSATION, TYPES, Change, ChangeType, checked_id

T0 = datetime(2026, 11, 20, 8, tzinfo=UTC)
IDS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)


def test_changes_are_ordered_by_the_instant_that_gladly_recorded():
    """
    At one instant a creation comes first. The others keep the order in which they are read.
    """
    created = Change("z", ChangeType.CREATED, T0)
    at_once = [Change("b", ChangeType.CLOSED, T0), Change("a", ChangeType.REOPENED, T0)]
    later = Change("a", ChangeType.CREATED, T0 + timedelta(milliseconds=1))
    for seed in range(20):
        read = random.Random(seed).sample([created, *at_once, later], 4)
        kept = [change for change in read if change in at_once]
        assert sorted(read, key=lambda change: change.order) == [created, *kept, later]


def test_every_kind_but_other_has_one_name_at_gladly():
    """A kind without a name would never be read. Topics, notes and new kinds are OTHER."""
    assert sorted(TYPES.values(), key=str) == sorted(set(ChangeType) - {ChangeType.OTHER}, key=str)
    named = {name for name, type_ in TYPES.items() if type_ in OF_A_CONVERSATION}
    assert named == {"CONVERSATION/CREATED", "CONVERSATION/CLOSED", "CONVERSATION/REOPENED"}


@given(IDS)
def test_an_id_is_returned_as_it_is(id_):
    """Gladly's own ids have at most 50 characters. We accept up to 200."""
    assert checked_id(id_, "conversationId") == id_


@pytest.mark.parametrize("value", [None, ""], ids=repr)
def test_a_missing_id_is_an_error_that_names_its_field(value):
    """The line goes to quarantine with this sentence (faults D12)."""
    with pytest.raises(ValueError, match=r"^customerId is missing$"):
        checked_id(value, "customerId")


@pytest.mark.parametrize(
    "value",
    ["a b", "a\n", " ", "\x1b[31m", "é", "x" * 201, "\x7f"],
    ids=["a space", "a line end", "only a space", "an escape", "not ASCII", "201 characters", "delete"],
)
def test_what_cannot_be_an_id_is_an_error_that_does_not_repeat_it(value):
    """It would reach a log, a path or a terminal."""
    with pytest.raises(ValueError, match=r"^customerId is not an id as Gladly makes them$"):
        checked_id(value, "customerId")
