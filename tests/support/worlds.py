"""A past for the sandbox's world: conversations for the sync to find."""

from datetime import UTC, datetime, timedelta

from sandbox import Sandbox

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = 86_400


def busy_minutes(sandbox: Sandbox, conversations: int, over_s: float = 480) -> list[str]:
    """
    Begin conversations evenly over the last *over_s* seconds, and close each some seconds later. Return their
    ids.

    The newest change is a minute and a half old. The feed shows these customers only through their
    conversations.
    """
    now, ids = sandbox.clock.now() - timedelta(seconds=90), []
    for n in range(conversations):
        at = now - timedelta(seconds=over_s * (conversations - n) / conversations)
        customer = sandbox.world.add_customer(f"Customer {n}", recorded=False)
        conversation = sandbox.world.open_conversation(customer, at=at)
        sandbox.world.close(conversation, at=at + timedelta(seconds=over_s / conversations / 2))
        ids.append(conversation.id)
    return ids


def history(sandbox: Sandbox, seconds_ago: float = 300) -> None:
    """
    Let everything that happens to conversations happen once, within the minute that began so many seconds
    ago.
    """
    world, begun = sandbox.world, sandbox.clock.now() - timedelta(seconds=seconds_ago)

    def at(seconds: float) -> datetime:
        return begun + timedelta(seconds=seconds)

    agent, topic = world.add_agent("Sam Doe"), world.add_topic("Returns")
    ana, bea, cem, dia, eli = (world.add_customer(at=at(0)) for _ in range(5))
    world.open_conversation(ana, at=at(1), agent=agent)
    twice = world.open_conversation(bea, at=at(2))
    world.add_topic_to(twice, topic, at=at(3))
    world.close(twice, at=at(10))
    world.reopen(twice, at=at(20))
    world.close(twice, at=at(30))
    world.open_conversation(cem, at=at(4))
    world.open_conversation(dia, at=at(5))
    world.merge(cem, dia, at=at(35))
    forgotten = world.open_conversation(eli, at=at(6))
    world.close(forgotten, at=at(40))
    world.delete(eli, at=at(41))


def people_writing_in(sandbox: Sandbox, count: int, seconds_ago: float = 120) -> list[str]:
    """Open so many conversations, one every 10 ms, and return their ids."""
    begun = sandbox.clock.now() - timedelta(seconds=seconds_ago)
    return [
        sandbox.world.open_conversation(
            sandbox.world.add_customer(at=begun), at=begun + timedelta(milliseconds=10 * n)
        ).id
        for n in range(count)
    ]


def one_conversation(sandbox: Sandbox) -> str:
    """Begin a conversation two and a half minutes ago, and close it half a minute later. Return its id."""
    return busy_minutes(sandbox, 1, over_s=60)[0]


def live_for(sandbox: Sandbox, seconds: float, conversations: int) -> None:
    """Let *seconds* pass in which customers write in and are answered, evenly."""
    world = sandbox.world
    agent = world.add_agent('Sam, "the desk"\nDoe')  # a name that a CSV field must quote
    step = seconds / (conversations + 1)
    for number in range(conversations):
        sandbox.clock.advance(step)
        conversation = world.open_conversation(world.add_customer(f"Customer {number}"), agent=agent)
        if number % 3:
            world.close(conversation)
        if number % 6 == 5:
            world.reopen(conversation, at=sandbox.clock.now() + timedelta(seconds=20))
            world.close(conversation, at=sandbox.clock.now() + timedelta(seconds=40))
    sandbox.clock.advance(step)
