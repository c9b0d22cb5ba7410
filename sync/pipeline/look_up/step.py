"""One step of look-ups: some events, what Gladly answered, and what follows (semantics 2.5, 2.6)."""

from datetime import datetime, timedelta

import structlog

from state.records import (
    EventStatus,
    EventType,
    LookedUp,
    LookedUpEvent,
    RecordedEvent,
    SeenConversation,
    Status,
    StoredConversation,
    Transition,
)
from state.store import Store
from sync.errors import GladlySegmentError, StoppedError
from sync.events.at_the_change import is_that_close
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.events.options import EventOptions
from sync.events.track import created_at_of
from sync.gladly.objects.lookups import Answer, Lookups
from sync.gladly.objects.names import Failed
from sync.pipeline.delivery import Outgoing
from sync.pipeline.look_up.making import EventMaker
from sync.pipeline.look_up.timing import LookUpTiming
from sync.segment.limits import SegmentLimits

log = structlog.get_logger()


class LookUpStep:
    """
    Hold one step: some events, what Gladly answered, and what follows from it.

    Args:
        events: The events, in recorded order.
        at: When the step began.
        store, lookups, options, limits, timing: As the stage's.

    Attributes:
        held_back: The events that wait for an answer for the first time.
    """

    def __init__(
        self,
        events: list[RecordedEvent],
        at: datetime,
        *,
        store: Store,
        lookups: Lookups,
        options: EventOptions,
        limits: SegmentLimits,
        timing: LookUpTiming,
    ) -> None:
        self.held_back = 0
        self._events = events
        self._at = at
        self._store = store
        self._lookups = lookups
        self._maker = EventMaker(options, store, lookups, limits)
        self._checks_inboxes = bool(options.inboxes)
        self._timing = timing
        ids = {event.conversation_id for event in events}
        self._stored = self._store.conversations(ids, with_transitions=False)
        self._owners = {e.conversation_id: e.customer_id for e in events}
        self._owners |= {id_: stored.customer_id for id_, stored in self._stored.items()}
        self._deleted = self._store.deleted_customers(self._owners.values())
        self._conversations: dict[str, Answer[GladlyConversation]] = {}
        self._profiles: dict[str, Answer[Profile]] = {}
        self._left_out: dict[str, str | Failed | None] = {}  # by message id
        self._done = LookedUp()
        self._not_found: dict[str, dict[str, datetime]] = {}

    def ask(self, outgoing: Outgoing) -> None:
        """Ask Gladly for the conversations of the events and for the profiles of their customers."""
        needed: dict[str, datetime] = {}
        for event in self._events:
            id_ = event.conversation_id
            if self._needs_conversation(event) and self._owners[id_] not in self._deleted:
                needed[id_] = max(event.occurred_at, needed.get(id_, event.occurred_at))
        # Where only some inboxes are sent, no profile of another one's customer is asked for.
        customers = {} if self._checks_inboxes else self._customers()
        self._conversations, self._profiles = self._lookups.both(needed, customers, outgoing.send_what_is_due)
        for id_, answer in self._conversations.items():
            if isinstance(answer, GladlyConversation):  # after a merge it says itself which customer has it
                self._owners[id_] = answer.customer_id
        self._deleted |= self._store.deleted_customers(self._owners.values())
        if self._checks_inboxes:
            self._left_out = {event.message_id: self._why_left_out(event) for event in self._events}
        others = {id_: at for id_, at in self._customers().items() if id_ not in self._profiles}
        if others:
            self._profiles |= self._lookups.profiles(others, outgoing.send_what_is_due)
        self._note_404s("conversation", self._conversations)
        self._note_404s("profile", self._profiles)

    def _needs_conversation(self, event: RecordedEvent) -> bool:
        """Return whether the conversation is looked up. An identify call needs only its inbox."""
        return event.payload is None and (event.type is EventType.TRACK or self._checks_inboxes)

    def _why_left_out(self, event: RecordedEvent) -> str | Failed | None:
        """Return why an event is not sent because of its inbox, or what has to answer first."""
        id_ = event.conversation_id
        if event.payload is not None or id_ not in self._conversations:
            return None
        answer = self._conversations[id_]
        why = self._maker.why_left_out(event, answer if isinstance(answer, GladlyConversation) else None)
        if isinstance(answer, Failed) and why is not None and not _is_gone(self._stored.get(id_)):
            return answer
        return why

    def _customers(self) -> dict[str, datetime]:
        """Return the customers of the events, each with the newest of its events."""
        newest: dict[str, datetime] = {}
        for event in self._events:
            owner = self._owners[event.conversation_id]
            if owner not in self._deleted and self._left_out.get(event.message_id) is None:
                newest[owner] = max(event.occurred_at, newest.get(owner, event.occurred_at))
        return newest

    def result(self) -> LookedUp:
        """Return what follows from the answers."""
        waiting: set[str] = set()
        for event in self._events:
            if event.conversation_id in waiting:
                continue  # the order within a conversation is kept
            outcome = self._outcome(event)
            if outcome is None or outcome.status is EventStatus.RECORDED:
                waiting.add(event.conversation_id)
            if outcome is not None:
                self._done.events.append(outcome)
        return self._done

    def _outcome(self, event: RecordedEvent) -> LookedUpEvent | None:
        """Return what becomes of an event. Return None where Gladly was not asked."""
        id_ = event.conversation_id
        owner, stored = self._owners[id_], self._stored.get(id_)
        if owner in self._deleted:
            return LookedUpEvent(event.message_id, EventStatus.SUPPRESSED, owner, reason=self._deleted[owner])
        is_old = self._at - event.recorded_at >= self._timing.alone_after
        now: GladlyConversation | None = None
        if self._needs_conversation(event):
            if id_ not in self._conversations:
                return None
            answer = self._conversations[id_]
            if isinstance(answer, Failed):
                if not is_old and not _is_gone(stored):
                    return self._held(event, answer)
            elif answer is not None:
                now = answer
            elif not _is_gone(stored) and not self._is_believed("conversation", id_):
                return self._asked_again(event, f"/conversations/{id_}")
            why = self._left_out.get(event.message_id)
            if isinstance(why, Failed):
                return self._held(event, why)
            if why is not None:
                return LookedUpEvent(event.message_id, EventStatus.SUPPRESSED, owner, reason=why)
        if owner not in self._profiles:
            return None
        profile = self._profiles[owner]
        if isinstance(profile, Failed):
            return self._held(event, profile)
        if profile is None:
            if not self._is_believed("profile", owner):
                return self._asked_again(event, f"/customer-profiles/{owner}")
            reason = "customer's profile is gone (404)"
            self._done.deletions[owner] = (self._at, reason)
            return LookedUpEvent(event.message_id, EventStatus.SUPPRESSED, owner, reason=reason)
        if event.payload is not None:
            return LookedUpEvent(
                event.message_id, EventStatus.PENDING, profile.id, event.payload, attempts=event.attempts
            )
        is_track = event.type is EventType.TRACK
        if is_track and self._timing.waits_for_late_changes and self._misses_changes(event, stored, now):
            return self._shown_later(event)
        try:
            outcome = (
                self._maker.track(event, stored, now, profile, is_old=is_old)
                if is_track
                else self._maker.identify(event, profile)
            )
        except (StoppedError, GladlySegmentError):
            raise
        except Exception as error:  # what nobody expected holds back this event, and no other (faults H2.7)
            kind = type(error).__name__
            outcome = Failed(path="-", reason=f"The event cannot be made: {kind}. Report this.")
        if isinstance(outcome, Failed):
            return self._held(event, outcome)
        if is_track:
            self._note_conversation(event, stored, now, profile)
        return outcome

    def _note_conversation(
        self,
        event: RecordedEvent,
        stored: StoredConversation | None,
        now: GladlyConversation | None,
        profile: Profile,
    ) -> None:
        """Note what is stored of the conversation: its customer, its creation, whether it waits."""
        status = None
        if now is not None:
            status = Status.WAITING if now.status == Status.WAITING else Status.OPEN
        known = stored.created_at if stored is not None else None
        self._done.conversations.append(
            SeenConversation(
                event.conversation_id, profile.id, created_at_of(now, known or event.occurred_at), status
            )
        )

    # What is not there, or does not answer

    def _held(self, event: RecordedEvent, failed: Failed) -> LookedUpEvent:
        """Hold an event back until its next attempt. Say it when that attempt is not in this cycle."""
        next_attempt = self._timing.next_attempt(event, self._at, was_slow=failed.was_slow)
        is_in_this_cycle = (next_attempt - self._at).total_seconds() <= self._timing.linger_s
        if not is_in_this_cycle and not self._timing.was_held_back(event):
            self.held_back += 1
            log.warning(
                "event.waits",
                conversation_id=event.conversation_id,
                waits_for=failed.path,
                reason=failed.reason,
            )
        return LookedUpEvent(
            event.message_id,
            EventStatus.RECORDED,
            event.customer_id,
            event.payload,
            reason=failed.reason,
            attempts=event.attempts + 1,
            waits_for=failed.path,
            next_attempt_at=next_attempt,
        )

    def _asked_again(self, event: RecordedEvent, path: str) -> LookedUpEvent:
        """Hold an event back until a 404 has been answered twice (semantics 5.1)."""
        return LookedUpEvent(
            event.message_id,
            EventStatus.RECORDED,
            event.customer_id,
            event.payload,
            reason=f"Gladly answered 404 to {path}. The program asks again before it believes that.",
            attempts=event.attempts + 1,
            waits_for=path,
            next_attempt_at=self._at + timedelta(seconds=self._timing.not_found_again_s),
        )

    def _misses_changes(
        self, event: RecordedEvent, stored: StoredConversation | None, now: GladlyConversation | None
    ) -> bool:
        """
        Return whether topics of a close may not be visible yet, and the conversation shows others already.

        Changes become visible up to 15 seconds late.
        """
        if event.transition is not Transition.CLOSED or stored is None or stored.topic_changes is None:
            return False
        is_changed = now is None or not is_that_close(event, now)
        return is_changed and not self._lookups.knows_all_until(event.occurred_at)

    def _shown_later(self, event: RecordedEvent) -> LookedUpEvent:
        """Let an event wait until all changes before it are visible."""
        return LookedUpEvent(
            event.message_id,
            EventStatus.RECORDED,
            event.customer_id,
            reason="The event waits until Gladly shows all changes before this close.",
            attempts=event.attempts,
            waits_for="/events",
            # Only another poll shows them.
            next_attempt_at=self._at + timedelta(seconds=self._timing.linger_s + 1.0),
        )

    def _note_404s(
        self, kind: str, answers: "dict[str, Answer[GladlyConversation]] | dict[str, Answer[Profile]]"
    ) -> None:
        """Note which objects Gladly answered with 404, and forget an earlier 404 of what is there."""
        gone = [id_ for id_, answer in answers.items() if answer is None]
        there = [
            id_ for id_, answer in answers.items() if answer is not None and not isinstance(answer, Failed)
        ]
        self._not_found[kind] = self._store.recorded.not_found_since(kind, gone)
        self._done.not_found += [(kind, id_, self._at) for id_ in gone]
        wrong = self._store.recorded.not_found_since(kind, there) if there else {}
        self._done.found += [(kind, id_) for id_ in wrong]

    def _is_believed(self, kind: str, id_: str) -> bool:
        """Return whether Gladly has answered 404 before, long enough ago."""
        first = self._not_found[kind].get(id_)
        return first is not None and (self._at - first >= timedelta(seconds=self._timing.not_found_again_s))


def _is_gone(stored: StoredConversation | None) -> bool:
    """Return whether the feed has told that the conversation is gone."""
    return stored is not None and stored.status in (Status.MERGED, Status.DELETED)
