"""
Single steps of a simulation: what one customer or agent does at one instant.

Each step first checks whether the world still allows it. If not, the step does nothing. So a step can be
planned long before it happens.
"""

import random
from collections.abc import Callable
from datetime import datetime

from sandbox.simulation.agenda import Agenda
from sandbox.world import people
from sandbox.world.records import Conversation, Customer
from sandbox.world.world import World

AGENTS_AT_MOST = 30

# The shortest time between two closes of one conversation, in *world* seconds at any tempo. A reader of the
# feed takes two closes that lie closer together for the same close, reported twice.
BETWEEN_CLOSES_S = 6.5

# The longest time from a customer's last close to its deletion, in world seconds. No reader can look the
# customer up in so short a time.
DELETED_AFTER_CLOSE_S = 0.2


class Steps:
    """
    The steps, bound to the world in which they happen.

    Args:
        world: Where they happen.
        agenda: Where they plan the steps that follow.
        rng: The source of everything that they draw.
    """

    def __init__(self, world: World, agenda: Agenda, rng: random.Random) -> None:
        self._world, self._agenda, self._rng = world, agenda, rng

    # --- one conversation -------------------------------------------------------------------------------

    def write(self, customer_id: str, at: datetime) -> Conversation | None:
        """Let a customer write in; return the conversation, or None when the customer cannot."""
        customer = self._world.customers[customer_id]
        if not customer.is_here or customer.open_conversation_id is not None:
            return None
        inbox_id = self._rng.choice(list(self._world.inboxes))
        return self._world.open_conversation(customer, at=at, inbox=inbox_id)

    def pick_up(self, conversation: Conversation | None, at: datetime, *, by_newest: bool = False) -> None:
        """Assign an open conversation to a drawn agent, or to the newest one."""
        if conversation and conversation.is_open:
            agent_ids = list(self._world.agents)
            agent_id = agent_ids[-1] if by_newest else self._rng.choice(agent_ids)
            self._world.assign(conversation, agent_id, at=at)

    def wait(self, conversation: Conversation, at: datetime) -> None:
        """Let an open conversation wait for its customer."""
        if conversation.is_open:
            self._world.wait(conversation, at=at)

    def answer(self, conversation: Conversation, at: datetime) -> None:
        """Let the customer of an open conversation answer."""
        if conversation.is_open:
            self._world.answer(conversation, at=at)

    def add_topic(self, conversation: Conversation | None, at: datetime) -> None:
        """Add a drawn topic to a conversation."""
        if conversation and conversation.gone is None:
            self._world.add_topic_to(conversation, self._rng.choice(list(self._world.topics)), at=at)

    def remove_topic(self, conversation: Conversation, at: datetime) -> None:
        """Remove one of a conversation's topics."""
        if conversation.gone is None and conversation.topic_ids:
            self._world.remove_topic_from(conversation, self._rng.choice(conversation.topic_ids), at=at)

    def add_note(self, conversation: Conversation, at: datetime) -> None:
        """Add a note to a conversation."""
        if conversation.gone is None:
            self._world.add_note(conversation, at=at)

    def set_attribute(self, conversation: Conversation, at: datetime) -> None:
        """Set an order number on a conversation."""
        if conversation.gone is None:
            number = f"A-{self._rng.randrange(10**6):06d}"
            self._world.add_attribute(conversation, "orderNumber", number, at=at)

    def close(self, conversation: Conversation, at: datetime) -> None:
        """Close a conversation. Plan that some reopen, and that some customers are deleted at once."""
        if not conversation.is_open:
            return
        self._world.close(conversation, at=at)
        chance = self._rng.random()
        if chance < 0.15:
            after_s, lasts_s = self._rng.uniform(5, 90), self._rng.uniform(20, 120)
            self._agenda.plan(
                at, after_s, lambda now: self.reopen(conversation.id, now, closes_after_s=lasts_s)
            )
        elif chance < 0.19:
            self.plan_deletion_after_close(conversation.customer_id, at)

    def reopen(self, conversation_id: str, at: datetime, *, closes_after_s: float) -> None:
        """Reopen a closed conversation and plan its next close, *closes_after_s* seconds later at tempo 1."""
        conversation = self._world.conversations[conversation_id]
        if conversation.gone is not None or conversation.is_open:
            return
        if self._world.customers[conversation.customer_id].open_conversation_id is not None:
            return
        closed_at = conversation.now.closed_at or at
        self._world.reopen(conversation, at=at)
        left_s = BETWEEN_CLOSES_S - (at - closed_at).total_seconds()
        self._agenda.plan(at, closes_after_s, lambda now: self.close(conversation, now), at_least_s=left_s)

    def open_conversation_of(self, customer_id: str) -> Conversation | None:
        """Return the customer's open conversation, or None."""
        open_id = self._world.customers[customer_id].open_conversation_id
        return self._world.conversations[open_id] if open_id else None

    # --- people -----------------------------------------------------------------------------------------

    def add_customer(self, at: datetime, *, recorded: bool) -> Customer:
        """Add a customer with a drawn profile. *recorded* says whether the feed shows it."""
        return self._world.add_customer(**people.profile(self._rng), at=at, recorded=recorded)

    def add_agent(self) -> None:
        """Let one more agent join the team, up to `AGENTS_AT_MOST`."""
        count = len(self._world.agents)
        if count < AGENTS_AT_MOST:
            name = people.AGENTS[count] if count < len(people.AGENTS) else people.name(self._rng)
            self._world.add_agent(name)

    def draw_customer(self, ids: list[str], fits: Callable[[Customer], bool]) -> Customer | None:
        """
        Draw a present customer that fits, or return None after 20 tries.

        Args:
            ids: The customers to draw from. A merged or deleted one that is drawn is taken off this list.
            fits: Whether a customer may be drawn.
        """
        for _ in range(20):
            place = self._rng.randrange(len(ids))
            customer = self._world.customers[ids[place]]
            if not customer.is_here and len(ids) > 1:
                ids[place] = ids[-1]
                ids.pop()
            elif customer.is_here and fits(customer):
                return customer
        return None

    def change_profile(self, customer_id: str, at: datetime) -> None:
        """Change a customer's name, e-mails or attributes."""
        customer = self._world.customers[customer_id]
        if not customer.is_here:
            return
        change = self._rng.choice(
            (
                {"name": people.name(self._rng)},
                {"emails": [people.email(self._rng, primary=True)]},
                {"custom_attributes": {"membershipTier": "platinum", "since": at.year}},
            )
        )
        self._world.update_profile(customer, at=at, **change)

    def merge(self, source_id: str, destination_id: str, at: datetime) -> None:
        """Merge one customer into another."""
        source, destination = (self._world.customers[id] for id in (source_id, destination_id))
        if source.is_here and destination.is_here:
            self._world.merge(source, destination, at=at)

    def plan_deletion_after_close(self, customer_id: str, at: datetime) -> None:
        """Plan a deletion a moment after a close: a reader sees the close and finds no customer."""
        tempo = self._agenda.tempo
        natural_s = min(DELETED_AFTER_CLOSE_S, DELETED_AFTER_CLOSE_S / tempo) * tempo

        def delete(now: datetime) -> None:
            customer = self._world.customers[customer_id]
            if customer.is_here and customer.open_conversation_id is None:
                self._world.delete(customer, at=now)

        self._agenda.plan(at, natural_s, delete)
