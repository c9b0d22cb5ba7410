"""
The diff: what a change means for a conversation, given what is stored of it (semantics 2). Pure.

The rule behind the table (2.0): a transition exists when `events` does not record it yet, one creation per
conversation and closes more than five seconds apart; the stored status follows the newest recorded change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from state import Status, StoredConversation, Transition, TransitionRecord
from sync.events.changes import OF_A_CONVERSATION, Change, ChangeType

# Two closes of one conversation this close together are one close, seen again or through another source:
# the report has no ids and may cut fractions of a second (semantics 2, 3.5).
SAME_CLOSE = timedelta(seconds=5)


@dataclass(slots=True)
class Decision:
    """
    What one change meant, for `explain` as well as for the event.

    Attributes:
        transition: None where it meant nothing new.
        why: In a few words.
        conversation: As stored from then on.
        before, after: Its status around this change; None where nothing was stored.
    """

    transition: Transition | None
    why: str
    change: Change
    conversation: StoredConversation
    before: Status | None
    after: Status


class Verdict(NamedTuple):
    """What a change means, and why."""

    transition: Transition | None
    why: str


def decide_all(stored: dict[str, StoredConversation], changes: Iterable[Change]) -> list[Decision]:
    """
    Apply changes in recorded order.

    Args:
        stored: The conversations known, by id; brought up to date in place, new ones added.
        changes: In any order; those of customers' profiles mean nothing here.

    Returns: a decision for each change of a conversation, in recorded order.
    """
    decisions = []
    for change in sorted(changes, key=lambda change: change.order):
        known = stored.get(change.conversation_id)
        before = known.status if known else None
        if change.type is ChangeType.CUSTOMER_MERGED:
            verdict = merge(stored, change)
        elif change.type in OF_A_CONVERSATION:
            verdict = decide(stored, change)
        else:
            continue
        conversation = stored.get(change.conversation_id)
        if conversation is None:
            continue  # a merge of customers without open conversations
        if verdict.transition is not None:
            conversation.recorded.append(TransitionRecord(verdict.transition, change.recorded_at))
        decisions.append(Decision(*verdict, change, conversation, before, conversation.status))
    return decisions


def decide(stored: dict[str, StoredConversation], change: Change) -> Verdict:
    """What one change of a conversation means; the stored conversation is brought up to date."""
    known = stored.get(change.conversation_id)
    if change.type is ChangeType.CREATED:
        return _created(stored, known, change)
    if change.type is ChangeType.CLOSED:
        return _closed(stored, known, change)
    return _reopened(stored, known, change)


def _created(
    stored: dict[str, StoredConversation], known: StoredConversation | None, change: Change
) -> Verdict:
    if known is None:
        _store(stored, change, Status.OPEN)
        return Verdict(Transition.CREATED, "not known before")
    # A creation never reopens: what is stored already came after it, also where its closing was seen first.
    if any(record.transition is Transition.CREATED for record in known.recorded):
        return Verdict(None, "its creation is recorded already")
    return Verdict(Transition.CREATED, "its creation was missed until now")


def _closed(
    stored: dict[str, StoredConversation], known: StoredConversation | None, change: Change
) -> Verdict:
    if known is None:
        _store(stored, change, Status.CLOSED)
        return Verdict(Transition.CLOSED, "opened before this state file began: no creation is invented")
    is_recorded = _is_recorded_near(known, Transition.CLOSED, change.recorded_at)
    same = Verdict(None, "the same close: one within 5 s is recorded")
    if change.recorded_at < known.updated_at or known.status is Status.DELETED:
        return same if is_recorded else Verdict(Transition.CLOSED, "an earlier close, missed until now")
    if known.status is Status.MERGED:
        return Verdict(None, "merged away: it never closes")
    if is_recorded and (known.status is Status.CLOSED or change.recorded_at == known.updated_at):
        return same
    # Open, and closed after that: another close, however soon after the one before it was reopened.
    why = "closed again: a reopening was missed" if known.status is Status.CLOSED else "was open"
    _become(known, change, Status.CLOSED)
    return Verdict(Transition.CLOSED, why)


def _reopened(
    stored: dict[str, StoredConversation], known: StoredConversation | None, change: Change
) -> Verdict:
    if known is None:
        _store(stored, change, Status.OPEN)
        return Verdict(Transition.REOPENED, "not known before")
    if known.status in (Status.MERGED, Status.DELETED):
        return Verdict(None, f"{known.status.lower()}: it never reopens")
    is_recorded = _is_recorded_near(known, Transition.REOPENED, change.recorded_at)
    same = Verdict(None, "the same reopening: one within 5 s is recorded")
    if change.recorded_at < known.updated_at:
        return same if is_recorded else Verdict(Transition.REOPENED, "an earlier reopening, missed until now")
    was_closed = known.status is Status.CLOSED
    _become(known, change, Status.OPEN if was_closed else known.status)
    if not was_closed:
        return Verdict(None, "was open already")
    return same if is_recorded else Verdict(Transition.REOPENED, "was closed")


def merge(stored: dict[str, StoredConversation], change: Change) -> Verdict:
    """
    `CUSTOMER/MERGED`: the source's open conversation is merged away, its others now belong to the
    destination (semantics 2.2). Those not in *stored* are the state store's to move.
    """
    for conversation in stored.values():
        if conversation.customer_id == change.customer_id:
            conversation.customer_id = change.into_customer_id
    source = stored.get(change.conversation_id)
    if source is None and change.conversation_id:
        _store(stored, change, Status.MERGED)
    elif source is not None and source.status.is_open:
        _become(source, change, Status.MERGED)
    return Verdict(None, f"customer {change.customer_id} was merged into {change.into_customer_id}")


def _store(stored: dict[str, StoredConversation], change: Change, status: Status) -> None:
    stored[change.conversation_id] = StoredConversation(
        id=change.conversation_id,
        customer_id=change.into_customer_id or change.customer_id,
        status=status,
        updated_at=change.recorded_at,
        closed_at=change.recorded_at if status is Status.CLOSED else None,
    )


def _become(known: StoredConversation, change: Change, status: Status) -> None:
    known.status = status
    known.updated_at = change.recorded_at
    known.closed_at = change.recorded_at if status is Status.CLOSED else None


def _is_recorded_near(known: StoredConversation, transition: Transition, at: datetime) -> bool:
    return any(
        record.transition is transition and abs(record.recorded_at - at) <= SAME_CLOSE
        for record in known.recorded
    )
