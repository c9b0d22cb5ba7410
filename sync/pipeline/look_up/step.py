"""One step of look-ups: some events, what Gladly answered, and what follows (semantics 2.5, 2.6)."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from state.records import (
    EventStatus,
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
from sync.events.at_the_close import agent_and_topics, is_that_close
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.events.options import EventOptions
from sync.events.track import Subject, created_at_of, track_event
from sync.gladly.objects.lookups import Answer, Lookups
from sync.gladly.objects.names import Failed
from sync.pipeline.delivery import Outgoing
from sync.segment.limits import SegmentLimits

log = structlog.get_logger()


class LookUpTiming(NamedTuple):
    """
    Say how much a step takes, and when a look-up that failed is made again.

    Attributes:
        step_events: How many events are looked up and written together, at most.
        step_s: A step takes about so many seconds, at most, at the pace that is kept.
        events_per_second: How many events a second can be looked up at that pace; None for any number.
        again_s: The waits after the first, second, … failed attempt of an event, in seconds. The first ones
            pass within a cycle.
        longest_wait_s: The wait after all further attempts.
        attempts_a_day: How many attempts an event has in its first day.
        slow_again_s: The least wait after an attempt that took long to fail.
        not_found_again_s: A 404 that nothing else explains is believed when it is answered again so many
            seconds later.
        waits_for_late_changes: Whether a close waits until all changes before it are visible, where the
            conversation has changed since.
        linger_s: A cycle waits so long for the next attempt, when nothing else is due.
        alone_after: An event that lacks only its conversation, or a name, is sent without it after this time
            (semantics 2.5, 5.2).
    """

    step_events: int = 300
    step_s: float = 6.0
    events_per_second: float | None = None
    again_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 30.0, 60.0, 60.0, 300.0, 900.0, 1_800.0)
    longest_wait_s: float = 3_600.0
    attempts_a_day: int = 24
    slow_again_s: float = 30.0
    not_found_again_s: float = 60.0
    waits_for_late_changes: bool = True
    linger_s: float = 5.0
    alone_after: timedelta = timedelta(days=1)

    def at_pace(self, requests_per_second: float) -> "LookUpTiming":
        """Return these numbers with steps that fit the pace: an event needs two requests at most."""
        return self._replace(events_per_second=requests_per_second / 2)

    def events_in(self, seconds: float | None, per_second: float | None = None) -> int:
        """
        Return how many events a step takes.

        Args:
            seconds: How many seconds are left for it; None for any number.
            per_second: How many events a second the last step came to, where another integration may need
                Gladly's requests; None before the first step.
        """
        if self.events_per_second is None:
            return self.step_events
        rate = min(self.events_per_second, per_second or self.events_per_second)
        step_s = self.step_s if seconds is None else min(seconds, self.step_s)
        return min(self.step_events, max(5, math.ceil(step_s * rate)))

    def next_attempt(self, event: RecordedEvent, now: datetime, *, was_slow: bool = False) -> datetime:
        """
        Return when an event whose look-up has just failed is looked up again.

        Args:
            event: The event.
            now: The instant from which the wait counts.
            was_slow: Whether the look-up took long to fail. It is then not made again in the same cycle.
        """
        a_day_old = event.recorded_at + timedelta(days=1)
        if event.attempts + 1 >= self.attempts_a_day and now < a_day_old:
            return a_day_old
        waits = self.again_s
        wait_s = waits[event.attempts] if event.attempts < len(waits) else self.longest_wait_s
        return now + timedelta(seconds=max(wait_s, self.slow_again_s) if was_slow else wait_s)

    def was_held_back(self, event: RecordedEvent) -> bool:
        """Return whether the wait after the last attempt was longer than a cycle lingers."""
        last = event.attempts - 1
        return last >= len(self.again_s) or (last >= 0 and self.again_s[last] > self.linger_s)


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
        self._options = options
        self._limits = limits
        self._timing = timing
        ids = {event.conversation_id for event in events}
        self._stored = self._store.conversations(ids, with_transitions=False)
        self._owners = {e.conversation_id: e.customer_id for e in events}
        self._owners |= {id_: stored.customer_id for id_, stored in self._stored.items()}
        self._deleted = self._store.deleted_customers(self._owners.values())
        self._conversations: dict[str, Answer[GladlyConversation]] = {}
        self._profiles: dict[str, Answer[Profile]] = {}
        self._done = LookedUp()
        self._not_found: dict[str, dict[str, datetime]] = {}

    def ask(self, outgoing: Outgoing) -> None:
        """Ask Gladly for the conversations of the events and for the profiles of their customers."""
        needed: dict[str, datetime] = {}
        for event in self._events:
            id_ = event.conversation_id
            if event.payload is None and self._owners[id_] not in self._deleted:
                needed[id_] = max(event.occurred_at, needed.get(id_, event.occurred_at))
        self._conversations, self._profiles = self._lookups.both(
            needed, self._customers(), outgoing.send_what_is_due
        )
        for id_, answer in self._conversations.items():
            if isinstance(answer, GladlyConversation):  # after a merge it says itself which customer has it
                self._owners[id_] = answer.customer_id
        self._deleted |= self._store.deleted_customers(self._owners.values())
        others = {id_: at for id_, at in self._customers().items() if id_ not in self._profiles}
        if others:
            self._profiles |= self._lookups.profiles(others, outgoing.send_what_is_due)
        self._note_404s("conversation", self._conversations)
        self._note_404s("profile", self._profiles)

    def _customers(self) -> dict[str, datetime]:
        """Return the customers of the events, each with the newest of its events."""
        newest: dict[str, datetime] = {}
        for event in self._events:
            owner = self._owners[event.conversation_id]
            if owner not in self._deleted:
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
        if event.payload is None:
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
        if self._timing.waits_for_late_changes and self._misses_changes(event, stored, now):
            return self._shown_later(event)
        try:
            outcome = self._event_of(event, stored, now, profile, is_old=is_old)
        except (StoppedError, GladlySegmentError):
            raise
        except Exception as error:  # what nobody expected holds back this event, and no other (faults H2.7)
            kind = type(error).__name__
            outcome = Failed(path="-", reason=f"The event cannot be made: {kind}. Report this.")
        if isinstance(outcome, Failed):
            return self._held(event, outcome)
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

    def _event_of(
        self,
        event: RecordedEvent,
        stored: StoredConversation | None,
        now: GladlyConversation | None,
        profile: Profile,
        *,
        is_old: bool,
    ) -> LookedUpEvent | Failed:
        """
        Return the event to send, or what it still waits for.

        Args:
            event: The recorded event.
            stored: Its conversation as stored.
            now: Its conversation as Gladly shows it now; None when it is gone.
            profile: The profile of its customer.
            is_old: Whether a name that cannot be had is left out.
        """
        agent_id, topic_ids = agent_and_topics(event, stored, now)
        agent_name = self._lookups.agent_name(agent_id)
        if isinstance(agent_name, Failed):
            if not is_old:
                return agent_name
            agent_name = None
        names = []
        if "topicNames" in self._options.add and event.transition is Transition.CLOSED:
            for topic_id in topic_ids:
                name = self._lookups.topic_name(topic_id)
                if isinstance(name, Failed) and not is_old:
                    return name
                if name and not isinstance(name, Failed):
                    names.append(name)
        subject = Subject(
            conversation_id=event.conversation_id,
            conversation=now,
            profile=profile,
            agent_id=agent_id,
            agent_name=agent_name,
            created_at=created_at_of(now, (stored and stored.created_at) or event.occurred_at),
            closed_at=event.occurred_at,
            topic_ids=topic_ids,
            topic_names=names,
        )
        payload = track_event(event.transition, subject, event.message_id, self._options)
        too_large = self._limits.too_large(payload)
        return LookedUpEvent(
            event.message_id,
            EventStatus.REJECTED if too_large else EventStatus.PENDING,
            profile.id,
            payload,
            reason=too_large,
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
            reason=f"Gladly answered 404 to {path}. It is asked again before that is believed.",
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
            reason="It waits until Gladly shows all changes before this close.",
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
