"""
Make the diff: decide what a change means for a conversation, given what is stored about it (semantics 2).

One rule stands behind the table in semantics 2 (2.0): a transition exists when `events` does not record it
yet. A conversation is created once. Two closes are different closes when they are more than 5 seconds apart.
The stored status follows the newest change. Everything here is pure: no I/O and no clock.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from state.records import Status, StoredConversation, Transition, TransitionRecord
from sync.events.changes import OF_A_CONVERSATION, OF_TOPICS, Change, ChangeType

# Two closes of one conversation that are this close together are the same close, read twice or from two
# sources. The report has no ids and may cut fractions of a second (semantics 2, 3.5).
SAME_CLOSE = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Decision:
    """
    Hold what one change of a conversation means. `explain` shows it, and an event is made from it.

    Attributes:
        transition: What happened to the conversation; None when the change tells nothing new.
        why: The reason, in a few words.
        change: The change.
        before: The status stored before the change; None when nothing was stored.
        after: The status stored after the change.
        topic_ids: The conversation's topics then; None where they are not known.
    """

    transition: Transition | None
    why: str
    change: Change
    before: Status | None
    after: Status
    topic_ids: list[str] | None = None


class Diff(NamedTuple):
    """
    Hold what a number of changes mean.

    Attributes:
        decisions: One decision for each change of a conversation, in recorded order.
        conversations: The conversations as they must be stored, by id.
    """

    decisions: list[Decision]
    conversations: dict[str, StoredConversation]


class Verdict(NamedTuple):
    """
    Hold what one change means.

    Attributes:
        transition: What happened; None when the change tells nothing new.
        why: The reason, in a few words.
        becomes: The conversation as it must be stored.
    """

    transition: Transition | None
    why: str
    becomes: StoredConversation


def decide_all(stored: Mapping[str, StoredConversation], changes: Iterable[Change]) -> Diff:
    """
    Decide what each change means, in recorded order.

    Args:
        stored: The known conversations, by id. The mapping is not modified.
        changes: The changes, in any order. Changes of customer profiles mean nothing for a conversation.
    """
    conversations = dict(stored)
    decisions = []
    for change in sorted(changes, key=lambda change: change.order):
        known = conversations.get(change.conversation_id)
        before = known.status if known else None
        if change.type is ChangeType.CUSTOMER_MERGED:
            conversations |= _with_their_new_owner(conversations, change)
            if not change.conversation_id:
                continue  # the customers had no open conversations
            verdict = decide_merge(conversations.get(change.conversation_id), change)
        elif change.type in OF_A_CONVERSATION:
            verdict = decide(known, change)
        elif change.type in OF_TOPICS:
            if known is not None and known.topic_ids is not None:
                conversations[known.id] = _with_topics(known, change)
            continue
        else:
            continue
        conversation = verdict.becomes
        if verdict.transition is not None:
            record = TransitionRecord(verdict.transition, change.recorded_at)
            conversation = replace(conversation, recorded=[*conversation.recorded, record])
        conversations[change.conversation_id] = conversation
        decisions.append(
            Decision(
                verdict.transition,
                verdict.why,
                change,
                before,
                conversation.status,
                conversation.topic_ids,
            )
        )
    return Diff(decisions, conversations)


def decide(known: StoredConversation | None, change: Change) -> Verdict:
    """
    Decide what a creation, a close or a reopening means.

    Args:
        known: The conversation as stored; None when it is not known yet.
        change: The change.
    """
    if change.type is ChangeType.CREATED:
        return _created(known, change)
    if change.type is ChangeType.CLOSED:
        return _closed(known, change)
    return _reopened(known, change)


def decide_merge(known: StoredConversation | None, change: Change) -> Verdict:
    """
    Decide what `CUSTOMER/MERGED` means for the source's open conversation: it is merged away (semantics 2.2).

    Args:
        known: The source's conversation as stored; None when it is not known yet.
        change: The merge.
    """
    why = f"customer {change.customer_id} was merged into {change.into_customer_id}"
    if known is None:
        return Verdict(None, why, _new(change, Status.MERGED))
    return Verdict(None, why, _with_status(known, change, Status.MERGED) if known.status.is_open else known)


def _created(known: StoredConversation | None, change: Change) -> Verdict:
    if known is None:
        return Verdict(Transition.CREATED, "not known before", _new(change, Status.OPEN))
    # A creation never reopens a conversation. What is stored happened after the creation, even when it was
    # read before it.
    if any(record.transition is Transition.CREATED for record in known.recorded):
        return Verdict(None, "its creation is recorded already", known)
    return Verdict(Transition.CREATED, "its creation was missed until now", known)


def _closed(known: StoredConversation | None, change: Change) -> Verdict:
    if known is None:
        why = "opened before this state file began: no creation is invented"
        return Verdict(Transition.CLOSED, why, _new(change, Status.CLOSED))
    is_recorded = _is_recorded_near(known, Transition.CLOSED, change.recorded_at)
    same = Verdict(None, "the same close: one within 5 s is recorded", known)
    if change.recorded_at < known.updated_at or known.status is Status.DELETED:
        missed = Verdict(Transition.CLOSED, "an earlier close, missed until now", known)
        return same if is_recorded else missed
    if known.status is Status.MERGED:
        return Verdict(None, "merged away: it never closes", known)
    if is_recorded and (known.status is Status.CLOSED or change.recorded_at == known.updated_at):
        return same
    # The conversation was open and then closed. This is another close, even a moment after a reopening.
    why = "closed again: a reopening was missed" if known.status is Status.CLOSED else "was open"
    return Verdict(Transition.CLOSED, why, _with_status(known, change, Status.CLOSED))


def _reopened(known: StoredConversation | None, change: Change) -> Verdict:
    if known is None:
        return Verdict(Transition.REOPENED, "not known before", _new(change, Status.OPEN))
    if known.status in (Status.MERGED, Status.DELETED):
        return Verdict(None, f"{known.status.lower()}: it never reopens", known)
    is_recorded = _is_recorded_near(known, Transition.REOPENED, change.recorded_at)
    same = "the same reopening: one within 5 s is recorded"
    if change.recorded_at < known.updated_at:
        missed = Verdict(Transition.REOPENED, "an earlier reopening, missed until now", known)
        return Verdict(None, same, known) if is_recorded else missed
    if known.status is not Status.CLOSED:
        return Verdict(None, "was open already", _with_status(known, change, known.status))
    becomes = _with_status(known, change, Status.OPEN)
    if is_recorded:
        return Verdict(None, same, becomes)
    return Verdict(Transition.REOPENED, "was closed", becomes)


def _with_topics(known: StoredConversation, change: Change) -> StoredConversation:
    """Return the conversation with a topic added or removed."""
    kept = [topic_id for topic_id in known.topic_ids or [] if topic_id != change.topic_id]
    added = [change.topic_id] if change.type is ChangeType.TOPIC_ADDED else []
    return replace(known, topic_ids=kept + added)


def _with_their_new_owner(
    conversations: Mapping[str, StoredConversation], merge: Change
) -> dict[str, StoredConversation]:
    """
    Return the source customer's conversations, owned by the destination. The store moves the conversations
    that were not read here.
    """
    return {
        id_: replace(conversation, customer_id=merge.into_customer_id)
        for id_, conversation in conversations.items()
        if conversation.customer_id == merge.customer_id
    }


def _new(change: Change, status: Status) -> StoredConversation:
    return StoredConversation(
        id=change.conversation_id,
        customer_id=change.into_customer_id or change.customer_id,
        status=status,
        updated_at=change.recorded_at,
        closed_at=change.recorded_at if status is Status.CLOSED else None,
        # The feed shows a conversation's whole life from its creation on. The report does not show topics.
        topic_ids=[] if change.type is ChangeType.CREATED and change.id else None,
    )


def _with_status(known: StoredConversation, change: Change, status: Status) -> StoredConversation:
    closed_at = change.recorded_at if status is Status.CLOSED else None
    return replace(known, status=status, updated_at=change.recorded_at, closed_at=closed_at)


def _is_recorded_near(known: StoredConversation, transition: Transition, at: datetime) -> bool:
    return any(
        record.transition is transition and abs(record.recorded_at - at) <= SAME_CLOSE
        for record in known.recorded
    )
