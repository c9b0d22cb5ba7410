"""
The small world behind the local Gladly: who there is, what happened, and since when.

Everything that happens appends to history, nothing rewrites it, so a checker can ask how a conversation
or a profile stood at any moment. `World` is thread-safe: one lock around every action and every reading.
"""

import base64
import bisect
import functools
import random
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from types import EllipsisType
from typing import Any, Concatenate, ParamSpec, TypeVar

from sandbox.timekeeping.clock import Clock
from sandbox.timekeeping.instants import floor_ms, object_time
from sandbox.world import people
from sandbox.world.records import (
    TRANSITIONS,
    Agent,
    Assignee,
    Change,
    Conversation,
    ConversationVersion,
    Customer,
    Initiator,
    Status,
    TeamInbox,
    Topic,
    Truth,
    Wire,
)

P = ParamSpec("P")
R = TypeVar("R")

# The wire names of what `update_profile` and `add_customer` take in Python's spelling.
_PROFILE_FIELDS = {
    "custom_attributes": "customAttributes",
    "external_customer_id": "externalCustomerId",
    "external_customer_ids": "externalCustomerIds",
}


def _locked(
    method: Callable[Concatenate["World", P], R],
) -> Callable[Concatenate["World", P], R]:
    @functools.wraps(method)
    def holding_the_lock(self: "World", /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    return holding_the_lock


class World:
    """
    Customers, agents, conversations and the changes recorded about them.

    Every action takes `at` (default now; may lie in the past, to build old history, but each conversation's
    own actions go forward) and `late_s` (world seconds until the feed shows the change; default drawn).

    Args:
        clock: The world's time.
        seed: Decides every id, name, delay and coincidence.
        tempo: How lively the world is on its own: 0 not at all, 1 like a small support team, 20 twenty
            times as busy. All of its waiting times are divided by it.
        lateness_s: A change shows in the feed 0 to this many world seconds after its timestamp, drawn for
            each, so changes can surface out of order. Gladly promises 15.
    """

    def __init__(self, clock: Clock, *, seed: int = 1, tempo: float = 0.0, lateness_s: float = 15.0) -> None:
        self.clock = clock
        self.seed = seed
        self.tempo = tempo
        self.lateness_s = lateness_s
        self.lock = threading.RLock()
        self.changes: list[Change] = []
        self.agents: dict[str, Agent] = {}
        self.topics: dict[str, Topic] = {}
        self.inboxes: dict[str, TeamInbox] = {}
        self.customers: dict[str, Customer] = {}
        self.conversations: dict[str, Conversation] = {}
        self.deleted: dict[str, datetime] = {}
        self.merged: dict[str, tuple[str, datetime]] = {}
        # Life draws from its own source, so what tests do by hand does not change what happens by itself.
        self.draw = random.Random(f"by hand {seed}")  # noqa: S311  # a small world, not a secret
        for name in people.INBOXES:
            inbox = TeamInbox(self.new_id(), name)
            self.inboxes[inbox.id] = inbox
        self.first_inbox_id = next(iter(self.inboxes))
        self._life = None
        if tempo > 0:
            from sandbox.simulation.life import Life

            self._life = Life(self)

    def new_id(self) -> str:
        """Return a fresh id like Gladly's: 22 URL-safe characters."""
        return base64.urlsafe_b64encode(self.draw.randbytes(16))[:22].decode()

    @_locked
    def run_to_now(self) -> None:
        """Let everything happen that was due by the clock's present reading."""
        if self._life is not None:
            self._life.run(self.clock.now())

    # --- the team ---------------------------------------------------------------------------------------

    @_locked
    def add_agent(self, name: str, *, id: str | None = None) -> Agent:
        """Add an agent to the team. The feed says nothing of it, as at Gladly."""
        agent_id = id or self.new_id()
        handle = "".join(c if c.isascii() and c.isalnum() else "." for c in name.lower()).strip(".")
        agent = Agent(agent_id, name, f"{handle or 'agent'}@example.com")
        self.agents[agent_id] = agent
        return agent

    @_locked
    def add_topic(self, name: str, *, id: str | None = None, parent: Topic | None = None) -> Topic:
        """Add a topic agents can file conversations under."""
        topic = Topic(id or self.new_id(), name, parent_id=parent.id if parent else None)
        self.topics[topic.id] = topic
        return topic

    # --- customers --------------------------------------------------------------------------------------

    @_locked
    def add_customer(
        self,
        name: str | EllipsisType | None = ...,
        *,
        emails: Sequence[Wire] | None = (),
        phones: Sequence[Wire] | None = (),
        custom_attributes: Wire | None = None,
        address: str | None = None,
        external_customer_id: str | None = None,
        id: str | None = None,
        at: datetime | None = None,
        late_s: float | None = None,
        recorded: bool = True,
    ) -> Customer:
        """
        Add a customer profile (`CUSTOMER_PROFILE/CREATED`).

        Args:
            name: Left out, one is drawn; None means a profile without a name.
            emails: Dicts as on the wire, `{"normalized", "original", "primary"}`. None leaves the list out.
            phones: Likewise.
            custom_attributes: The profile's object; None leaves it out.
            address: A postal address in one string.
            external_customer_id: The id another system knows this customer by.
            id: The customer's id; drawn when left out.
            at: When the profile came to be.
            late_s: Delay until the feed shows it.
            recorded: False adds the profile without a change in the feed.
        """
        when = self._moment(at)
        customer_id = id or self.new_id()
        if customer_id in self.customers:
            raise ValueError(f"there is a customer {customer_id} already")
        shown = {
            "name": people.name(self.draw) if isinstance(name, EllipsisType) else name,
            "address": address,
            "emails": None if emails is None else [dict(email) for email in emails],
            "phones": None if phones is None else [dict(phone) for phone in phones],
            "customAttributes": custom_attributes,
            "externalCustomerId": external_customer_id,
            "createdAt": object_time(when, customer_id),
            "updatedAt": object_time(when, customer_id),
        }
        profile = {"id": customer_id} | {key: value for key, value in shown.items() if value is not None}
        customer = Customer(customer_id, when, [(when, profile)])
        self.customers[customer_id] = customer
        if recorded:
            self._record("CUSTOMER_PROFILE/CREATED", when, late_s, _system(), customer_id=customer_id)
        return customer

    def update_profile(
        self,
        customer: Customer | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
        **fields: Any,
    ) -> Customer:
        """Change profile fields, spelled Python's way or the wire's; None removes one (`…/UPDATED`)."""
        with self.lock:
            who = self._customer_here(customer)
            when = self._moment(at)
            self._change_profile(who, when, {_PROFILE_FIELDS.get(key, key): v for key, v in fields.items()})
            self._record("CUSTOMER_PROFILE/UPDATED", when, late_s, _system(), customer_id=who.id)
            return who

    @_locked
    def merge(
        self,
        source: Customer | str,
        destination: Customer | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Customer:
        """
        Merge *source* into *destination* (`CUSTOMER/MERGED`), which is returned.

        Where both have an open conversation, the source's goes into the destination's: it answers 404 from
        then on and never closes. Every other conversation of the source now belongs to the destination,
        whose profile gains the source's e-mails and phones.
        """
        gone, stays = self._customer_here(source), self._customer_here(destination)
        if gone is stays:
            raise ValueError("a customer cannot be merged into itself")
        when = self._moment(at)
        detail: Wire = {"sourceCustomerId": gone.id, "destinationCustomerId": stays.id}
        if gone.open_conversation_id and stays.open_conversation_id:
            detail["sourceConversationId"] = gone.open_conversation_id
            detail["destinationConversationId"] = stays.open_conversation_id
            absorbed = self.conversations[gone.open_conversation_id]
            absorbed.gone, absorbed.gone_at = "merged", when
            absorbed.merged_into = stays.open_conversation_id
            gone.open_conversation_id = None
        elif self.draw.random() < 0.5:  # without two open conversations they are missing, or empty
            detail |= {"sourceConversationId": "", "destinationConversationId": ""}
        for conversation_id in gone.conversation_ids:
            moved = self.conversations[conversation_id]
            if moved.gone is None:
                self._change(moved, when, customer_id=stays.id)
                stays.conversation_ids.append(conversation_id)
        if gone.open_conversation_id:
            stays.open_conversation_id, gone.open_conversation_id = gone.open_conversation_id, None
        gone.merged_into = stays.id
        self.merged[gone.id] = (stays.id, when)
        self._gather_addresses(stays, gone, when)
        self._record("CUSTOMER/MERGED", when, late_s, _system(), detail=detail)
        return stays

    @_locked
    def delete(
        self, customer: Customer | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> None:
        """
        Delete a customer and its conversations for good (`CUSTOMER_PROFILE/DELETED`): 404 from then on.

        Raises:
            ValueError: A conversation is still open. Nothing has been deleted.
        """
        who = self._customer_here(customer)
        if who.open_conversation_id is not None:
            raise ValueError("a customer can only be deleted once all its conversations are closed")
        when = self._moment(at)
        for conversation_id in who.conversation_ids:
            conversation = self.conversations[conversation_id]
            if conversation.gone is None:
                conversation.gone, conversation.gone_at = "deleted", when
        who.deleted_at = when
        self.deleted[who.id] = when
        self._record("CUSTOMER_PROFILE/DELETED", when, late_s, _system(), customer_id=who.id)

    # --- conversations ----------------------------------------------------------------------------------

    @_locked
    def open_conversation(
        self,
        customer: Customer | str,
        *,
        at: datetime | None = None,
        agent: Agent | str | None = None,
        id: str | None = None,
        inbox: TeamInbox | str | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Let a customer write in (`CONVERSATION/CREATED`). With *agent*, it is theirs from the start."""
        who = self._customer_here(customer)
        if who.open_conversation_id is not None:
            raise ValueError(f"{who.id} has an open conversation; a customer has one at a time")
        when = self._moment(at)
        conversation_id = id or self.new_id()
        if conversation_id in self.conversations:
            raise ValueError(f"there is a conversation {conversation_id} already")
        before = Assignee(_id_of(inbox) or self.first_inbox_id)
        now = Assignee(before.inbox_id, _id_of(agent))
        first = ConversationVersion(when, who.id, now, "OPEN", (), (), None)
        conversation = Conversation(conversation_id, when, [first])
        self.conversations[conversation_id] = conversation
        who.conversation_ids.append(conversation_id)
        who.open_conversation_id = conversation_id
        self._record(
            "CONVERSATION/CREATED",
            when,
            late_s,
            Initiator(who.id, "CUSTOMER"),
            conversation=conversation,
            before=before,
        )
        return conversation

    @_locked
    def assign(
        self,
        conversation: Conversation | str,
        agent: Agent | str | None,
        *,
        inbox: TeamInbox | str | None = None,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Hand a conversation to *agent*; None: back to its inbox (`CONVERSATION_ASSIGNEE/UPDATED`)."""
        talk = self._conversation_here(conversation)
        when = self._moment(at)
        before = talk.now.assignee
        after = Assignee(_id_of(inbox) or before.inbox_id, _id_of(agent))
        self._change(talk, when, assignee=after)
        self._record(
            "CONVERSATION_ASSIGNEE/UPDATED",
            when,
            late_s,
            Initiator(after.agent_id, "AGENT") if after.agent_id else _system(),
            conversation=talk,
            before=before,
            detail={"reason": "MANUAL" if after.agent_id else "ROUTING", "assignee": after.wire()},
        )
        return talk

    @_locked
    def wait(self, conversation: Conversation | str, *, at: datetime | None = None) -> Conversation:
        """Wait for the customer: status `WAITING`. The feed says nothing of it."""
        return self._turn(conversation, "WAITING", at)

    @_locked
    def answer(self, conversation: Conversation | str, *, at: datetime | None = None) -> Conversation:
        """Hear back from the customer: status `OPEN` again. The feed says nothing of it."""
        return self._turn(conversation, "OPEN", at)

    @_locked
    def add_topic_to(
        self,
        conversation: Conversation | str,
        topic: Topic | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """File a conversation under *topic* (`CONVERSATION/TOPIC_ADDED`)."""
        talk = self._conversation_here(conversation)
        topic_id = topic if isinstance(topic, str) else topic.id
        kept = tuple(known for known in talk.topic_ids if known != topic_id)
        return self._file(talk, "CONVERSATION/TOPIC_ADDED", (*kept, topic_id), topic_id, at=at, late_s=late_s)

    @_locked
    def remove_topic_from(
        self,
        conversation: Conversation | str,
        topic: Topic | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Take a topic off a conversation (`CONVERSATION/TOPIC_REMOVED`)."""
        talk = self._conversation_here(conversation)
        topic_id = topic if isinstance(topic, str) else topic.id
        kept = tuple(known for known in talk.topic_ids if known != topic_id)
        return self._file(talk, "CONVERSATION/TOPIC_REMOVED", kept, topic_id, at=at, late_s=late_s)

    @_locked
    def add_note(
        self, conversation: Conversation | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> Conversation:
        """Write an internal note (`CONVERSATION/NOTE_CREATED`)."""
        talk = self._conversation_here(conversation)
        self._record(
            "CONVERSATION/NOTE_CREATED",
            self._moment(at),
            late_s,
            _agent_or_system(talk),
            conversation=talk,
            before=talk.now.assignee,
            detail={"noteId": self.new_id()},
        )
        return talk

    @_locked
    def add_attribute(
        self,
        conversation: Conversation | str,
        attribute_id: str,
        value: Any,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Set an attribute of the conversation, not the customer (`CONVERSATION/CUSTOM_ATTRIBUTE_ADDED`)."""
        talk = self._conversation_here(conversation)
        when = self._moment(at)
        kept = tuple(known for known in talk.now.custom_attributes if known["id"] != attribute_id)
        self._change(talk, when, custom_attributes=(*kept, {"id": attribute_id, "value": value}))
        self._record(
            "CONVERSATION/CUSTOM_ATTRIBUTE_ADDED",
            when,
            late_s,
            _agent_or_system(talk),
            conversation=talk,
            before=talk.now.assignee,
            detail={"customAttributeId": attribute_id},
        )
        return talk

    @_locked
    def close(
        self, conversation: Conversation | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> Conversation:
        """Close a conversation (`CONVERSATION/CLOSED`)."""
        talk = self._conversation_here(conversation)
        if not talk.is_open:
            raise ValueError(f"conversation {talk.id} is closed already")
        when = self._moment(at)
        before = talk.now.assignee
        self._change(talk, when, status="CLOSED", closed_at=when)
        self.customers[talk.customer_id].open_conversation_id = None
        self._record(
            "CONVERSATION/CLOSED", when, late_s, _agent_or_system(talk), conversation=talk, before=before
        )
        return talk

    @_locked
    def reopen(
        self, conversation: Conversation | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> Conversation:
        """Open a closed conversation again (`CONVERSATION/REOPENED`)."""
        talk = self._conversation_here(conversation)
        if talk.is_open:
            raise ValueError(f"conversation {talk.id} is not closed")
        who = self.customers[talk.customer_id]
        if who.open_conversation_id is not None:
            raise ValueError(f"{who.id} has another open conversation; a customer has one at a time")
        when = self._moment(at)
        self._change(talk, when, status="OPEN", closed_at=None)
        who.open_conversation_id = talk.id
        self._record(
            "CONVERSATION/REOPENED",
            when,
            late_s,
            Initiator(who.id, "CUSTOMER"),
            conversation=talk,
            before=talk.now.assignee,
        )
        return talk

    @_locked
    def record(
        self,
        type: str,
        content: Wire,
        *,
        initiator: Initiator | None = None,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Change:
        """Put any change into the feed, of a type nobody has heard of for instance. Nothing else happens."""
        return self._record(type, self._moment(at), late_s, initiator, detail=content)

    @_locked
    def bulk(
        self,
        *,
        conversations: int,
        closed_fraction: float = 0.5,
        at: datetime | None = None,
        over_s: float = 3600.0,
        customers: int | None = None,
    ) -> None:
        """
        Make a big history fast: created and closed conversations only, visible at once.

        Args:
            conversations: How many are created.
            closed_fraction: The share of them that is closed again, 0 to 1.
            at: The first creation; default: so that the last change lies a minute back.
            over_s: How many seconds the history spans.
            customers: How many customers share the closed ones (default a tenth); each that stays open
                has a customer of its own.
        """
        from sandbox.world.bulk import fill

        start = self._moment(at or self.clock.now() - timedelta(seconds=over_s + 60))
        fill(
            self,
            conversations=conversations,
            closed_fraction=closed_fraction,
            start=start,
            over_s=over_s,
            customers=customers,
        )

    # --- readings ---------------------------------------------------------------------------------------

    @_locked
    def truth(self) -> list[Truth]:
        """Every created, closed and reopened transition so far, in recorded order, visible yet or not."""
        self.run_to_now()
        return [self._true(change) for change in self.changes if change.type in TRANSITIONS]

    @_locked
    def feed(
        self, start: datetime, end: datetime, entities: Iterable[str], *, now: datetime | None = None
    ) -> list[Change]:
        """Changes of *entities* recorded from *start* to *end*, both included, and visible by *now*."""
        first = bisect.bisect_left(self.changes, start, key=_timestamp)
        last = bisect.bisect_right(self.changes, end, key=_timestamp)
        wanted, seen_at = frozenset(entities), now or self.clock.now()
        window = self.changes[first:last]
        return [change for change in window if change.visible_at <= seen_at and change.entity in wanted]

    @_locked
    def between(self, start: datetime, end: datetime) -> list[Change]:
        """Every change recorded from *start* up to but without *end*, visible or not."""
        first = bisect.bisect_left(self.changes, start, key=_timestamp)
        last = bisect.bisect_left(self.changes, end, key=_timestamp)
        return self.changes[first:last]

    @_locked
    def conversation_versions(self, id: str) -> list[tuple[datetime, Wire]]:
        """Every state of a conversation since its start, as `GET /conversations/{id}` would have shown it."""
        talk = self.conversations[id]
        return [(version.at, talk.wire(version)) for version in talk.versions]

    @_locked
    def profile_versions(self, customer_id: str) -> list[tuple[datetime, Wire]]:
        """Every state of a profile since its start, as `GET /customer-profiles/{id}` would have shown it."""
        return [(at, dict(profile)) for at, profile in self.customers[customer_id].versions]

    # --- inside -----------------------------------------------------------------------------------------

    def insert(self, change: Change) -> None:
        """Put a change in its place: by timestamp, and among equals last."""
        if not self.changes or self.changes[-1].timestamp <= change.timestamp:
            self.changes.append(change)
        else:
            bisect.insort_right(self.changes, change, key=_timestamp)

    def _record(
        self,
        type: str,
        when: datetime,
        late_s: float | None,
        initiator: Initiator | None,
        *,
        customer_id: str | None = None,
        conversation: Conversation | None = None,
        before: Assignee | None = None,
        detail: Wire | None = None,
    ) -> Change:
        delay = self.draw.uniform(0, self.lateness_s) if late_s is None else late_s
        change = Change(
            self.new_id(),
            type,
            when,
            when + timedelta(seconds=delay),
            initiator,
            conversation.customer_id if conversation else customer_id,
            conversation.id if conversation else None,
            before,
            detail,
        )
        self.insert(change)
        return change

    def _moment(self, at: datetime | None) -> datetime:
        if at is None:
            return floor_ms(self.clock.now())
        if at.tzinfo is None:
            raise ValueError("things happen at aware datetimes")
        return floor_ms(at)

    def _customer_here(self, customer: Customer | str) -> Customer:
        who = self.customers[customer if isinstance(customer, str) else customer.id]
        if not who.is_here:
            raise ValueError(f"customer {who.id} was merged or deleted")
        return who

    def _conversation_here(self, conversation: Conversation | str) -> Conversation:
        talk = self.conversations[conversation if isinstance(conversation, str) else conversation.id]
        if talk.gone is not None:
            raise ValueError(f"conversation {talk.id} was {talk.gone}")
        return talk

    def _change(self, talk: Conversation, when: datetime, **fields: Any) -> None:
        talk.versions.append(talk.now._replace(at=when, **fields))

    def _turn(self, conversation: Conversation | str, status: Status, at: datetime | None) -> Conversation:
        talk = self._conversation_here(conversation)
        if not talk.is_open:
            raise ValueError(f"conversation {talk.id} is closed")
        self._change(talk, self._moment(at), status=status)
        return talk

    def _file(
        self,
        talk: Conversation,
        type: str,
        topic_ids: tuple[str, ...],
        topic_id: str,
        *,
        at: datetime | None,
        late_s: float | None,
    ) -> Conversation:
        when = self._moment(at)
        self._change(talk, when, topic_ids=topic_ids)
        self._record(
            type,
            when,
            late_s,
            _agent_or_system(talk),
            conversation=talk,
            before=talk.now.assignee,
            detail={"topicId": topic_id},
        )
        return talk

    def _change_profile(self, who: Customer, when: datetime, fields: Wire) -> None:
        changed = who.wire() | fields | {"updatedAt": object_time(when, f"{who.id}{when}")}
        who.versions.append((when, {key: value for key, value in changed.items() if value is not None}))

    def _gather_addresses(self, stays: Customer, gone: Customer, when: datetime) -> None:
        gained: Wire = {}
        for kind in ("emails", "phones"):
            own = stays.wire().get(kind) or []
            known = {entry.get("normalized") or entry.get("original") for entry in own}
            more = [
                entry | {"primary": False}
                for entry in gone.wire().get(kind) or []
                if (entry.get("normalized") or entry.get("original")) not in known
            ]
            if more:
                gained[kind] = own + more
        if gained:
            self._change_profile(stays, when, gained)

    def _true(self, change: Change) -> Truth:
        assert change.conversation_id is not None
        assert change.customer_id is not None
        assert change.before is not None
        return Truth(
            TRANSITIONS[change.type],
            change.timestamp,
            change.visible_at,
            change.conversation_id,
            change.customer_id,
            self.conversations[change.conversation_id].created_at,
            change.id,
            change.before,
        )


def _timestamp(change: Change) -> datetime:
    return change.timestamp


def _id_of(thing: Agent | TeamInbox | str | None) -> str | None:
    return thing if thing is None or isinstance(thing, str) else thing.id


def _system() -> Initiator:
    return Initiator("gladly", "SYSTEM")


def _agent_or_system(talk: Conversation) -> Initiator:
    return Initiator(talk.agent_id, "AGENT") if talk.agent_id else _system()
