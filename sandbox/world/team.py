"""The support team's part of a world: its agents, and the topics that it files conversations under."""

from sandbox.world.history import WorldHistory, locked
from sandbox.world.records import Agent, Topic


class Team(WorldHistory):
    """The actions that add to the team. The feed shows none of them, as at Gladly."""

    @locked
    def add_agent(self, name: str, *, id: str | None = None) -> Agent:
        """Add an agent called *name*. Without *id*, an id is drawn."""
        agent_id = id or self.new_id()
        handle = "".join(c if c.isascii() and c.isalnum() else "." for c in name.lower()).strip(".")
        agent = Agent(agent_id, name, f"{handle or 'agent'}@example.com")
        self.agents[agent_id] = agent
        return agent

    @locked
    def add_topic(self, name: str, *, id: str | None = None, parent: Topic | None = None) -> Topic:
        """Add a topic called *name* below *parent*. Without *id*, an id is drawn."""
        topic = Topic(id or self.new_id(), name, parent_id=parent.id if parent else None)
        self.topics[topic.id] = topic
        return topic
