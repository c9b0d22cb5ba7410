"""
Define what is read from Gladly's answers. Gladly's camelCase names stop here.

Unknown fields and types are ignored. Optional fields may be missing or null (Gladly REST API, "evolution").
"""

import msgspec


class _Model(msgspec.Struct, rename="camel", kw_only=True): ...


class Assignee(_Model):
    """Hold the agent that a conversation is assigned to."""

    agent_id: str | None = None


class Context(_Model):
    """Hold the circumstances just before an event."""

    assignee: Assignee | None = None


class Content(_Model):
    """Hold what an event of the feed is about. Which fields there are depends on the event's type."""

    customer_id: str | None = None
    conversation_id: str | None = None
    context: Context | None = None
    source_customer_id: str | None = None
    destination_customer_id: str | None = None
    source_conversation_id: str | None = None
    topic_id: str | None = None


class FeedEvent(_Model):
    """
    A line of `GET /events`. `content` is decoded only for the types that mean something here.

    An event without an id is recognised by what it says, as a row of the report is.
    """

    type: str
    timestamp: str
    id: str | int | None = None
    content: msgspec.Raw = msgspec.Raw(b"{}")


class Agent(_Model):
    """Hold an entry of `GET /agents`."""

    id: str
    name: str | None = None


class Topic(_Model):
    """Hold an entry of `GET /topics`."""

    id: str
    name: str | None = None


class Inbox(_Model):
    """Hold an entry of `GET /inboxes`."""

    id: str
    name: str | None = None


class ErrorMeta(_Model):
    """Hold what an error of the code `moved` adds: the id that was asked for, and the id that remains."""

    old: str | None = None
    new: str | None = None


class Error(_Model):
    """Hold one entry of an error answer."""

    attr: str | None = None
    code: str | None = None
    detail: str | None = None
    meta: ErrorMeta | None = None


class Errors(_Model):
    """Hold an error answer. For some 400s and 404s `errors` is one object, not a list."""

    errors: list[Error] | Error | None = None

    @property
    def all(self) -> list[Error]:
        """Return the entries as a list, in whichever form they came."""
        return [self.errors] if isinstance(self.errors, Error) else self.errors or []
