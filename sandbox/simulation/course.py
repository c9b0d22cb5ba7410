"""The course of one ordinary conversation, drawn and planned when the customer writes in."""

import functools
import random
from collections.abc import Callable
from datetime import datetime

from sandbox.simulation.agenda import Agenda
from sandbox.simulation.steps import Steps
from sandbox.world.records import Conversation


def plan_course(
    conversation: Conversation, agenda: Agenda, steps: Steps, rng: random.Random, at: datetime
) -> None:
    """
    Plan what happens in *conversation*, from an agent's answer to its close.

    Args:
        conversation: The conversation, just opened.
        agenda: Where the steps are planned.
        steps: What can happen.
        rng: Decides what happens, and when.
        at: When the conversation was opened.
    """
    lasts_s = rng.uniform(30, 240)
    if rng.random() < 0.9:
        agenda.plan(at, rng.uniform(3, 25), lambda now: steps.pick_up(conversation, now))
    asides: tuple[tuple[float, Callable[[Conversation, datetime], None]], ...] = (
        (0.7, steps.add_topic),
        (0.2, steps.add_topic),
        (0.15, steps.remove_topic),
        (0.25, steps.add_note),
        (0.08, steps.set_attribute),
        (0.1, steps.pick_up),
    )
    for chance, aside in asides:
        if rng.random() < chance:
            agenda.plan(at, rng.uniform(0.2, 1) * lasts_s, functools.partial(aside, conversation))
    if rng.random() < 0.5:
        waits_after_s = rng.uniform(0.3, 0.6) * lasts_s
        agenda.plan(at, waits_after_s, lambda now: steps.wait(conversation, now))
        if rng.random() < 0.7:
            agenda.plan(at, waits_after_s + 10, lambda now: steps.answer(conversation, now))
    if rng.random() < 0.97:  # a few are never closed
        agenda.plan(at, lasts_s, lambda now: steps.close(conversation, now))
