"""Make the event to send of what was looked up for it, unless its inbox is not sent (semantics 1, 2.6)."""

from state.records import (
    OTHER_INBOX,
    UNKNOWN_INBOX,
    EventStatus,
    LookedUpEvent,
    RecordedEvent,
    StoredConversation,
    Transition,
)
from state.store import Store
from sync.events.at_the_change import agent_and_topics, traits_after
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.events.options import EventOptions
from sync.events.track import Subject, created_at_of, identify_call, track_event
from sync.gladly.objects.inboxes import WantedInboxes
from sync.gladly.objects.lookups import Lookups
from sync.gladly.objects.names import Failed
from sync.segment.limits import SegmentLimits


class EventMaker:
    """
    Make events of Gladly's objects.

    Args:
        options: How events look, and which are sent.
        store: The state file.
        lookups: Knows the names of agents, topics and inboxes.
        limits: How large an event may be.
    """

    def __init__(self, options: EventOptions, store: Store, lookups: Lookups, limits: SegmentLimits) -> None:
        self._options = options
        self._store = store
        self._inboxes = WantedInboxes(options.inboxes, lookups) if options.inboxes else None
        self._lookups = lookups
        self._limits = limits

    def why_left_out(self, event: RecordedEvent, now: GladlyConversation | None) -> str | Failed | None:
        """
        Return why an event is not sent because of its inbox. Return None where it is sent.

        A conversation of which anything was sent is sent to its end, wherever it is moved. Otherwise a
        receiver would never hear that it was closed.

        Args:
            event: The recorded event.
            now: Its conversation as Gladly shows it now; None when it is gone.

        Returns: a `Failed` where Gladly does not tell the inbox's name.
        """
        if self._inboxes is None:
            return None
        is_wanted = self._inboxes.has(now.inbox_id) if now is not None else False
        if is_wanted is True or self._store.recorded.was_sent(event.conversation_id):
            return None
        if isinstance(is_wanted, Failed):
            return is_wanted
        return UNKNOWN_INBOX if now is None else OTHER_INBOX

    def identify(self, event: RecordedEvent, profile: Profile) -> LookedUpEvent:
        """
        Return the identify call to send: what is true of the customer after the change (semantics 1.4).

        Args:
            event: The recorded call.
            profile: The profile of its customer.
        """
        known = self._store.conversations_of({event.customer_id, profile.id}, event.occurred_at)
        traits = traits_after(event, known)
        payload = identify_call(profile, traits, event.occurred_at, event.message_id, self._options)
        return self._made(event, profile, payload)

    def track(
        self,
        event: RecordedEvent,
        stored: StoredConversation | None,
        now: GladlyConversation | None,
        profile: Profile,
        *,
        is_old: bool,
    ) -> LookedUpEvent | Failed:
        """
        Return the track event to send, or what it still waits for.

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
        return self._made(event, profile, payload)

    def _made(self, event: RecordedEvent, profile: Profile, payload: bytes) -> LookedUpEvent:
        too_large = self._limits.too_large(payload)
        return LookedUpEvent(
            event.message_id,
            EventStatus.REJECTED if too_large else EventStatus.PENDING,
            profile.id,
            payload,
            reason=too_large,
        )
