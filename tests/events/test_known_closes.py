"""
Which closes are one, and which are two: with reopenings that are seen late, and with instants of the report.
"""

from datetime import UTC, datetime, timedelta
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.records import ChangeRecord, Status, StoredConversation, Transition
from sync.events.changes import Change, ChangeType
from sync.events.known_closes import NEARBY, moments_to_recall
from sync.events.transitions import Decision, decide_all

T0 = datetime(2026, 11, 20, 8, tzinfo=UTC)
CREATED, CLOSED, REOPENED = ChangeType.CREATED, ChangeType.CLOSED, ChangeType.REOPENED


def at(seconds: float) -> datetime:
    return T0 + timedelta(milliseconds=round(1_000 * seconds))


def feed(type_: ChangeType, seconds: float, agent: str | None = None) -> Change:
    return Change(f"{type_.name}-{seconds}", type_, at(seconds), "cust", "conv", agent)


def report(type_: ChangeType, seconds: float) -> Change:
    return Change("", type_, at(seconds), "cust", "conv", is_from_report=True)


class Known:
    """What a state file holds: conversations with their events, and the changes with what was decided."""

    def __init__(self) -> None:
        self.conversations: dict[str, StoredConversation] = {}
        self.changes: dict[tuple[datetime, str, str], ChangeRecord] = {}

    def take(self, *changes: Change) -> list[Decision]:
        """Take changes in as one chunk."""
        moments = moments_to_recall(self.conversations, changes)
        recalled = [
            record
            for record in self.changes.values()
            if any(
                id_ == record.conversation_id and abs(record.recorded_at - near) <= NEARBY
                for id_, near in moments
            )
        ]
        diff = decide_all(self.conversations, changes, recalled)
        self.conversations = diff.conversations
        for d in diff.decisions:
            key = d.change.recorded_at, d.change.conversation_id, d.change.type.name
            record = ChangeRecord(
                d.change.id or None, key[1], key[2], key[0], d.before, d.after, d.transition, d.why,
                d.change.agent_id,
            )  # fmt: skip
            kept = self.changes.setdefault(key, record)
            if kept.transition is None and d.transition is Transition.CLOSED:
                self.changes[key] = record
        return diff.decisions

    @property
    def closes(self) -> list[float]:
        """The closes that became events, in seconds."""
        found = self.conversations["conv"].recorded
        return sorted((r.recorded_at - T0).total_seconds() for r in found if r.transition == "closed")

    @property
    def status(self) -> Status:
        return self.conversations["conv"].status


QUICK = (feed(CREATED, 0), feed(CLOSED, 60), feed(REOPENED, 62), feed(CLOSED, 64))


@pytest.mark.parametrize("order", list(permutations(range(4))))
@pytest.mark.parametrize("cuts", list(product([False, True], repeat=3)))
def test_a_reopening_between_two_quick_closes_counts_however_late_it_is_seen(order, cuts):
    """In any order, in one chunk or in several: two closes, and closed in the end (faults H1.12)."""
    known, chunk = Known(), []
    for place, number in enumerate(order):
        chunk.append(QUICK[number])
        if place == 3 or cuts[place]:
            known.take(*chunk)
            chunk = []
    assert known.closes == [60, 64]
    assert (known.status, known.conversations["conv"].updated_at) == (Status.CLOSED, at(64))
    decided = [record.transition for record in known.changes.values() if record.type == "CLOSED"]
    assert decided == [Transition.CLOSED] * 2


def test_the_close_decided_anew_is_told_whole():
    """Its decision carries the change with its id and agent, and says why."""
    known = Known()
    known.take(feed(CREATED, 0), feed(CLOSED, 60))
    (first,) = known.take(feed(CLOSED, 64, "agent"))
    assert first.transition is None
    reopening, close = known.take(feed(REOPENED, 62))
    assert reopening.transition is Transition.REOPENED
    assert (close.transition, close.change) == (Transition.CLOSED, feed(CLOSED, 64, "agent"))
    assert (close.before, close.after) == (Status.OPEN, Status.CLOSED)
    assert "visible late" in close.why
    assert known.take(feed(REOPENED, 62), feed(CLOSED, 64, "agent"))[-1].transition is None


def test_a_reopening_elsewhere_leaves_the_same_close_the_same():
    """Before both closes or after both, it separates nothing."""
    known = Known()
    known.take(feed(CLOSED, 60))
    known.take(feed(CLOSED, 61))
    known.take(feed(REOPENED, 63))
    known.take(feed(REOPENED, 58))
    assert (known.closes, known.status) == ([60], Status.OPEN)


def test_reopenings_seen_before_any_close_separate_them():
    """Closes that all become visible after their reopenings are closes of their own, also in one chunk."""
    known = Known()
    known.take(feed(CREATED, 0), feed(REOPENED, 62))
    known.take(feed(CLOSED, 60), feed(CLOSED, 64))
    assert (known.closes, known.status) == ([60, 64], Status.CLOSED)


def test_a_conversation_merged_away_gets_no_close_anew():
    """What was recorded before the merge counts, and what comes after it does not."""
    merge = Change("m", ChangeType.CUSTOMER_MERGED, at(63), "cust", "conv", into_customer_id="other")
    known = Known()
    known.take(feed(CREATED, 0), feed(CLOSED, 60), feed(REOPENED, 61))
    known.take(merge)
    known.take(feed(CLOSED, 64))
    known.take(feed(REOPENED, 62))
    assert (known.closes, known.status) == ([60], Status.MERGED)


def test_changes_of_one_millisecond_count_in_gladlys_own_order():
    """Ids are no order: the later one in the stream decides (semantics 2.0.1)."""
    known = Known()
    close, reopening = feed(CLOSED, 60), feed(REOPENED, 60)
    close.id, reopening.id = "z", "a"
    known.take(feed(CREATED, 0), close, reopening)
    assert known.status is Status.OPEN
    known.take(reopening, close)
    assert known.closes == [60]
    other = Known()
    other.take(feed(CLOSED, 50), reopening, close)
    assert (other.closes, other.status) == ([50, 60], Status.CLOSED)


@pytest.mark.parametrize("beside_s", [-2, -1, -0.4, 0, 0.6, 1, 2])
@pytest.mark.parametrize("gap_s", [1, 1.5, 3, 30])
@pytest.mark.parametrize("in_one", [True, False], ids=["one chunk", "a chunk each"])
def test_the_reports_instants_beside_the_feeds_make_no_second_event(beside_s, gap_s, in_one):
    """Closes and reopenings of any spacing, read from the feed and then from the report (faults H1.21)."""
    kinds = [CREATED, CLOSED, REOPENED, CLOSED, REOPENED, CLOSED]
    for upto in range(2, 7):
        times = [(kind, 60 + gap_s * n) for n, kind in enumerate(kinds[:upto])]
        known = Known()
        known.take(*(feed(kind, seconds) for kind, seconds in times))
        before = known.closes, known.status
        again = [report(kind, seconds + beside_s) for kind, seconds in times]
        for _ in range(2):  # a report may be read twice as well
            for chunk in [again] if in_one else [[change] for change in again]:
                known.take(*chunk)
            assert (known.closes, known.status) == before


def test_a_recorded_close_answers_for_one_close_of_the_report():
    """The feed showed one of two: the other is found in the report, and only once."""
    known = Known()
    known.take(feed(CREATED, 0), feed(CLOSED, 60.4))
    rows = [report(CLOSED, 60), report(REOPENED, 61), report(CLOSED, 63)]
    for row in rows + rows:
        known.take(row)
    assert (known.closes, known.status) == ([60.4, 63], Status.CLOSED)


def test_reopenings_of_the_report_are_told_apart_too():
    """Two reopenings within five seconds, each row in its own chunk, with nothing known from the feed."""
    known = Known()
    for row in [report(CLOSED, 59), report(REOPENED, 60), report(CLOSED, 61.5), report(REOPENED, 62.5)]:
        known.take(row)
    assert known.status is Status.OPEN
    known.take(report(CLOSED, 64))
    assert (known.closes, known.status) == ([59, 61.5, 64], Status.CLOSED)


@given(st.lists(st.integers(1, 9_000), min_size=1, max_size=9), st.randoms(use_true_random=False), st.data())
def test_any_spacing_in_any_order_and_any_chunks_gives_each_close_once(gaps, random, data):
    """A millisecond apart or nine seconds: each close of the feed is an event, whatever is seen first."""
    kinds, moment, history = [CREATED, *[CLOSED, REOPENED] * 5], 0, []
    for kind, gap in zip(kinds, gaps, strict=False):
        moment += gap
        history.append(feed(kind, moment / 1_000))
    whole = Known()
    whole.take(*history)
    shuffled = history[:]
    random.shuffle(shuffled)
    pieces = Known()
    while shuffled:
        size = data.draw(st.integers(1, len(shuffled)))
        pieces.take(*shuffled[:size])
        shuffled = shuffled[size:]
    expected = [(c.recorded_at - T0).total_seconds() for c in history if c.type is CLOSED]
    assert pieces.closes == whole.closes == expected
    newest = history[-1]
    assert pieces.status is whole.status
    assert pieces.status is (Status.CLOSED if newest.type is CLOSED else Status.OPEN)
    again = sorted(history, key=lambda change: change.order)
    pieces.take(*again)
    assert pieces.closes == expected
    assert pieces.status is whole.status
