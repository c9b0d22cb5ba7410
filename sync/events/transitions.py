"""
Make the diff: decide what a change means for a conversation, given what is stored about it (semantics 2).

One rule stands behind the table in semantics 2 (2.0): a transition exists when `events` does not record it
yet. A conversation is created once, and two closes are two when they lie more than five seconds, or a
reopening, apart. The stored status follows the newest change. Everything here is pure: no I/O and no clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from state.records import ChangeRecord, Status, StoredConversation, TopicChange, Transition, TransitionRecord
from sync.events.changes import OF_TOPICS, Change, ChangeType
from sync.events.known_closes import SAME_CLOSE, KnownCloses, known_closes


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
        is_known: Whether the change is one whose transition `events` records already.
    """

    transition: Transition | None
    why: str
    change: Change
    before: Status | None
    after: Status
    is_known: bool = False


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
        is_known: Whether `events` records the transition already.
    """

    transition: Transition | None
    why: str
    becomes: StoredConversation
    is_known: bool = False


def decide_all(
    stored: Mapping[str, StoredConversation],
    changes: Iterable[Change],
    recalled: Iterable[ChangeRecord] = (),
) -> Diff:
    """
    Decide what each change means, in recorded order.

    A reopening that became visible late may show that a close taken for another one is its own. That close
    then gets a decision, too (semantics 2.0.1).

    Args:
        stored: The known conversations, by id. The mapping is not modified.
        changes: The changes, in Gladly's order where instants are equal, else in any order. Changes of
            customer profiles mean nothing for a conversation.
        recalled: The changes taken in earlier near the `moments_to_recall` (`sync.events.known_closes`).
    """
    deciding = _Deciding(stored, sorted(changes, key=lambda change: change.order), recalled)
    deciding.run()
    return Diff(deciding.decisions, deciding.conversations)


class _Deciding:
    """Decide one change after another, each with what the ones before have come to."""

    def __init__(
        self,
        stored: Mapping[str, StoredConversation],
        changes: Sequence[Change],
        recalled: Iterable[ChangeRecord],
    ) -> None:
        self.conversations = dict(stored)
        self.decisions: list[Decision] = []
        self._changes = changes
        self._closes = known_closes(stored, recalled, changes)

    def run(self) -> None:
        """Decide every change."""
        for change in self._changes:
            if change.type is ChangeType.CUSTOMER_MERGED:
                self.conversations |= _with_their_new_owner(self.conversations, change)
                if change.conversation_id:  # else the customers had no open conversations
                    self._note(change, decide_merge(self.conversations.get(change.conversation_id), change))
            elif change.type is ChangeType.CREATED:
                self._note(change, _created(self.conversations.get(change.conversation_id), change))
            elif change.type is ChangeType.CLOSED:
                closes = self._closes[change.conversation_id]
                self._note(change, _closed(self.conversations.get(change.conversation_id), change, closes))
            elif change.type is ChangeType.REOPENED:
                closes = self._closes[change.conversation_id]
                self._note(change, _reopened(self.conversations.get(change.conversation_id), change, closes))
                self._decide_anew(change, closes)
            elif change.type in OF_TOPICS:
                known = self.conversations.get(change.conversation_id)
                if known is not None and known.topic_changes is not None:
                    self.conversations[known.id] = _with_topics(known, change)

    def _decide_anew(self, reopening: Change, closes: KnownCloses) -> None:
        """Decide anew which closes near a reopening are closes of their own (semantics 2.0.1)."""
        for close in closes.closes_not_new(reopening.recorded_at):
            known = self.conversations[close.conversation_id]
            if closes.is_same_close(close) or _is_merged_before(known, close):
                continue
            becomes = known
            if close.recorded_at >= known.updated_at and known.status is not Status.DELETED:
                becomes = _with_status(known, close, Status.CLOSED)
            why = "a close of its own: a reopening before it became visible late"
            self._note(close, Verdict(Transition.CLOSED, why, becomes))

    def _note(self, change: Change, verdict: Verdict) -> None:
        """Note what a change means."""
        known = self.conversations.get(change.conversation_id)
        conversation = verdict.becomes
        if verdict.transition is not None:
            record = TransitionRecord(verdict.transition, change.recorded_at)
            conversation = replace(conversation, recorded=[*conversation.recorded, record])
        self.conversations[change.conversation_id] = conversation
        self.decisions.append(
            Decision(
                verdict.transition,
                verdict.why,
                change,
                known.status if known else None,
                conversation.status,
                verdict.is_known,
            )
        )
        if change.conversation_id in self._closes:
            self._closes[change.conversation_id].note(change, verdict.transition)


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
        return Verdict(None, "its creation is recorded already", known, is_known=True)
    known = replace(known, created_at=known.created_at or change.recorded_at)
    return Verdict(Transition.CREATED, "its creation was missed until now", known)


def _closed(known: StoredConversation | None, change: Change, closes: KnownCloses) -> Verdict:
    if known is None:
        why = "opened before this state file began: no creation is invented"
        return Verdict(Transition.CLOSED, why, _new(change, Status.CLOSED))
    is_same = closes.is_same_close(change)
    same = Verdict(None, "the same close: one within 5 s is recorded", known, is_known=True)
    if change.recorded_at < known.updated_at or known.status is Status.DELETED:
        missed = Verdict(Transition.CLOSED, "an earlier close, missed until now", known)
        return same if is_same else missed
    if known.status is Status.MERGED:
        return Verdict(None, "merged away: it never closes", known)
    if is_same:
        return same
    # The conversation was open and then closed. This is another close, even a moment after a reopening.
    why = "closed again: a reopening was missed" if known.status is Status.CLOSED else "was open"
    return Verdict(Transition.CLOSED, why, _with_status(known, change, Status.CLOSED))


def _reopened(known: StoredConversation | None, change: Change, closes: KnownCloses) -> Verdict:
    if known is None:
        return Verdict(Transition.REOPENED, "not known before", _new(change, Status.OPEN))
    if known.status in (Status.MERGED, Status.DELETED):
        return Verdict(None, f"{known.status.lower()}: it never reopens", known)
    same = Verdict(None, "the same reopening: one within 5 s is recorded", known, is_known=True)
    if closes.is_same_reopening(change):
        return same
    is_recorded = any(
        record.transition is Transition.REOPENED
        and abs(record.recorded_at - change.recorded_at) <= SAME_CLOSE
        and not closes.is_close_between(record.recorded_at, change.recorded_at)
        for record in known.recorded
    )
    if change.recorded_at < known.updated_at:
        missed = Verdict(Transition.REOPENED, "an earlier reopening, missed until now", known)
        return same if is_recorded else missed
    if known.status is not Status.CLOSED:
        return Verdict(None, "was open already", _with_status(known, change, known.status))
    becomes = _with_status(known, change, Status.OPEN)
    if is_recorded:
        return same._replace(becomes=becomes)
    return Verdict(Transition.REOPENED, "was closed", becomes)


def _is_merged_before(known: StoredConversation, close: Change) -> bool:
    return known.status is Status.MERGED and close.recorded_at >= known.updated_at


def _with_topics(known: StoredConversation, change: Change) -> StoredConversation:
    """Return the conversation with a topic added or removed."""
    more = TopicChange(change.recorded_at, change.topic_id, change.type is ChangeType.TOPIC_ADDED)
    changes = known.topic_changes or []
    return known if more in changes else replace(known, topic_changes=[*changes, more])


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
        # Until a look-up says it more exactly.
        created_at=change.recorded_at if change.type is ChangeType.CREATED else None,
        closed_at=change.recorded_at if status is Status.CLOSED else None,
        # The feed shows a conversation's whole life from its creation on. The report does not show topics.
        topic_changes=[] if change.type is ChangeType.CREATED and change.id else None,
    )


def _with_status(known: StoredConversation, change: Change, status: Status) -> StoredConversation:
    closed_at = change.recorded_at if status is Status.CLOSED else None
    return replace(known, status=status, updated_at=change.recorded_at, closed_at=closed_at)
