"""
Record: turn what Gladly recorded into what is stored and what is to be sent, a chunk at a time.

The diff says which changes are transitions. Their events, the new state and the watermark are written in one
transaction, with what the changes themselves carry. No request is needed for that (semantics 2.4, 4.1).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import NamedTuple

import structlog

from state.records import (
    BadLine,
    ChangeRecord,
    CustomerMerge,
    Event,
    EventStatus,
    EventType,
    MissingEvents,
    StoredConversation,
    TakenIn,
    Transition,
)
from state.store import Store
from state.writer.feed_hours import hour_of
from sync.events.changes import OF_A_CONVERSATION, OF_TOPICS, Change, ChangeType, Chunk
from sync.events.known_closes import NEARBY, moments_to_recall
from sync.events.message_id import Origin, message_id
from sync.events.options import EventOptions
from sync.events.track import NAMES
from sync.events.transitions import Decision, Diff, decide_all
from sync.gladly.objects.lookups import Lookups
from sync.pipeline.delivery import Outgoing

log = structlog.get_logger()


class SeenChanges:
    """
    Recognise the changes near the watermark, which every poll reads again.

    Args:
        known: The ids of the changes already taken in there, and when they were recorded.
    """

    def __init__(self, known: Mapping[str, datetime] | None = None) -> None:
        self._known = dict(known or {})

    def unseen(self, changes: Iterable[Change]) -> list[Change]:
        """
        Return each change once, without those taken in before. A change of the report has no id to know it
        by.
        """
        here: set[str] = set()
        new = []
        for change in changes:
            if change.id not in self._known and change.id not in here:
                new.append(change)
                if change.id:
                    here.add(change.id)
        return new

    def remember(self, near: Mapping[str, datetime], since: datetime) -> None:
        """
        Remember these changes, and forget those recorded before *since*: a long window must not keep them
        all.
        """
        self._known |= near
        self._known = {id_: at for id_, at in self._known.items() if at >= since}


class Figures(NamedTuple):
    """
    Count what a chunk came to.

    Attributes:
        changes: The changes that were new.
        created: The conversations created.
        closed: The closes.
        bad_lines: The lines that were put into quarantine.
        is_new: Whether anything was written. If not, the watermark was not written either.
        events: The events recorded.
        known: The changes whose events were recorded before.
    """

    changes: int = 0
    created: int = 0
    closed: int = 0
    bad_lines: int = 0
    is_new: bool = False
    events: int = 0
    known: int = 0

    def plus(self, more: "Figures") -> "Figures":
        """Return both together."""
        return Figures(
            self.changes + more.changes,
            self.created + more.created,
            self.closed + more.closed,
            self.bad_lines + more.bad_lines,
            self.is_new or more.is_new,
            self.events + more.events,
            self.known + more.known,
        )


class RecordStage:
    """
    Record chunks of changes.

    Args:
        options: Which transitions are sent.
        store: The state file.
        lookups: Told which changes were seen, because some of them show that a kept profile is out of date.
        origin: The organization and the Segment source, for message ids.
    """

    def __init__(self, options: EventOptions, store: Store, lookups: Lookups, origin: Origin) -> None:
        self._options = options
        self._store = store
        self._lookups = lookups
        self._origin = origin

    def record(
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
            outgoing: The delivery. It is waited for before a customer's data is erased.
            seen: The changes taken in near the watermark. None recognises changes by the stored state alone.
            resync: The id of the resync whose progress moves in place of the watermark; None moves the
                watermark.
        """
        changes = (seen or SeenChanges()).unseen(chunk.changes)
        bad_lines = self._new_bad_lines(chunk.bad_lines)
        self._lookups.note(changes, chunk.read_until if chunk.shows_profiles else None)
        if not changes and not bad_lines and not chunk.is_from_report:
            return Figures()
        diff = self._diff(changes)
        decisions = [d for d in diff.decisions if self._is_sent(d.transition)]
        deletions = _deletions(changes)
        is_polled = seen is not None and chunk.position is not None and not chunk.is_from_report
        near: dict[str, datetime] = {}
        seen_since = None
        if seen is not None and chunk.position is not None:
            seen_since = chunk.position  # what the next poll reads again
            near = {c.id: c.recorded_at for c in changes if c.id and c.recorded_at >= seen_since}
        if deletions:
            # Nothing about them is sent from then on, not by an attempt under way either (semantics 5.1).
            outgoing.wait()
        self._store.commit(
            TakenIn(
                position=chunk.position,
                resync=resync,
                seen=list(near.items()),
                seen_since=seen_since,
                conversations=list(diff.conversations.values()),
                changes=[_record(d, self._is_sent(d.transition)) for d in diff.decisions],
                events=self._events(diff.decisions, diff.conversations),
                merges=_merges(changes),
                deletions=deletions,
                bad_lines=bad_lines,
                shown=Counter(hour_of(c.recorded_at) for c in changes) if is_polled else None,
            )
        )
        if seen is not None and seen_since is not None:
            seen.remember(near, seen_since)
        return Figures(
            changes=len(changes),
            created=sum(d.transition is Transition.CREATED for d in decisions),
            closed=sum(d.transition is Transition.CLOSED for d in decisions),
            bad_lines=len(bad_lines),
            is_new=True,
            events=len(decisions),
            known=self._known(diff),
        )

    def record_missing(self, chunk: Chunk, day: date) -> Figures:
        """
        Write what is missing of a chunk of the report, in one transaction, for the audit of a day.

        What is known already is not written, and the watermark stays where it is.

        Args:
            chunk: Changes of the day.
            day: The UTC day. What is missing is counted as this day's.
        """
        changes = chunk.changes
        bad_lines = self._new_bad_lines(chunk.bad_lines)
        diff = self._diff(changes)
        new = [d for d in diff.decisions if d.transition is not None or d.before is not d.after]
        ids = {d.change.conversation_id for d in new}
        missing = [d for d in new if self._is_sent(d.transition)]
        known_merges = self._store.merges(c.customer_id for c in changes)
        merges = [m for m in _merges(changes) if known_merges.get(m.source_id) != m.destination_id]
        if new or merges or bad_lines:
            self._lookups.note(changes, None)
            self._store.commit(
                TakenIn(
                    conversations=[c for c in diff.conversations.values() if c.id in ids],
                    changes=[_record(d, self._is_sent(d.transition)) for d in new],
                    events=self._events(new, diff.conversations),
                    merges=merges,
                    bad_lines=bad_lines,
                    audit=MissingEvents(day.isoformat(), len(missing)) if missing else None,
                )
            )
        return Figures(
            changes=len(new), bad_lines=len(bad_lines), events=len(missing), known=self._known(diff)
        )

    def _diff(self, changes: list[Change]) -> Diff:
        """Compare changes with what is stored."""
        stored = self._store.conversations(_conversation_ids(changes))
        recalled = self._store.changes_near(moments_to_recall(stored, changes), NEARBY)
        return decide_all(stored, changes, recalled)

    def _known(self, diff: Diff) -> int:
        """Return how many of the changes have their events already."""
        return sum(
            d.is_known and (d.change.type is not ChangeType.REOPENED or self._options.reopened)
            for d in diff.decisions
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

    def _events(
        self, decisions: Iterable[Decision], conversations: Mapping[str, StoredConversation]
    ) -> list[Event]:
        """
        Return what is sent for decisions, as it is recorded: with what each change carries.

        An identify call follows its track event. It also follows a reopening whose track event is not sent,
        so that the traits stay true (semantics 1.4).
        """
        events = []
        for decision in decisions:
            if (transition := decision.transition) is None:
                continue
            if self._is_sent(transition):
                events.append(self._event(decision, transition, EventType.TRACK, conversations))
            if self._options.traits:
                events.append(self._event(decision, transition, EventType.IDENTIFY, conversations))
        return events

    def _event(
        self,
        decision: Decision,
        transition: Transition,
        type_: EventType,
        conversations: Mapping[str, StoredConversation],
    ) -> Event:
        change = decision.change
        return Event(
            message_id=message_id(
                self._origin, change.conversation_id, transition, change.recorded_at, type_
            ),
            conversation_id=change.conversation_id,
            customer_id=conversations[change.conversation_id].customer_id,
            transition=transition,
            event=NAMES[transition] if type_ is EventType.TRACK else type_.value,
            occurred_at=change.recorded_at,
            status=EventStatus.RECORDED,
            payload=None,
            agent_id=change.agent_id,
            type=type_,
        )


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
        if change.type in OF_A_CONVERSATION | OF_TOPICS or change.type is ChangeType.CUSTOMER_MERGED
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
