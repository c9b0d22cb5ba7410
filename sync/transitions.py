"""
The diff: what a change means for a conversation, given what is stored of it (semantics 2). Pure.

The rule behind the table (2.0): a transition exists when `events` does not record it yet, one creation per
conversation and closes more than five seconds apart; the stored status follows the newest recorded change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from state import Conversation, Status, Transition, TransitionRecord
from sync.changes import OF_A_CONVERSATION, Change, ChangeType

# Two closes of one conversation this close together are one close, seen again or through another source:
# the report has no ids and may cut fractions of a second (semantics 2, 3.5).
SAME_CLOSE = timedelta(seconds=5)


@dataclass(slots=True)
class Decision:
    """A transition, the change that showed it, and its conversation as stored from then on."""

    transition: Transition
    change: Change
    conversation: Conversation


def decide_all(stored: dict[str, Conversation], changes: Iterable[Change]) -> list[Decision]:
    """
    Apply changes in recorded order.

    Args:
        stored: The conversations known, by id; brought up to date in place, new ones added.
        changes: In any order; those of customers' profiles mean nothing here.
    """
    decisions = []
    for change in sorted(changes, key=lambda change: change.order):
        if change.type is ChangeType.CUSTOMER_MERGED:
            merge(stored, change)
        elif change.type in OF_A_CONVERSATION:
            transition = decide(stored, change)
            if transition is not None:
                conversation = stored[change.conversation_id]
                conversation.recorded.append(TransitionRecord(transition, change.recorded_at))
                decisions.append(Decision(transition, change, conversation))
    return decisions


def decide(stored: dict[str, Conversation], change: Change) -> Transition | None:
    """What one change of a conversation means; the stored conversation is brought up to date."""
    known = stored.get(change.conversation_id)
    match change.type:
        case ChangeType.CREATED:
            return _created(stored, known, change)
        case ChangeType.CLOSED:
            return _closed(stored, known, change)
        case ChangeType.REOPENED:
            return _reopened(stored, known, change)
    return None


def _created(
    stored: dict[str, Conversation], known: Conversation | None, change: Change
) -> Transition | None:
    if known is None:
        _store(stored, change, Status.OPEN)
        return Transition.CREATED
    # A creation never reopens: what is stored already came after it, also where its closing was seen first.
    is_recorded = any(record.transition is Transition.CREATED for record in known.recorded)
    return None if is_recorded else Transition.CREATED


def _closed(stored: dict[str, Conversation], known: Conversation | None, change: Change) -> Transition | None:
    if known is None:
        _store(stored, change, Status.CLOSED)
        return Transition.CLOSED
    is_recorded = _is_recorded_near(known, Transition.CLOSED, change.recorded_at)
    if change.recorded_at < known.updated_at or known.status is Status.DELETED:
        return None if is_recorded else Transition.CLOSED
    if known.status is Status.MERGED:
        return None  # merged away: it never closes (2.1)
    if is_recorded and (known.status is Status.CLOSED or change.recorded_at == known.updated_at):
        return None
    # Open, and closed after that: another close, however soon after the one before it was reopened.
    _become(known, change, Status.CLOSED)
    return Transition.CLOSED


def _reopened(
    stored: dict[str, Conversation], known: Conversation | None, change: Change
) -> Transition | None:
    if known is None:
        _store(stored, change, Status.OPEN)
        return Transition.REOPENED
    if known.status in (Status.MERGED, Status.DELETED):
        return None
    is_recorded = _is_recorded_near(known, Transition.REOPENED, change.recorded_at)
    if change.recorded_at < known.updated_at:
        return None if is_recorded else Transition.REOPENED
    was_closed = known.status is Status.CLOSED
    _become(known, change, Status.OPEN if was_closed else known.status)
    return Transition.REOPENED if was_closed and not is_recorded else None


def merge(stored: dict[str, Conversation], change: Change) -> None:
    """
    `CUSTOMER/MERGED`: the source's open conversation is merged away, its others now belong to the
    destination (semantics 2.2). Those not in *stored* are the state store's to move.
    """
    for conversation in stored.values():
        if conversation.customer_id == change.customer_id:
            conversation.customer_id = change.into_customer_id
    if not change.conversation_id:
        return
    source = stored.get(change.conversation_id)
    if source is None:
        _store(stored, change, Status.MERGED)
    elif source.status.is_open:
        _become(source, change, Status.MERGED)


def _store(stored: dict[str, Conversation], change: Change, status: Status) -> None:
    stored[change.conversation_id] = Conversation(
        id=change.conversation_id,
        customer_id=change.into_customer_id or change.customer_id,
        status=status,
        updated_at=change.recorded_at,
        closed_at=change.recorded_at if status is Status.CLOSED else None,
    )


def _become(known: Conversation, change: Change, status: Status) -> None:
    known.status = status
    known.updated_at = change.recorded_at
    known.closed_at = change.recorded_at if status is Status.CLOSED else None


def _is_recorded_near(known: Conversation, transition: Transition, at: datetime) -> bool:
    return any(
        record.transition is transition and abs(record.recorded_at - at) <= SAME_CLOSE
        for record in known.recorded
    )
