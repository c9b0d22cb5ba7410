"""Large histories in little time, for reading at full speed."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sandbox import people
from sandbox.instants import floor_ms
from sandbox.records import Assignee, Change, Conversation, ConversationVersion, Customer, Initiator

if TYPE_CHECKING:
    from sandbox.world import World


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
    agent_ids = list(world.agents)
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
            agent_ids[n % len(agent_ids)],
        )
    world.changes += made
    world.changes.sort(key=lambda change: change.timestamp)


def _conversation(
    world: "World", customer: Customer, created_at: datetime, closed_at: datetime | None, agent_id: str
) -> list[Change]:
    conversation_id = world.new_id()
    in_inbox = Assignee(world.first_inbox_id)
    with_agent = Assignee(world.first_inbox_id, agent_id)
    version = ConversationVersion(created_at, customer.id, with_agent, "OPEN", (), (), None)
    talk = Conversation(conversation_id, created_at, [version])
    world.conversations[conversation_id] = talk
    customer.conversation_ids.append(conversation_id)
    by_customer, by_agent = Initiator(customer.id, "CUSTOMER"), Initiator(agent_id, "AGENT")
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
