"""
What happens in a world by itself: people write in, agents join, profiles change, customers merge and leave.

This is a discrete-event simulation. Every step is done at its own planned instant, in the order of those
instants, with draws from one seeded source. So the same seed gives the same world. It does not matter when
and how often somebody reads the world.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.simulation.agenda import Agenda, Step
from sandbox.simulation.course import plan_course
from sandbox.simulation.opening import CUSTOMERS_NEEDED, OPENING_LASTS_S, plan_opening
from sandbox.simulation.steps import Steps
from sandbox.timekeeping.instants import floor_ms
from sandbox.world import people
from sandbox.world.records import Customer
from sandbox.world.world import World

# The mean time between two events of one kind, in world seconds at tempo 1.
WRITES_IN_EVERY_S = 20.0
PROFILE_CHANGES_EVERY_S = 90.0
MERGES_EVERY_S = 180.0
LEAVES_EVERY_S = 400.0
AGENT_JOINS_EVERY_S = 900.0

CUSTOMERS_AT_FIRST = 12

# How lively the past of a world is, whatever its present: about 40 conversations a day.
HISTORY_TEMPO = 0.01


class Simulation:
    """
    The events of *world* from the clock's present reading on.

    Args:
        world: Where they happen. The simulation adds agents, topics and customers to it at once.
        tempo: How lively the world is: 1 like a small support team, 20 twenty times as busy. Must be above 0.
        history: How much of a past the world has, at `HISTORY_TEMPO`. It happens at once.
    """

    def __init__(self, world: World, tempo: float, history: timedelta = timedelta(0)) -> None:
        self._world = world
        # This text is part of the seed: another text would draw another world.
        self._rng = random.Random(f"life {world.seed}")  # noqa: S311  # a small world, not a secret
        self._agenda = Agenda(HISTORY_TEMPO if history else tempo)
        self._steps = Steps(world, self._agenda, self._rng)
        self._customer_ids: list[str] = []
        start = floor_ms(world.clock.now())
        self._with_own_draws(lambda: self._furnish(start - history))
        # Nothing else happens to the customers of the opening until it is over.
        opening_ids = [self._customer_ids.pop() for _ in range(CUSTOMERS_NEEDED)]
        if history:
            self._plan_what_repeats(start - history)
            self.run(start)
            self._agenda.hasten(start, tempo)
        plan_opening(world, self._agenda, self._steps, opening_ids, start)
        self._agenda.plan(start, OPENING_LASTS_S, lambda _: self._customer_ids.extend(opening_ids))
        if not history:
            self._plan_what_repeats(start)

    def _plan_what_repeats(self, start: datetime) -> None:
        for every_s, step in (
            (WRITES_IN_EVERY_S, self._someone_writes_in),
            (PROFILE_CHANGES_EVERY_S, self._a_profile_changes),
            (MERGES_EVERY_S, self._two_customers_merge),
            (LEAVES_EVERY_S, self._a_customer_leaves),
            (AGENT_JOINS_EVERY_S, lambda _: self._steps.add_agent()),
        ):
            self._repeat(start, every_s, step)

    def run(self, until: datetime) -> None:
        """Do every step planned up to *until*, included, while holding the world's lock."""
        with self._world.lock:
            self._with_own_draws(lambda: self._agenda.run(until))

    def _with_own_draws(self, act: Callable[[], None]) -> None:
        by_hand, self._world.draw = self._world.draw, self._rng
        try:
            act()
        finally:
            self._world.draw = by_hand

    def _repeat(self, at: datetime, every_s: float, step: Step) -> None:
        def again(now: datetime) -> None:
            step(now)
            self._repeat(now, every_s, step)

        self._agenda.plan(at, self._rng.expovariate(1 / every_s), again)

    def _furnish(self, start: datetime) -> None:
        for name in people.AGENTS[:5]:
            self._world.add_agent(name)
        parent = None
        for name in people.TOPICS:
            topic = self._world.add_topic(name, parent=parent if name == "Other" else None)
            parent = parent or topic
        for _ in range(CUSTOMERS_AT_FIRST):
            self._add_customer(start - timedelta(days=self._rng.uniform(1, 900)), recorded=False)

    def _someone_writes_in(self, at: datetime) -> None:
        known = self._rng.random() < 0.6
        customer = self._draw(lambda c: c.open_conversation_id is None) if known else None
        if customer is None:
            customer = self._add_customer(at, recorded=True)
        conversation = self._steps.write(customer.id, at)
        if conversation:
            plan_course(conversation, self._agenda, self._steps, self._rng, at)

    def _a_profile_changes(self, at: datetime) -> None:
        customer = self._draw(lambda _: True)
        if customer:
            self._steps.change_profile(customer.id, at)

    def _two_customers_merge(self, at: datetime) -> None:
        both_open = self._rng.random() < 0.5
        source = self._draw(lambda c: not both_open or c.open_conversation_id is not None)
        destination = self._draw(lambda c: not both_open or c.open_conversation_id is not None)
        if source and destination and source is not destination:
            self._steps.merge(source.id, destination.id, at)

    def _a_customer_leaves(self, at: datetime) -> None:
        customer = self._draw(lambda c: c.open_conversation_id is None and bool(c.conversation_ids))
        if customer:
            self._world.delete(customer, at=at)

    def _draw(self, fits: Callable[[Customer], bool]) -> Customer | None:
        return self._steps.draw_customer(self._customer_ids, fits)

    def _add_customer(self, at: datetime, *, recorded: bool) -> Customer:
        customer = self._steps.add_customer(at, recorded=recorded)
        self._customer_ids.append(customer.id)
        return customer
