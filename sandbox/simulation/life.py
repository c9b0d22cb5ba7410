"""
The world living on its own: people write in, agents answer and close, things change their mind.

A discrete-event simulation: every step is done at its own planned time, in the order of those times, with
draws from one seeded source. So the same seed gives the same world however often it is looked at, and when.
Waiting times are given in seconds at tempo 1 and divided by the tempo.
"""

import functools
import heapq
import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.timekeeping.instants import floor_ms
from sandbox.world import people

if TYPE_CHECKING:
    from sandbox.world.records import Conversation, Customer
    from sandbox.world.world import World

Step = Callable[[datetime], None]

# Mean seconds between two of a kind, at tempo 1.
WRITES_IN_EVERY_S = 20.0
PROFILE_CHANGES_EVERY_S = 90.0
MERGES_EVERY_S = 180.0
LEAVES_EVERY_S = 400.0
AGENT_JOINS_EVERY_S = 900.0
AGENTS_AT_MOST = 30

# How long the scripted beginning takes, at tempo 1.
OPENING_LASTS_S = 300.0

# Two closes of one conversation lie at least this many *world* seconds apart, whatever the tempo: closer
# ones are the same close reported twice, as far as a reader of the feed can tell.
BETWEEN_CLOSES_S = 6.5

# How soon after its last close a customer may be deleted: too soon for any poller to look it up between.
GONE_AFTER_CLOSE_S = 0.2


class Life:
    """What happens in *world* without anyone's doing, from the clock's present reading on."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._rng = random.Random(f"life {world.seed}")  # noqa: S311  # a small world, not a secret
        self._planned: list[tuple[datetime, int, Step]] = []
        self._order = itertools.count()
        self._customer_ids: list[str] = []
        self._start = floor_ms(world.clock.now())
        self._as_life(self._furnish)
        self._plan_opening()
        for every_s, step in (
            (WRITES_IN_EVERY_S, self._someone_writes_in),
            (PROFILE_CHANGES_EVERY_S, self._a_profile_changes),
            (MERGES_EVERY_S, self._two_prove_one),
            (LEAVES_EVERY_S, self._someone_leaves),
            (AGENT_JOINS_EVERY_S, self._an_agent_joins),
        ):
            self._repeat(self._start, every_s, step)

    def run(self, until: datetime) -> None:
        """Do every step planned up to *until*, in order, each at its own time."""
        self._as_life(lambda: self._run(until))

    def _run(self, until: datetime) -> None:
        while self._planned and self._planned[0][0] <= until:
            at, _, step = heapq.heappop(self._planned)
            step(at)

    def _as_life(self, act: Callable[[], None]) -> None:
        by_hand, self._world.draw = self._world.draw, self._rng
        try:
            act()
        finally:
            self._world.draw = by_hand

    # --- planning ---------------------------------------------------------------------------------------

    def _after(self, at: datetime, natural_s: float, step: Step, *, at_least_s: float = 0.0) -> None:
        wait = timedelta(seconds=max(natural_s / self._world.tempo, at_least_s))
        heapq.heappush(self._planned, (floor_ms(at + wait), next(self._order), step))

    def _repeat(self, at: datetime, every_s: float, step: Step) -> None:
        def again(now: datetime) -> None:
            step(now)
            self._repeat(now, every_s, step)

        self._after(at, self._rng.expovariate(1 / every_s), again)

    # --- how it begins ----------------------------------------------------------------------------------

    def _furnish(self) -> None:
        for name in people.AGENTS[:5]:
            self._world.add_agent(name)
        parent = None
        for name in people.TOPICS:
            topic = self._world.add_topic(name, parent=parent if name == "Other" else None)
            parent = parent or topic
        for _ in range(12):
            self._new_customer(self._start - timedelta(days=self._rng.uniform(1, 900)), recorded=False)
        # Those of the opening take no part in the rest until it is over, so that nothing comes between.
        self._opening_ids = [self._customer_ids.pop() for _ in range(5)]

    def _plan_opening(self) -> None:
        """Plan the first minutes so that even a short look sees one of everything."""
        start = self._start
        asking, twin, same_person, parting, bystander = self._opening_ids

        def second_visit(at: datetime) -> None:
            talk = self._opened(asking)
            if talk:
                self._world.close(talk, at=at)
                self._after(at, 20, lambda now: self._reopen(talk.id, now, closes_after_s=40))

        def parted(at: datetime) -> None:
            talk = self._opened(parting)
            if talk:
                self._world.close(talk, at=at)
                self._leave_at_once(parting, at)

        def newcomer(at: datetime) -> None:
            self._an_agent_joins(at)
            self._pick_up(self._opened(bystander), at, newest=True)

        def write(customer_id: str) -> Step:
            def step(at: datetime) -> None:
                self._write(customer_id, at)

            return step

        def pick_up(customer_id: str) -> Step:
            return lambda at: self._pick_up(self._opened(customer_id), at)

        def close(customer_id: str) -> Step:
            def step(at: datetime) -> None:
                talk = self._opened(customer_id)
                if talk:
                    self._world.close(talk, at=at)

            return step

        def topic(customer_id: str) -> Step:
            return lambda at: self._file(self._opened(customer_id), at)

        for natural_s, step in (
            (1, write(asking)),
            (3, write(twin)),
            (5, pick_up(asking)),
            (6, write(parting)),
            (8, topic(asking)),
            (10, write(same_person)),
            (12, second_visit),
            (14, pick_up(parting)),
            (16, topic(parting)),
            (18, pick_up(twin)),
            (22, parted),
            (26, lambda at: self._merge(same_person, twin, at)),
            (30, write(bystander)),
            (40, newcomer),
            (45, lambda at: self._change_profile(bystander, at)),
            (50, topic(bystander)),
            (60, close(twin)),
            (75, lambda at: self._merge(twin, bystander, at)),
            (110, close(bystander)),
            (OPENING_LASTS_S, lambda _: self._customer_ids.extend(self._opening_ids)),
        ):
            self._after(start, natural_s, step)

    # --- what happens now and then ----------------------------------------------------------------------

    def _someone_writes_in(self, at: datetime) -> None:
        customer = (
            self._someone(lambda c: c.open_conversation_id is None) if self._rng.random() < 0.6 else None
        )
        if customer is None:
            customer = self._new_customer(at, recorded=True)
        talk = self._write(customer.id, at)
        if talk:
            self._plan_conversation(talk.id, at)

    def _a_profile_changes(self, at: datetime) -> None:
        customer = self._someone(lambda _: True)
        if customer:
            self._change_profile(customer.id, at)

    def _two_prove_one(self, at: datetime) -> None:
        both_open = self._rng.random() < 0.5
        source = self._someone(lambda c: not both_open or c.open_conversation_id is not None)
        destination = self._someone(lambda c: not both_open or c.open_conversation_id is not None)
        if source and destination and source is not destination:
            self._merge(source.id, destination.id, at)

    def _someone_leaves(self, at: datetime) -> None:
        customer = self._someone(lambda c: c.open_conversation_id is None and bool(c.conversation_ids))
        if customer:
            self._world.delete(customer, at=at)

    def _an_agent_joins(self, at: datetime) -> None:
        del at
        count = len(self._world.agents)
        if count < AGENTS_AT_MOST:
            name = people.AGENTS[count] if count < len(people.AGENTS) else people.name(self._rng)
            self._world.add_agent(name)

    # --- the course of one conversation -----------------------------------------------------------------

    def _plan_conversation(self, talk_id: str, at: datetime) -> None:
        rng, plan = self._rng, self._after
        talk = self._world.conversations[talk_id]
        lasts_s = rng.uniform(30, 240)
        if rng.random() < 0.9:
            plan(at, rng.uniform(3, 25), lambda now: self._pick_up(talk, now))
        asides: tuple[tuple[float, Callable[[Conversation, datetime], None]], ...] = (
            (0.7, self._file),
            (0.2, self._file),
            (0.15, self._unfile),
            (0.25, self._note),
            (0.08, self._set_attribute),
            (0.1, self._pick_up),
        )
        for chance, aside in asides:
            if rng.random() < chance:
                plan(at, rng.uniform(0.2, 1) * lasts_s, functools.partial(aside, talk))
        if rng.random() < 0.5:
            turns_s = rng.uniform(0.3, 0.6) * lasts_s
            plan(at, turns_s, lambda now: self._turn(talk, now, waiting=True))
            if rng.random() < 0.7:
                plan(at, turns_s + 10, lambda now: self._turn(talk, now, waiting=False))
        if rng.random() < 0.97:  # a few are never closed
            plan(at, lasts_s, lambda now: self._close(talk, now))

    def _write(self, customer_id: str, at: datetime) -> "Conversation | None":
        customer = self._world.customers[customer_id]
        if not customer.is_here or customer.open_conversation_id is not None:
            return None
        inbox_id = self._rng.choice(list(self._world.inboxes))
        return self._world.open_conversation(customer, at=at, inbox=inbox_id)

    def _pick_up(self, talk: "Conversation | None", at: datetime, *, newest: bool = False) -> None:
        if talk and talk.is_open:
            agent_ids = list(self._world.agents)
            agent_id = agent_ids[-1] if newest else self._rng.choice(agent_ids)
            self._world.assign(talk, agent_id, at=at)

    def _turn(self, talk: "Conversation", at: datetime, *, waiting: bool) -> None:
        if talk.is_open:
            (self._world.wait if waiting else self._world.answer)(talk, at=at)

    def _file(self, talk: "Conversation | None", at: datetime) -> None:
        if talk and talk.gone is None:
            self._world.add_topic_to(talk, self._rng.choice(list(self._world.topics)), at=at)

    def _unfile(self, talk: "Conversation", at: datetime) -> None:
        if talk.gone is None and talk.topic_ids:
            self._world.remove_topic_from(talk, self._rng.choice(talk.topic_ids), at=at)

    def _note(self, talk: "Conversation", at: datetime) -> None:
        if talk.gone is None:
            self._world.add_note(talk, at=at)

    def _set_attribute(self, talk: "Conversation", at: datetime) -> None:
        if talk.gone is None:
            self._world.add_attribute(talk, "orderNumber", f"A-{self._rng.randrange(10**6):06d}", at=at)

    def _close(self, talk: "Conversation | None", at: datetime) -> None:
        if not talk or not talk.is_open:
            return
        self._world.close(talk, at=at)
        then = self._rng.random()
        if then < 0.15:
            after_s, lasts_s = self._rng.uniform(5, 90), self._rng.uniform(20, 120)
            self._after(at, after_s, lambda now: self._reopen(talk.id, now, closes_after_s=lasts_s))
        elif then < 0.19:
            self._leave_at_once(talk.customer_id, at)

    def _reopen(self, talk_id: str, at: datetime, *, closes_after_s: float) -> None:
        talk = self._world.conversations[talk_id]
        if talk.gone is not None or talk.is_open:
            return
        if self._world.customers[talk.customer_id].open_conversation_id is not None:
            return
        closed_at = talk.now.closed_at or at
        self._world.reopen(talk, at=at)
        left_s = BETWEEN_CLOSES_S - (at - closed_at).total_seconds()
        self._after(at, closes_after_s, lambda now: self._close(talk, now), at_least_s=left_s)

    # --- customers --------------------------------------------------------------------------------------

    def _new_customer(self, at: datetime, *, recorded: bool) -> "Customer":
        customer = self._world.add_customer(**people.profile(self._rng), at=at, recorded=recorded)
        self._customer_ids.append(customer.id)
        return customer

    def _someone(self, fits: "Callable[[Customer], bool]") -> "Customer | None":
        """Draw a customer who is still here and fits; a few tries, so that a long list costs no more."""
        for _ in range(20):
            place = self._rng.randrange(len(self._customer_ids))
            customer = self._world.customers[self._customer_ids[place]]
            if not customer.is_here and len(self._customer_ids) > 1:
                self._customer_ids[place] = self._customer_ids[-1]
                self._customer_ids.pop()
            elif customer.is_here and fits(customer):
                return customer
        return None

    def _opened(self, customer_id: str) -> "Conversation | None":
        open_id = self._world.customers[customer_id].open_conversation_id
        return self._world.conversations[open_id] if open_id else None

    def _change_profile(self, customer_id: str, at: datetime) -> None:
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

    def _merge(self, source_id: str, destination_id: str, at: datetime) -> None:
        source, destination = (self._world.customers[id] for id in (source_id, destination_id))
        if source.is_here and destination.is_here:
            self._world.merge(source, destination, at=at)

    def _leave_at_once(self, customer_id: str, at: datetime) -> None:
        """Plan a deletion a moment after a close: the close is seen, and nobody is found behind it."""
        wait_s = min(GONE_AFTER_CLOSE_S, GONE_AFTER_CLOSE_S / self._world.tempo)
        natural_s = wait_s * self._world.tempo

        def leave(now: datetime) -> None:
            customer = self._world.customers[customer_id]
            if customer.is_here and customer.open_conversation_id is None:
                self._world.delete(customer, at=now)

        self._after(at, natural_s, leave)
