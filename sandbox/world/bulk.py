"""Large histories in little time, for reading at full speed."""

import contextlib
import gc
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox.timekeeping.instants import floor_ms
from sandbox.world import people
from sandbox.world.records import Assignee, Change, Conversation, ConversationVersion, Customer, Initiator

if TYPE_CHECKING:
    from sandbox.world.world import World


@contextlib.contextmanager
def _no_collecting() -> Iterator[None]:
    """Nothing made here is garbage, and searching millions of new objects for some would take longest."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@_no_collecting()
def fill(
    world: "World",
    *,
    conversations: int,
    closed_fraction: float,
    start: datetime,
    over_s: float,
    customers: int | None,
) -> None:
    """Do what `World.bulk` says. Slower paths are skipped, so only what it needs is consistent by design."""
    if not 0 <= closed_fraction <= 1:
        raise ValueError("closed_fraction lies between 0 and 1")
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
    # Each shared customer's turn comes round every len(shared) steps; a conversation lasts half of that.
    step_s = over_s / (conversations + len(shared) / 2 + 1)
    lasts = timedelta(seconds=step_s * len(shared) / 2)
    # Open and closed ones alternate evenly: the n-th is closed where n * fraction passes a whole number.
    done, made = 0, []
    for n in range(conversations):
        created_at = floor_ms(start + timedelta(seconds=step_s * n))
        closes = (n + 1) * closed // conversations > done
        if closes:
            customer = shared[done % len(shared)]
            done += 1
        else:
            customer = world.add_customer(**people.profile(world.draw), at=created_at, recorded=False)
        made += _conversation(
            world,
            customer,
            created_at,
            floor_ms(created_at + lasts) if closes else None,
            in_inbox=in_inbox,
            with_agent=hands[n % len(hands)][0],
            by_agent=hands[n % len(hands)][1],
        )
    world.changes += made
    world.changes.sort(key=lambda change: change.timestamp)


def _conversation(
    world: "World",
    customer: Customer,
    created_at: datetime,
    closed_at: datetime | None,
    *,
    in_inbox: Assignee,
    with_agent: Assignee,
    by_agent: Initiator,
) -> list[Change]:
    conversation_id = world.new_id()
    version = ConversationVersion(created_at, customer.id, with_agent, "OPEN", (), (), None)
    talk = Conversation(conversation_id, created_at, [version])
    world.conversations[conversation_id] = talk
    customer.conversation_ids.append(conversation_id)
    by_customer = Initiator(customer.id, "CUSTOMER")
    made = [
        Change(
            world.new_id(),
            "CONVERSATION/CREATED",
            created_at,
            created_at,
            by_customer,
            customer.id,
            conversation_id,
            in_inbox,
        )
    ]
    if closed_at is None:
        customer.open_conversation_id = conversation_id
        return made
    talk.versions.append(version._replace(at=closed_at, status="CLOSED", closed_at=closed_at))
    made.append(
        Change(
            world.new_id(),
            "CONVERSATION/CLOSED",
            closed_at,
            closed_at,
            by_agent,
            customer.id,
            conversation_id,
            with_agent,
        )
    )
    return made
