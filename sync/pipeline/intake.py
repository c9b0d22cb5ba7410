"""
Taking changes in: from what Gladly recorded to what is stored and what is to be sent, a chunk at a time.

The diff says which changes are transitions, the look-ups what their conversations look like now, and the
event of each, the new state and the watermark commit in one transaction (semantics 4.1).
"""

from datetime import datetime

import structlog

from state import (
    BadLine,
    ChangeRecord,
    CustomerMerge,
    Event,
    EventStatus,
    Poll,
    PollOutcome,
    Status,
    Store,
    TakenIn,
    Transition,
)
from state.instants import utc_now
from state.writing import bad_line_id
from sync.events.changes import OF_A_CONVERSATION, Change, ChangeType, Chunk
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.events.options import Shape
from sync.events.track import (
    EVENT_MAX_BYTES,
    NAMES,
    Origin,
    Subject,
    created_at_of,
    message_id,
    too_large,
    track_event,
)
from sync.events.transitions import Decision, decide_all
from sync.gladly import Lookups
from sync.pipeline.delivery import Delivery

log = structlog.get_logger()


class Intake:
    """
    Takes chunks of changes in.

    Args:
        shape: Which transitions are events, and of what.
        origin: Whose events these are, for their message ids.
        delivery: Told what there is to deliver, and waited for before anything is erased.
    """

    def __init__(
        self, shape: Shape, store: Store, lookups: Lookups, origin: Origin, delivery: Delivery
    ) -> None:
        self._shape = shape
        self._store = store
        self._lookups = lookups
        self._origin = origin
        self._delivery = delivery

    def take_in(
        self, chunk: Chunk, poll: Poll, *, seen: dict[str, datetime] | None = None, resync: int | None = None
    ) -> bool:
        """
        Write everything a chunk of changes comes to, in one transaction.

        Args:
            poll: Its figures are added to.
            seen: The changes taken in near the watermark, brought up to date; None recognises by state alone.
            resync: The resync whose progress moves in place of the watermark.

        Returns: whether there was anything new; if not, nothing was written, the watermark neither.
        """
        changes = _not_seen(chunk.changes, seen or {})
        bad_lines = self._new_bad_lines(chunk.bad_lines, poll)
        if not changes and not bad_lines:
            return False
        self._lookups.note(changes)
        stored = self._store.conversations(_conversation_ids(changes))
        decided = decide_all(stored, changes)
        decisions = [d for d in decided if self._is_sent(d.transition)]
        deletions = _deletions(changes)
        events = self._events(decisions, deletions)
        near: dict[str, datetime] = {}
        seen_since = None
        if seen is not None and chunk.position is not None:
            seen_since = chunk.position  # what the next poll reads again
            near = {c.id: c.recorded_at for c in changes if c.id and c.recorded_at >= seen_since}
        if deletions:  # nothing is sent of them from then on, not by an attempt under way either (5.1)
            self._delivery.settle()
        self._store.take_in(
            TakenIn(
                position=chunk.position,
                resync=resync,
                seen=list(near.items()),
                seen_since=seen_since,
                conversations=list(stored.values()),
                changes=[_record(decision, self._is_sent(decision.transition)) for decision in decided],
                events=events,
                merges=_merges(changes),
                deletions=deletions,
                bad_lines=bad_lines,
            )
        )
        self._delivery.expect(events)
        if seen is not None:
            seen.update(near)
            if seen_since is not None:  # a long window must not gather them all
                for id_ in [id_ for id_, at in seen.items() if at < seen_since]:
                    del seen[id_]
        poll.changes += len(changes)
        poll.created += sum(d.transition is Transition.CREATED for d in decisions)
        poll.closed += sum(d.transition is Transition.CLOSED for d in decisions)
        return True

    def _new_bad_lines(self, lines: list[BadLine], poll: Poll) -> list[BadLine]:
        """Those not in quarantine yet: the overlap is read twice. Each marks the poll degraded (3.3)."""
        if not lines:
            return lines
        known = self._store.known_bad_lines(lines)
        new = {id_: line for line in lines if (id_ := bad_line_id(line)) not in known}
        for id_, line in new.items():
            poll.outcome = PollOutcome.DEGRADED
            log.warning("line.quarantined", quarantine_id=id_, source=line.source, reason=line.reason)
        return list(new.values())

    def _is_sent(self, transition: Transition | None) -> bool:
        if transition is Transition.REOPENED:
            return self._shape.reopened
        return transition is not None

    # From transitions to events

    def _events(self, decisions: list[Decision], deletions: dict[str, tuple[datetime, str]]) -> list[Event]:
        """
        The event of each transition, in order.

        Args:
            deletions: Customers deleted; those whose profile turns out to be gone are added.
        """
        owners = {d.conversation.id: d.conversation.customer_id for d in decisions}
        gone = self._store.deleted_customers(owners.values())
        gone |= {customer_id: reason for customer_id, (_, reason) in deletions.items()}
        conversations = self._lookups.conversations(id_ for id_, owner in owners.items() if owner not in gone)
        # After a merge the conversation itself says whose it is now.
        owners |= {id_: now.customer_id for id_, now in conversations.items() if now is not None}
        profiles = self._lookups.profiles(owner for owner in owners.values() if owner not in gone)
        for customer_id, profile in profiles.items():
            if profile is None:
                gone[customer_id] = "customer's profile is gone (404)"
                deletions[customer_id] = (utc_now(), gone[customer_id])
        events = []
        for decision in decisions:
            owner, transition = owners[decision.conversation.id], decision.transition
            assert transition is not None
            if owner in gone:
                decision.conversation.customer_id = owner
                events.append(self._suppressed(decision, transition, gone[owner]))
            else:
                now, profile = conversations[decision.conversation.id], profiles[owner]
                assert profile is not None
                profile.id = profile.id or owner
                events.append(self._event(decision, transition, now, profile))
        return events

    def _event(
        self, decision: Decision, transition: Transition, now: GladlyConversation | None, profile: Profile
    ) -> Event:
        stored, change = decision.conversation, decision.change
        stored.customer_id = profile.id
        stored.created_at = created_at_of(now, stored.created_at or change.recorded_at)
        if stored.status.is_open and now is not None:
            stored.status = Status.WAITING if now.status == Status.WAITING else Status.OPEN
        agent_id = now.agent_id if now is not None else change.agent_id
        subject = Subject(
            conversation_id=stored.id,
            conversation=now,
            profile=profile,
            agent_id=agent_id or None,
            agent_name=self._lookups.agent_name(agent_id),
            created_at=stored.created_at,
            closed_at=change.recorded_at,
            topic_names=self._topic_names(now) if "topicNames" in self._shape.add else (),
        )
        id_ = self._message_id(decision, transition)
        payload = track_event(transition, subject, id_, self._shape)
        is_too_large = len(payload) > EVENT_MAX_BYTES
        return Event(
            message_id=id_,
            conversation_id=stored.id,
            customer_id=profile.id,
            transition=transition,
            event=NAMES[transition],
            occurred_at=change.recorded_at,
            status=EventStatus.REJECTED if is_too_large else EventStatus.PENDING,
            payload=payload,
            reason=too_large(payload) if is_too_large else None,
        )

    def _topic_names(self, now: GladlyConversation | None) -> list[str]:
        names = map(self._lookups.topic_name, (now.topic_ids if now is not None else None) or [])
        return [name for name in names if name]

    def _suppressed(self, decision: Decision, transition: Transition, reason: str) -> Event:
        return Event(
            message_id=self._message_id(decision, transition),
            conversation_id=decision.conversation.id,
            customer_id=decision.conversation.customer_id,
            transition=transition,
            event=NAMES[transition],
            occurred_at=decision.change.recorded_at,
            status=EventStatus.SUPPRESSED,
            payload=None,
            reason=reason,
        )

    def _message_id(self, decision: Decision, transition: Transition) -> str:
        return message_id(self._origin, decision.conversation.id, transition, decision.change.recorded_at)


def _record(decision: Decision, is_sent: bool) -> ChangeRecord:
    why = decision.why
    if decision.transition is not None and not is_sent:
        why += "; reopenings are not sent (sync.reopened)"
    return ChangeRecord(
        change_id=decision.change.id or None,
        conversation_id=decision.conversation.id,
        type=decision.change.type.name,
        recorded_at=decision.change.recorded_at,
        status_before=decision.before,
        status_after=decision.after,
        transition=decision.transition,
        why=why,
    )


def _not_seen(changes: list[Change], seen: dict[str, datetime]) -> list[Change]:
    """Each change once, but those already taken in; a change of the report has no id to know it by."""
    here: set[str] = set()
    new = []
    for change in changes:
        if change.id not in seen and change.id not in here:
            new.append(change)
            if change.id:
                here.add(change.id)
    return new


def _conversation_ids(changes: list[Change]) -> set[str]:
    return {
        change.conversation_id
        for change in changes
        if change.type in OF_A_CONVERSATION or change.type is ChangeType.CUSTOMER_MERGED
    } - {""}


def _merges(changes: list[Change]) -> list[CustomerMerge]:
    merged = (c for c in changes if c.type is ChangeType.CUSTOMER_MERGED)
    return [
        CustomerMerge(c.customer_id, c.into_customer_id, c.recorded_at)
        for c in sorted(merged, key=lambda c: c.order)
        if c.customer_id != c.into_customer_id  # two conversations of one customer
    ]


def _deletions(changes: list[Change]) -> dict[str, tuple[datetime, str]]:
    return {
        c.customer_id: (c.recorded_at, "customer was deleted")
        for c in changes
        if c.type is ChangeType.PROFILE_DELETED
    }
