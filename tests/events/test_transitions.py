"""The diff, rule by rule (the table of semantics 2), and its properties."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.records import Status, StoredConversation, Transition, TransitionRecord
from sync.events.changes import Change, ChangeType
from sync.events.transitions import decide_all

T0 = datetime(2026, 11, 20, 8, tzinfo=UTC)
CREATED, CLOSED, REOPENED = ChangeType.CREATED, ChangeType.CLOSED, ChangeType.REOPENED


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def change(type_: ChangeType, seconds: float, id_: str = "", **fields: str) -> Change:
    return Change(id_ or f"{type_.name}-{seconds}", type_, at(seconds), "cust", "conv", **fields)


def history(*changes: tuple[ChangeType, float]) -> dict[str, StoredConversation]:
    """What is stored after these changes were taken in."""
    return decide_all({}, [change(type_, seconds) for type_, seconds in changes]).conversations


def transitions(stored: dict[str, StoredConversation], *changes: Change) -> list[Transition]:
    """The transitions that these changes are; *stored* is brought up to date."""
    diff = decide_all(stored, changes)
    stored.update(diff.conversations)
    return [decision.transition for decision in diff.decisions if decision.transition]


@pytest.mark.parametrize(
    ("stored", "seen", "expected", "status"),
    [
        pytest.param([], (CREATED, 0), "created", Status.OPEN, id="nothing stored, created: created, open"),
        pytest.param(
            [], (CLOSED, 0), "closed", Status.CLOSED, id="nothing stored, closed: no created is invented"
        ),
        pytest.param([], (REOPENED, 0), "reopened", Status.OPEN, id="nothing stored, reopened: open"),
        pytest.param([(CREATED, 0)], (CREATED, 9), None, Status.OPEN, id="open, created: already known"),
        pytest.param([(CREATED, 0)], (CLOSED, 9), "closed", Status.CLOSED, id="open, closed: closed"),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9)], (REOPENED, 60), "reopened", Status.OPEN, id="closed, reopened: open"
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9)],
            (CLOSED, 14),
            None,
            Status.CLOSED,
            id="closed, closed 5 s later: same",
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9)],
            (CLOSED, 4),
            None,
            Status.CLOSED,
            id="closed, closed 5 s earlier: same",
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9)],
            (CLOSED, 14.001),
            "closed",
            Status.CLOSED,
            id="closed, closed over 5 s later: a reopening was missed",
        ),
        pytest.param([(CREATED, 0)], (REOPENED, 9), None, Status.OPEN, id="open, reopened: none, open"),
        pytest.param(
            [(CLOSED, 9)], (CREATED, 0), "created", Status.CLOSED, id="its closing was seen first: created"
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9)],
            (CREATED, 0),
            None,
            Status.CLOSED,
            id="closed, created: known already",
        ),
        pytest.param(
            [(REOPENED, 30)],
            (CREATED, 0),
            "created",
            Status.OPEN,
            id="open since a reopening, created: missed",
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9), (REOPENED, 60)],
            (CLOSED, 30),
            "closed",
            Status.OPEN,
            id="an older close, not recorded: closed, and the stored state stays with the newest",
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9), (REOPENED, 60)],
            (CLOSED, 12),
            None,
            Status.OPEN,
            id="an older close within 5 s of a recorded one: none",
        ),
        pytest.param(
            [(CREATED, 0), (CLOSED, 9), (REOPENED, 10)],
            (CLOSED, 11),
            "closed",
            Status.CLOSED,
            id="reopened and closed again at once: closed, however soon",
        ),
    ],
)
def test_one_change_means_one_thing(stored, seen, expected, status):
    """Every row of the table in semantics 2."""
    known = history(*stored)
    found = transitions(known, change(*seen, id_="new"))
    assert found == ([Transition(expected)] if expected else [])
    assert known["conv"].status is status


def test_a_change_of_another_kind_means_nothing():
    """Topics, notes and types nobody has heard of make no transition and store nothing."""
    known: dict[str, StoredConversation] = {}
    assert transitions(known, Change("x", ChangeType.OTHER, T0)) == []
    assert transitions(known, Change("y", ChangeType.PROFILE_UPDATED, T0, "cust")) == []
    assert known == {}


def test_every_close_between_two_polls_is_a_transition_of_its_own():
    """Created, closed, reopened and closed again in one poll: one created and two closed, in order (2.1)."""
    found = transitions(
        {}, *(change(t, s) for t, s in [(CLOSED, 90), (REOPENED, 60), (CLOSED, 30), (CREATED, 0)])
    )
    assert found == [Transition.CREATED, Transition.CLOSED, Transition.REOPENED, Transition.CLOSED]


def test_a_creation_comes_first_where_instants_are_equal():
    """Ids are no order in time: a conversation is created before it is closed."""
    assert transitions({}, change(CLOSED, 0, "a"), change(CREATED, 0, "b")) == [
        Transition.CREATED,
        Transition.CLOSED,
    ]


MERGE = {"into_customer_id": "other"}


def test_a_conversation_merged_away_never_closes():
    """`CUSTOMER/MERGED`: the source conversation is stored as merged (2.2)."""
    known = history((CREATED, 0))
    merged = change(ChangeType.CUSTOMER_MERGED, 10, **MERGE)
    assert transitions(known, merged, change(CLOSED, 20), change(REOPENED, 25)) == []
    assert (known["conv"].status, known["conv"].customer_id) == (Status.MERGED, "other")


def test_what_was_recorded_before_the_merge_still_counts():
    """A creation and a close that become visible after the merge are sent; the conversation stays merged."""
    known: dict[str, StoredConversation] = {}
    assert transitions(known, change(ChangeType.CUSTOMER_MERGED, 10, **MERGE)) == []
    assert transitions(known, change(CREATED, 0), change(CLOSED, 5)) == [
        Transition.CREATED,
        Transition.CLOSED,
    ]
    assert known["conv"].status is Status.MERGED


def test_a_merge_without_conversations_moves_the_customer_only():
    """Conversation ids stand in a merge only where both sides had an open one."""
    known = history((CREATED, 0))
    merge = Change("m", ChangeType.CUSTOMER_MERGED, at(10), "cust", into_customer_id="other")
    assert transitions(known, merge) == []
    assert (known["conv"].status, known["conv"].customer_id) == (Status.OPEN, "other")


def test_a_close_of_a_deleted_conversation_is_still_recorded():
    """Its event is suppressed later, but that it happened is known (5.1)."""
    known = {"conv": StoredConversation("conv", "cust", Status.DELETED, at(10))}
    assert transitions(known, change(CLOSED, 20)) == [Transition.CLOSED]
    assert transitions(known, change(REOPENED, 30)) == []
    assert known["conv"].status is Status.DELETED


def test_a_reopening_already_recorded_is_not_another():
    """Read again through a source without ids, or after a reset."""
    known = history((CREATED, 0), (CLOSED, 9), (REOPENED, 60), (CLOSED, 90))
    assert transitions(known, change(REOPENED, 60, "again"), change(REOPENED, 30, "missed")) == [
        Transition.REOPENED
    ]


# Properties: any history as Gladly can record it, however it is read.


@st.composite
def histories(draw) -> list[Change]:
    """Conversations that are created, closed, reopened and closed again, over 5 s apart, as one feed."""
    feed = []
    for number in range(draw(st.integers(1, 4))):
        moment = draw(st.floats(0, 100))
        kinds = [CREATED, *[CLOSED, REOPENED] * 4][: draw(st.integers(1, 6))]
        for kind in kinds:
            id_ = f"{number}-{moment}"
            feed.append(Change(id_, kind, at(moment), f"cust{number}", f"conv{number}"))
            moment += draw(st.floats(5.01, 100))
    return sorted(feed, key=lambda c: c.order)


def recorded(stored: dict[str, StoredConversation]) -> set[tuple[str, TransitionRecord]]:
    return {(c.id, record) for c in stored.values() for record in c.recorded}


def states(stored: dict[str, StoredConversation]) -> dict[str, tuple[Status, datetime]]:
    return {c.id: (c.status, c.updated_at) for c in stored.values()}


def sent(stored: dict[str, StoredConversation]) -> set[tuple[str, TransitionRecord]]:
    """Reopenings are not sent by default, and one that is seen late is not told apart from one known."""
    return {(id_, r) for id_, r in recorded(stored) if r.transition is not Transition.REOPENED}


@given(histories(), st.data())
def test_any_cut_into_polls_gives_the_same_transitions(feed, data):
    """However a history is cut into polls, and whatever of it is read again, the transitions are the same."""
    whole = decide_all({}, feed).conversations
    cut: dict[str, StoredConversation] = {}
    position = 0
    while position < len(feed):
        start = data.draw(st.integers(0, position))
        end = data.draw(st.integers(position + 1, len(feed)))
        cut = decide_all(cut, feed[start:end]).conversations
        position = end
    assert recorded(cut) == recorded(whole)
    assert states(cut) == states(whole)


@given(histories(), st.randoms(use_true_random=False))
def test_any_order_of_visibility_loses_nothing(feed, random):
    """Changes that become visible in any order give the same created and closed, and the same last state."""
    whole = decide_all({}, feed).conversations
    shuffled = feed[:]
    random.shuffle(shuffled)
    one_by_one: dict[str, StoredConversation] = {}
    for each in shuffled:
        one_by_one = decide_all(one_by_one, [each]).conversations
    assert sent(one_by_one) == sent(whole)
    assert {id_: status for id_, (status, _) in states(one_by_one).items()} == {
        id_: status for id_, (status, _) in states(whole).items()
    }


@given(histories())
def test_each_change_is_sent_exactly_once(feed):
    """One created per conversation, one closed per close: the model in one line."""
    diff = decide_all({}, feed)
    assert [(d.change.type.name.lower(), d.change.id) for d in diff.decisions] == [
        (c.type.name.lower(), c.id) for c in feed
    ]
    assert transitions(diff.conversations, *feed) == []


def test_deciding_changes_nothing_that_was_stored():
    """What a decision comes to is returned; what was read from the state file stays as it was read."""
    stored = history((CREATED, 0), (CLOSED, 9))
    before = deepcopy(stored)
    moved = Change("m", ChangeType.CUSTOMER_MERGED, at(70), "cust", into_customer_id="other")
    assert transitions(dict(stored), change(REOPENED, 60), moved, change(CLOSED, 80)) != []
    assert stored == before
