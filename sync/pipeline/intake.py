"""
Take changes in: turn what Gladly recorded into what is stored and what is sent, a chunk at a time.

The diff says which changes are transitions. The look-ups say what their conversations look like now. Then the
events, the new state and the watermark are written in one transaction (semantics 4.1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog

from state.instants import utc_now
from state.records import (
    BadLine,
    ChangeRecord,
    CustomerMerge,
    Event,
    EventStatus,
    Status,
    StoredConversation,
    TakenIn,
    Transition,
)
from state.store import Store
from sync.events.changes import OF_A_CONVERSATION, Change, ChangeType, Chunk
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.events.known_closes import NEARBY, moments_to_recall
from sync.events.message_id import Origin, message_id
from sync.events.options import EventOptions
from sync.events.track import (
    NAMES,
    Subject,
    created_at_of,
    track_event,
)
from sync.events.transitions import Decision, decide_all
from sync.gladly.lookups import Lookups
from sync.pipeline.seen_changes import SeenChanges
from sync.segment.limits import SegmentLimits

log = structlog.get_logger()


class Outgoing(Protocol):
    """
    The delivery, as whoever takes changes in sees it (`sync.pipeline.delivery.Delivery`).

    Attributes:
        delivered: How many events Segment has acknowledged.
    """

    delivered: int

    def expect(self, events: Iterable[Event]) -> None:
        """Note that these events were written to the outbox."""

    def send_what_is_due(self) -> None:
        """Go on delivering. Never wait."""

    def wait(self) -> None:
        """Wait for the batch under way, and note what has become of it."""


class Figures(NamedTuple):
    """
    Count what a chunk came to.

    Attributes:
        changes: The changes that were new.
        created: The conversations created.
        closed: The closes.
        bad_lines: The lines that were put into quarantine.
        is_new: Whether anything was written. If not, the watermark was not written either.
    """

    changes: int = 0
    created: int = 0
    closed: int = 0
    bad_lines: int = 0
    is_new: bool = False

    def plus(self, more: "Figures") -> "Figures":
        """Return both together."""
        return Figures(
            self.changes + more.changes,
            self.created + more.created,
            self.closed + more.closed,
            self.bad_lines + more.bad_lines,
            self.is_new or more.is_new,
        )


class _LookedUp(NamedTuple):
    """
    Hold what the look-ups said about some conversations.

    Attributes:
        owners: The customer of each conversation, by the conversation's id.
        conversations: Each conversation as Gladly shows it now; None when it is gone.
        profiles: The profiles by the customer's id.
        gone: The customers about whom nothing is sent, with the reason.
        found_gone: Those of *gone* whose profile Gladly no longer has.
    """

    owners: dict[str, str]
    conversations: dict[str, GladlyConversation | None]
    profiles: dict[str, Profile | None]
    gone: dict[str, str]
    found_gone: dict[str, tuple[datetime, str]]


class Intake:
    """
    Take chunks of changes in.

    Args:
        options: Which transitions are sent, and how their events look.
        store: The state file.
        lookups: Asks Gladly what conversations and profiles look like now.
        origin: Whose events these are, for their message ids.
        limits: How large an event may be.
    """

    def __init__(
        self,
        options: EventOptions,
        store: Store,
        lookups: Lookups,
        origin: Origin,
        limits: SegmentLimits,
    ) -> None:
        self._options = options
        self._store = store
        self._lookups = lookups
        self._origin = origin
        self._limits = limits

    def take_in(
        self,
        chunk: Chunk,
        outgoing: Outgoing,
        *,
        seen: SeenChanges | None = None,
        resync: int | None = None,
    ) -> Figures:
        """
        Write everything that a chunk of changes comes to, in one transaction.

        Args:
            chunk: The changes.
            outgoing: The delivery. It is told which events were written. It is waited for before a customer's
                data is erased, and it goes on between two look-ups.
            seen: The changes taken in near the watermark. None recognises changes by the stored state alone.
            resync: The id of the resync whose progress moves in place of the watermark; None moves the
                watermark.
        """
        changes = (seen or SeenChanges()).unseen(chunk.changes)
        bad_lines = self._new_bad_lines(chunk.bad_lines)
        if not changes and not bad_lines and not chunk.is_from_report:
            return Figures()
        self._lookups.note(changes)
        stored = self._store.conversations(_conversation_ids(changes))
        recalled = self._store.changes_near(moments_to_recall(stored, changes), NEARBY)
        diff = decide_all(stored, changes, recalled)
        decisions = [d for d in diff.decisions if self._is_sent(d.transition)]
        told_deletions = _deletions(changes)
        looked_up = self._look_up(decisions, diff.conversations, told_deletions, outgoing)
        events, conversations = self._events(decisions, diff.conversations, looked_up)
        deletions = told_deletions | looked_up.found_gone
        near: dict[str, datetime] = {}
        seen_since = None
        if seen is not None and chunk.position is not None:
            seen_since = chunk.position  # what the next poll reads again
            near = {c.id: c.recorded_at for c in changes if c.id and c.recorded_at >= seen_since}
        if (
            deletions
        ):  # nothing about them is sent from then on, not by an attempt under way either (semantics 5.1)
            outgoing.wait()
        self._store.commit(
            TakenIn(
                position=chunk.position,
                resync=resync,
                seen=list(near.items()),
                seen_since=seen_since,
                conversations=list(conversations.values()),
                changes=[_record(d, self._is_sent(d.transition)) for d in diff.decisions],
                events=events,
                merges=_merges(changes),
                deletions=deletions,
                bad_lines=bad_lines,
            )
        )
        outgoing.expect(events)
        if seen is not None and seen_since is not None:
            seen.remember(near, seen_since)
        return Figures(
            changes=len(changes),
            created=sum(d.transition is Transition.CREATED for d in decisions),
            closed=sum(d.transition is Transition.CLOSED for d in decisions),
            bad_lines=len(bad_lines),
            is_new=True,
        )

    def _new_bad_lines(self, lines: list[BadLine]) -> list[BadLine]:
        """
        Return the lines that are not in quarantine yet, since the overlap is read twice, and log them (3.3).
        """
        if not lines:
            return lines
        known = self._store.quarantine.known_bad_lines(lines)
        new = {id_: line for line in lines if (id_ := line.id) not in known}
        for id_, line in new.items():
            log.warning("line.quarantined", quarantine_id=id_, source=line.source, reason=line.reason)
        return list(new.values())

    def _is_sent(self, transition: Transition | None) -> bool:
        if transition is Transition.REOPENED:
            return self._options.reopened
        return transition is not None

    # From transitions to events

    def _look_up(
        self,
        decisions: list[Decision],
        conversations: Mapping[str, StoredConversation],
        deletions: Mapping[str, tuple[datetime, str]],
        outgoing: Outgoing,
    ) -> _LookedUp:
        """Ask Gladly for the conversations of these transitions and for their customers' profiles."""
        ids = dict.fromkeys(decision.change.conversation_id for decision in decisions)
        owners = {id_: conversations[id_].customer_id for id_ in ids}
        gone = self._store.deleted_customers(owners.values())
        gone |= {customer_id: reason for customer_id, (_, reason) in deletions.items()}
        now = self._lookups.conversations(
            [id_ for id_, owner in owners.items() if owner not in gone], outgoing.send_what_is_due
        )
        # After a merge the conversation itself says which customer has it now.
        owners |= {id_: found.customer_id for id_, found in now.items() if found is not None}
        profiles = self._lookups.profiles(
            [owner for owner in owners.values() if owner not in gone], outgoing.send_what_is_due
        )
        found_gone = {
            customer_id: (utc_now(), "customer's profile is gone (404)")
            for customer_id, profile in profiles.items()
            if profile is None
        }
        gone |= {customer_id: reason for customer_id, (_, reason) in found_gone.items()}
        return _LookedUp(owners, now, profiles, gone, found_gone)

    def _events(
        self,
        decisions: list[Decision],
        conversations: Mapping[str, StoredConversation],
        looked_up: _LookedUp,
    ) -> tuple[list[Event], dict[str, StoredConversation]]:
        """
        Return the event of each transition, in order, and the conversations with what the look-ups added.
        """
        conversations = dict(conversations)
        events = []
        for decision in decisions:
            id_ = decision.change.conversation_id
            owner = looked_up.owners[id_]
            if owner in looked_up.gone:
                conversations[id_] = replace(conversations[id_], customer_id=owner)
                events.append(self._suppressed(decision, owner, looked_up.gone[owner]))
                continue
            now, profile = looked_up.conversations[id_], looked_up.profiles[owner]
            assert profile is not None  # its owner would be gone
            profile.id = profile.id or owner
            conversations[id_] = _as_looked_up(conversations[id_], decision.change, now, profile)
            events.append(self._event(decision, conversations[id_], now, profile))
        return events, conversations

    def _event(
        self,
        decision: Decision,
        stored: StoredConversation,
        now: GladlyConversation | None,
        profile: Profile,
    ) -> Event:
        change, transition = decision.change, decision.transition
        assert transition is not None
        agent_id = now.agent_id if now is not None else change.agent_id
        subject = Subject(
            conversation_id=stored.id,
            conversation=now,
            profile=profile,
            agent_id=agent_id or None,
            agent_name=self._lookups.agent_name(agent_id),
            created_at=stored.created_at or change.recorded_at,
            closed_at=change.recorded_at,
            topic_names=self._topic_names(now) if "topicNames" in self._options.add else (),
        )
        id_ = message_id(self._origin, stored.id, transition, change.recorded_at)
        payload = track_event(transition, subject, id_, self._options)
        too_large = self._limits.too_large(payload)
        return Event(
            message_id=id_,
            conversation_id=stored.id,
            customer_id=profile.id,
            transition=transition,
            event=NAMES[transition],
            occurred_at=change.recorded_at,
            status=EventStatus.REJECTED if too_large else EventStatus.PENDING,
            payload=payload,
            reason=too_large,
        )

    def _topic_names(self, now: GladlyConversation | None) -> list[str]:
        names = map(self._lookups.topic_name, (now.topic_ids if now is not None else None) or [])
        return [name for name in names if name]

    def _suppressed(self, decision: Decision, owner: str, reason: str) -> Event:
        change, transition = decision.change, decision.transition
        assert transition is not None
        return Event(
            message_id=message_id(self._origin, change.conversation_id, transition, change.recorded_at),
            conversation_id=change.conversation_id,
            customer_id=owner,
            transition=transition,
            event=NAMES[transition],
            occurred_at=change.recorded_at,
            status=EventStatus.SUPPRESSED,
            payload=None,
            reason=reason,
        )


def _as_looked_up(
    stored: StoredConversation, change: Change, now: GladlyConversation | None, profile: Profile
) -> StoredConversation:
    """
    Return the stored conversation with what the look-ups said: its customer, its creation, whether it waits.
    """
    status = stored.status
    if status.is_open and now is not None:
        status = Status.WAITING if now.status == Status.WAITING else Status.OPEN
    created_at = created_at_of(now, stored.created_at or change.recorded_at)
    return replace(stored, customer_id=profile.id, created_at=created_at, status=status)


def _record(decision: Decision, is_sent: bool) -> ChangeRecord:
    why = decision.why
    if decision.transition is not None and not is_sent:
        why += "; reopenings are not sent (sync.reopened)"
    return ChangeRecord(
        change_id=decision.change.id or None,
        conversation_id=decision.change.conversation_id,
        type=decision.change.type.name,
        recorded_at=decision.change.recorded_at,
        status_before=decision.before,
        status_after=decision.after,
        transition=decision.transition,
        why=why,
        agent_id=decision.change.agent_id,
    )


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
