"""The scripted first minutes of a simulation, so that even a short look sees every kind of event."""

from collections.abc import Sequence
from datetime import datetime

from sandbox.simulation.agenda import Agenda, Step
from sandbox.simulation.steps import Steps
from sandbox.world.records import Conversation
from sandbox.world.world import World

# How long the opening takes, in world seconds at tempo 1.
OPENING_LASTS_S = 300.0

# How many customers the opening needs.
CUSTOMERS_NEEDED = 5


def plan_opening(
    world: World, agenda: Agenda, steps: Steps, customer_ids: Sequence[str], start: datetime
) -> None:
    """
    Plan the opening.

    Args:
        world: Where the opening happens.
        agenda: Where its steps are planned.
        steps: The steps that it can use.
        customer_ids: The `CUSTOMERS_NEEDED` customers who act in the opening. Nothing else may happen to them
            while it lasts.
        start: When the opening begins.
    """
    asking, twin, same_person, leaving, bystander = customer_ids

    def conversation_of(customer_id: str) -> Conversation | None:
        return steps.open_conversation_of(customer_id)

    def write(customer_id: str) -> Step:
        def step(at: datetime) -> None:
            steps.write(customer_id, at)

        return step

    def pick_up(customer_id: str) -> Step:
        return lambda at: steps.pick_up(conversation_of(customer_id), at)

    def add_topic(customer_id: str) -> Step:
        return lambda at: steps.add_topic(conversation_of(customer_id), at)

    def close(customer_id: str) -> Step:
        def step(at: datetime) -> None:
            conversation = conversation_of(customer_id)
            if conversation:
                world.close(conversation, at=at)

        return step

    def close_and_reopen(at: datetime) -> None:
        conversation = conversation_of(asking)
        if conversation:
            world.close(conversation, at=at)
            agenda.plan(at, 20, lambda now: steps.reopen(conversation.id, now, closes_after_s=40))

    def close_and_delete(at: datetime) -> None:
        conversation = conversation_of(leaving)
        if conversation:
            world.close(conversation, at=at)
            steps.plan_deletion_after_close(leaving, at)

    def new_agent_picks_up(at: datetime) -> None:
        steps.add_agent()
        steps.pick_up(conversation_of(bystander), at, by_newest=True)

    script: tuple[tuple[float, Step], ...] = (
        (1, write(asking)),
        (3, write(twin)),
        (5, pick_up(asking)),
        (6, write(leaving)),
        (8, add_topic(asking)),
        (10, write(same_person)),
        (12, close_and_reopen),
        (14, pick_up(leaving)),
        (16, add_topic(leaving)),
        (18, pick_up(twin)),
        (22, close_and_delete),
        (26, lambda at: steps.merge(same_person, twin, at)),
        (30, write(bystander)),
        (40, new_agent_picks_up),
        (45, lambda at: steps.change_profile(bystander, at)),
        (50, add_topic(bystander)),
        (60, close(twin)),
        (75, lambda at: steps.merge(twin, bystander, at)),
        (110, close(bystander)),
    )
    for natural_s, step in script:
        agenda.plan(start, natural_s, step)
