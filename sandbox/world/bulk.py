"""Large histories in little time, for tests and measurements that read at full speed."""

import contextlib
import gc
from collections.abc import Iterator
from datetime import datetime, timedelta

from sandbox.timekeeping.instants import floor_ms
from sandbox.world import people
from sandbox.world.records import Assignee, Change, Conversation, ConversationVersion, Customer, Initiator
from sandbox.world.world import World


def fill(
    world: World,
    *,
    conversations: int,
    closed_fraction: float = 0.5,
    at: datetime | None = None,
    over_s: float = 3600.0,
    customers: int | None = None,
) -> None:
    """
    Add a large history to *world*: created and closed conversations only, visible in the feed at once.

    The records are built directly, without the world's own actions, because that is faster. So `fill` itself
    keeps the rule that a customer has one open conversation at a time.

    Args:
        world: Where the history goes. It gets five agents when it has none.
        conversations: How many are created.
        closed_fraction: The share of them that is closed again, from 0 to 1.
        at: When the first one is created, an aware datetime. By default the last change is a minute old.
        over_s: How many seconds the history spans.
        customers: How many customers share the closed conversations; None means a tenth of *conversations*.
            Each conversation that stays open has a customer of its own.
    Raises:
        ValueError: *closed_fraction* is not between 0 and 1, or *at* is not aware. Nothing was added.
    """
    if not 0 <= closed_fraction <= 1:
        raise ValueError("closed_fraction must be between 0 and 1")
    if at is not None and at.tzinfo is None:
        raise ValueError("at must be an aware datetime, for instance datetime(2026, 11, 2, tzinfo=UTC)")
    with world.lock, _without_garbage_collection():
        start = floor_ms(at or world.clock.now() - timedelta(seconds=over_s + 60))
        _fill(world, conversations, closed_fraction, start, over_s, customers)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Turn garbage collection off. All new objects stay, so a search of millions would find nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _fill(
    world: World,
    conversations: int,
    closed_fraction: float,
    start: datetime,
    over_s: float,
    customers: int | None,
) -> None:
    if not world.agents:
        for name in people.AGENTS[:5]:
            world.add_agent(name)
    in_inbox = Assignee(world.first_inbox_id)
    hands = [(Assignee(in_inbox.inbox_id, id), Initiator(id, "AGENT")) for id in world.agents]
    closed = round(conversations * closed_fraction)
    shared = [
        world.add_customer(**people.profile(world.draw), at=start, recorded=False)
        for _ in range(max(2, customers or conversations // 10) if closed else 0)
    ]
    # Each shared customer has one conversation in len(shared) steps; a conversation lasts half of that.
    step_s = over_s / (conversations + len(shared) / 2 + 1)
    lasts = timedelta(seconds=step_s * len(shared) / 2)
    # Open and closed conversations alternate evenly: conversation n is closed where n * fraction passes a
    # whole number.
    done = 0
    changes: list[Change] = []
    for n in range(conversations):
        created_at = floor_ms(start + timedelta(seconds=step_s * n))
        closes = (n + 1) * closed // conversations > done
        if closes:
            customer = shared[done % len(shared)]
            done += 1
        else:
            customer = world.add_customer(**people.profile(world.draw), at=created_at, recorded=False)
        with_agent, by_agent = hands[n % len(hands)]
        closed_at = floor_ms(created_at + lasts) if closes else None
        conversation = _conversation(world, customer, created_at, closed_at, with_agent)
        changes.append(_creation(world, conversation, in_inbox))
        if closed_at is not None:
            changes.append(_close(world, conversation, closed_at, by_agent))
    world.changes += changes
    world.changes.sort(key=lambda change: change.timestamp)


def _conversation(
    world: World,
    customer: Customer,
    created_at: datetime,
    closed_at: datetime | None,
    with_agent: Assignee,
) -> Conversation:
    conversation = Conversation(
        world.new_id(),
        created_at,
        [ConversationVersion(created_at, customer.id, with_agent, "OPEN", (), (), None)],
    )
    world.conversations[conversation.id] = conversation
    customer.conversation_ids.append(conversation.id)
    if closed_at is None:
        customer.open_conversation_id = conversation.id
    else:
        closed = conversation.now._replace(at=closed_at, status="CLOSED", closed_at=closed_at)
        conversation.versions.append(closed)
    return conversation


def _creation(world: World, conversation: Conversation, in_inbox: Assignee) -> Change:
    at, customer_id = conversation.created_at, conversation.customer_id
    return Change(
        world.new_id(),
        "CONVERSATION/CREATED",
        at,
        at,
        Initiator(customer_id, "CUSTOMER"),
        customer_id,
        conversation.id,
        in_inbox,
    )


def _close(world: World, conversation: Conversation, at: datetime, by_agent: Initiator) -> Change:
    return Change(
        world.new_id(),
        "CONVERSATION/CLOSED",
        at,
        at,
        by_agent,
        conversation.customer_id,
        conversation.id,
        conversation.now.assignee,
    )
