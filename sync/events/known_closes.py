"""
What is known of a conversation's closes and reopenings near the changes at hand, to tell two closes apart.

Two closes of one conversation within five seconds are the same close, read twice or through two sources,
unless a reopening is known between them (semantics 2, 2.0.1). The report has no ids, and its instants may lie
a second or two beside the feed's. So its rows are assigned one by one to what is known (faults H1.21).
"""

from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from state.records import ChangeRecord, StoredConversation, Transition
from sync.events.changes import Change, ChangeType

# Two closes of one conversation this close together are the same close, read twice or from two sources: the
# report has no ids and may cut fractions of a second (semantics 2, 3.5).
SAME_CLOSE = timedelta(seconds=5)

# A reopening can lie this far from a close that must be known in order to decide: a close within `SAME_CLOSE`
# of the reopening may be held to be the same as one that lies as far away again.
NEARBY = 2 * SAME_CLOSE

_OF_INTEREST = frozenset({ChangeType.CLOSED, ChangeType.REOPENED})


class Moment(NamedTuple):
    """A conversation, and an instant near which its recorded changes must be known."""

    conversation_id: str
    at: datetime


def moments_to_recall(stored: Mapping[str, StoredConversation], changes: Iterable[Change]) -> set[Moment]:
    """
    Return where the changes taken in earlier matter: at closes and reopenings that lie near another close.

    Args:
        stored: The conversations that are known, by id. Nothing was taken in earlier of another one.
        changes: The changes at hand.
    """
    at_hand: dict[str, list[Change]] = {}
    for change in changes:
        if change.type in _OF_INTEREST and change.conversation_id in stored:
            at_hand.setdefault(change.conversation_id, []).append(change)
    moments = set()
    for id_, those in at_hand.items():
        closes = [r.recorded_at for r in stored[id_].recorded if r.transition is Transition.CLOSED]
        closes += [change.recorded_at for change in those if change.type is ChangeType.CLOSED]
        for change in those:
            near = sum(abs(at - change.recorded_at) <= NEARBY for at in closes)
            # A close at hand lies near itself.
            if near > (change.type is ChangeType.CLOSED):
                moments.add(Moment(id_, change.recorded_at))
    return moments


class KnownCloses:
    """
    The closes and reopenings of one conversation that are known near the changes at hand.

    Args:
        stored: The conversation as stored; None when it is not known yet.
        recalled: Its changes taken in earlier, near the changes at hand.
        coming: Its changes at hand, in order. A reopening among them separates two closes from the start.
    """

    def __init__(
        self, stored: StoredConversation | None, recalled: Sequence[ChangeRecord], coming: Sequence[Change]
    ) -> None:
        records = stored.recorded if stored else []
        self._recorded = sorted(r.recorded_at for r in records if r.transition is Transition.CLOSED)
        self._reopened = {r.recorded_at for r in records if r.transition is Transition.REOPENED}
        if stored and stored.status.is_open:
            self._reopened.add(stored.updated_at)
        self._report_closes: list[datetime] = []
        self._not_new: list[Change] = []
        report_reopenings = []
        for record in recalled:
            is_from_report = record.change_id is None
            if record.type == ChangeType.CLOSED.name:
                if record.transition is None:
                    self._not_new.append(_as_change(record, stored))
                if is_from_report:
                    insort(self._report_closes, record.recorded_at)
            elif record.type == ChangeType.REOPENED.name:
                if is_from_report:
                    report_reopenings.append(record.recorded_at)
                if record.transition is not None or not is_from_report:
                    self._reopened.add(record.recorded_at)
        self._reopened |= {c.recorded_at for c in coming if _is_reopening(c) and not c.is_from_report}
        self._same_reopenings = self._of_known_reopenings(
            [c.recorded_at for c in coming if _is_reopening(c) and c.is_from_report], report_reopenings
        )
        self._reopened |= {c.recorded_at for c in coming if _is_reopening(c)} - self._same_reopenings

    def _of_known_reopenings(self, coming: Sequence[datetime], earlier: Sequence[datetime]) -> set[datetime]:
        """
        Return which reopenings of the report stand for a known one. Each known one answers for one of them.
        """
        known, of_report = sorted(self._reopened), sorted(earlier)
        same = {at for at in coming if at in of_report}
        for at in coming:
            more = sorted({*of_report, at})
            if _assignable(more, known) > _assignable(of_report, known):
                same.add(at)
            of_report = more
        return same

    def is_same_reopening(self, change: Change) -> bool:
        """Return whether a reopening of the report stands for one that is known."""
        return change.is_from_report and change.recorded_at in self._same_reopenings

    def is_close_between(self, one: datetime, other: datetime) -> bool:
        """Return whether a recorded close lies between two instants."""
        first, last = min(one, other), max(one, other)
        return any(first < at <= last for at in self._recorded)

    def is_same_close(self, change: Change) -> bool:
        """Return whether a recorded close is this very close."""
        at = change.recorded_at
        near = [recorded for recorded in self._recorded if abs(recorded - at) <= SAME_CLOSE]
        if any(recorded == at or not self._is_separated(recorded, at) for recorded in near):
            return True
        if not near or not change.is_from_report:
            return False
        # Each recorded close answers for one close of the report.
        others = [other for other in self._report_closes if other != at]
        return _assignable(sorted([*others, at]), self._recorded) > _assignable(others, self._recorded)

    def note(self, change: Change, transition: Transition | None) -> None:
        """Note what was decided about a close."""
        if change.type is not ChangeType.CLOSED:
            return
        if change.is_from_report and change.recorded_at not in self._report_closes:
            insort(self._report_closes, change.recorded_at)
        if transition is Transition.CLOSED:
            insort(self._recorded, change.recorded_at)
        self._not_new = [close for close in self._not_new if close.recorded_at != change.recorded_at]
        if transition is None:
            self._not_new.append(change)

    def closes_not_new(self, near: datetime) -> list[Change]:
        """Return the closes near an instant that were taken for another one, in order."""
        found = [c for c in self._not_new if abs(c.recorded_at - near) <= SAME_CLOSE]
        return sorted(found, key=lambda change: change.order)

    def _is_separated(self, one: datetime, other: datetime) -> bool:
        """Return whether a reopening is known between two instants."""
        first, last = min(one, other), max(one, other)
        return any(first <= at <= last for at in self._reopened)


def known_closes(
    stored: Mapping[str, StoredConversation], recalled: Iterable[ChangeRecord], changes: Iterable[Change]
) -> dict[str, KnownCloses]:
    """
    Return what is known of each conversation that is closed or reopened by *changes*.

    Args:
        stored: The conversations that are known, by id.
        recalled: The changes taken in earlier, near the `moments_to_recall`.
        changes: The changes at hand, in order.
    """
    coming: dict[str, list[Change]] = {}
    for change in changes:
        if change.type in _OF_INTEREST:
            coming.setdefault(change.conversation_id, []).append(change)
    earlier: dict[str, list[ChangeRecord]] = {}
    for record in recalled:
        earlier.setdefault(record.conversation_id, []).append(record)
    return {id_: KnownCloses(stored.get(id_), earlier.get(id_, []), those) for id_, those in coming.items()}


def _is_reopening(change: Change) -> bool:
    return change.type is ChangeType.REOPENED


def _as_change(record: ChangeRecord, stored: StoredConversation | None) -> Change:
    return Change(
        record.change_id or "",
        ChangeType.CLOSED,
        record.recorded_at,
        customer_id=stored.customer_id if stored else "",
        conversation_id=record.conversation_id,
        agent_id=record.agent_id,
        is_from_report=record.change_id is None,
    )


def _assignable(some: Sequence[datetime], known: Sequence[datetime]) -> int:
    """
    Return how many of *some* can be assigned to instants of *known* within `SAME_CLOSE`, each to its own.

    Args:
        some, known: Instants in order.
    """
    count = place = 0
    for at in some:
        while place < len(known) and at - known[place] > SAME_CLOSE:
            place += 1
        if place < len(known) and known[place] - at <= SAME_CLOSE:
            count, place = count + 1, place + 1
    return count
