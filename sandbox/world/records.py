"""The records of a world: the people and things that Gladly keeps, and the changes that it records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from sandbox.timekeeping.instants import event_time, object_time

Wire = dict[str, Any]
"""A JSON object exactly as a client sees it."""

Status = Literal["OPEN", "WAITING", "CLOSED"]
Kind = Literal["created", "closed", "reopened"]

TRANSITIONS: Mapping[str, Kind] = {
    "CONVERSATION/CREATED": "created",
    "CONVERSATION/CLOSED": "closed",
    "CONVERSATION/REOPENED": "reopened",
}

# Gladly REST API reference, "Events": the eight values of the `entities` parameter.
ENTITIES = (
    "AGENT_AVAILABILITY",
    "AGENT_STATUS",
    "CONTACT",
    "CONVERSATION",
    "CUSTOMER",
    "CUSTOMER_PROFILE",
    "PAYMENT_REQUEST",
    "TASK",
)

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Agent:
    """A member of the support team."""

    id: str
    name: str
    email_address: str

    def wire(self) -> Wire:
        """Return the agent as `GET /agents/{id}` shows it."""
        return {"id": self.id, "name": self.name, "emailAddress": self.email_address}


@dataclass(frozen=True, slots=True)
class Topic:
    """What a conversation is about."""

    id: str
    name: str
    disabled: bool = False
    parent_id: str | None = None

    def wire(self) -> Wire:
        """Return the topic as `GET /topics/{id}` shows it, with `parentId` only when it has a parent."""
        shown: Wire = {"id": self.id, "name": self.name, "disabled": self.disabled}
        return shown if self.parent_id is None else {**shown, "parentId": self.parent_id}


@dataclass(frozen=True, slots=True)
class TeamInbox:
    """An inbox in which conversations wait for an agent."""

    id: str
    name: str

    def wire(self) -> Wire:
        """Return the inbox as `GET /inboxes` lists it."""
        return {"id": self.id, "name": self.name, "disabled": False}


@dataclass(frozen=True, slots=True)
class Assignee:
    """Who a conversation is assigned to: an inbox, and an agent once one has picked it up."""

    inbox_id: str
    agent_id: str | None = None

    def wire(self) -> Wire:
        """Return the assignee as events show it, with `agentId` only when there is an agent."""
        if self.agent_id is None:
            return {"inboxId": self.inbox_id}
        return {"inboxId": self.inbox_id, "agentId": self.agent_id}


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who brought a change about."""

    id: str
    type: str


class ConversationVersion(NamedTuple):
    """The state of a conversation from `at` until the next version."""

    at: datetime
    customer_id: str
    assignee: Assignee
    status: Status
    topic_ids: tuple[str, ...]
    custom_attributes: tuple[Wire, ...]
    closed_at: datetime | None


@dataclass(slots=True)
class Conversation:
    """
    One conversation with its whole history. The last version is the present one.

    Attributes:
        gone: Why Gladly no longer shows it: `merged` into another one, or `deleted`. None while Gladly shows
            it.
        gone_at: When Gladly stopped showing it.
        merged_into: The id of the conversation that absorbed it.
    """

    id: str
    created_at: datetime
    versions: list[ConversationVersion]
    gone: Literal["merged", "deleted"] | None = None
    gone_at: datetime | None = None
    merged_into: str | None = None

    @property
    def now(self) -> ConversationVersion:
        """The present version; for a conversation that is gone, the last one."""
        return self.versions[-1]

    @property
    def customer_id(self) -> str:
        """The id of the customer that the conversation belongs to now."""
        return self.versions[-1].customer_id

    @property
    def status(self) -> Status:
        """The present status of the conversation."""
        return self.versions[-1].status

    @property
    def agent_id(self) -> str | None:
        """The id of the agent that the conversation is assigned to now, or None."""
        return self.versions[-1].assignee.agent_id

    @property
    def topic_ids(self) -> tuple[str, ...]:
        """The ids of the present topics of the conversation."""
        return self.versions[-1].topic_ids

    @property
    def is_open(self) -> bool:
        """Whether the conversation is OPEN or WAITING, and neither merged nor deleted."""
        return self.gone is None and self.versions[-1].status != "CLOSED"

    def wire(self, version: ConversationVersion | None = None) -> Wire:
        """Return the conversation as `GET /conversations/{id}` shows it, now or in an earlier *version*."""
        v = version or self.versions[-1]
        shown: Wire = {
            "id": self.id,
            "customerId": v.customer_id,
            "createdAt": object_time(self.created_at, self.id),
            "inboxId": v.assignee.inbox_id,
            "status": v.status,
        }
        if v.assignee.agent_id is not None:
            shown["agentId"] = v.assignee.agent_id
        if v.topic_ids:
            shown["topicIds"] = list(v.topic_ids)
        if v.custom_attributes:
            shown["customAttributes"] = [dict(attribute) for attribute in v.custom_attributes]
        if v.closed_at is not None:
            shown["closedAt"] = object_time(v.closed_at, f"{self.id}{v.closed_at}")
        return shown


@dataclass(slots=True)
class Customer:
    """
    One customer profile with its whole history.

    Attributes:
        versions: Every state of the profile as Gladly shows it, with the instant it began, oldest first.
        conversation_ids: Every conversation that ever belonged to the customer.
        open_conversation_id: The one that is open; Gladly allows one at a time.
        merged_into: The id of the customer that it was merged into.
    """

    id: str
    created_at: datetime
    versions: list[tuple[datetime, Wire]]
    conversation_ids: list[str] = field(default_factory=list)
    open_conversation_id: str | None = None
    merged_into: str | None = None
    deleted_at: datetime | None = None

    @property
    def is_here(self) -> bool:
        """Whether the customer was neither merged into another nor deleted."""
        return self.merged_into is None and self.deleted_at is None

    @property
    def name(self) -> str | None:
        """The name that the profile shows now, or None."""
        name = self.versions[-1][1].get("name")
        return name if isinstance(name, str) else None

    def wire(self) -> Wire:
        """Return the profile as `GET /customer-profiles/{id}` shows it."""
        return self.versions[-1][1]


@dataclass(slots=True)
class Change:
    """
    One change that Gladly recorded.

    Attributes:
        timestamp: When it was recorded.
        visible_at: When `GET /events` begins to show it.
        before: The conversation's assignee just before the change.
        detail: What else the event's `content` says.
    """

    id: str
    type: str
    timestamp: datetime
    visible_at: datetime
    initiator: Initiator | None
    customer_id: str | None = None
    conversation_id: str | None = None
    before: Assignee | None = None
    detail: Wire | None = None

    @property
    def entity(self) -> str:
        """The value of the `entities` parameter that selects this change."""
        prefix = self.type.partition("/")[0]
        return "CONVERSATION" if prefix == "CONVERSATION_ASSIGNEE" else prefix

    @property
    def content(self) -> Wire:
        """The `content` object of the event."""
        content: Wire = {}
        if self.customer_id is not None:
            content["customerId"] = self.customer_id
        if self.conversation_id is not None:
            content["conversationId"] = self.conversation_id
        if self.detail is not None:
            content.update(self.detail)
        if self.before is not None:
            content["context"] = {"assignee": self.before.wire()}
        return content

    def line(self) -> bytes:
        """Return the event as one JSON line, with its newline."""
        event: Wire = {"id": self.id, "type": self.type, "timestamp": event_time(self.timestamp)}
        if self.initiator is not None:
            event["initiator"] = {"id": self.initiator.id, "type": self.initiator.type}
        event["content"] = self.content
        return _encode(event) + b"\n"


@dataclass(frozen=True, slots=True)
class Truth:
    """
    A transition that happened, for comparison with what was sent.

    Attributes:
        kind: Which transition it was.
        recorded_at: When Gladly recorded it.
        visible_at: When the feed begins to show it.
        customer_id: The customer that the conversation belonged to at that moment.
        created_at: When the conversation was created, in whole milliseconds.
        change_id: The id of the change that recorded it.
        assignee: The conversation's assignee just before it.
    """

    kind: Kind
    recorded_at: datetime
    visible_at: datetime
    conversation_id: str
    customer_id: str
    created_at: datetime
    change_id: str
    assignee: Assignee

    def wire(self) -> Wire:
        """Return the transition as `GET /sandbox/truth` lists it."""
        return {
            "kind": self.kind,
            "recordedAt": event_time(self.recorded_at),
            "visibleAt": event_time(self.visible_at),
            "conversationId": self.conversation_id,
            "customerId": self.customer_id,
            "createdAt": event_time(self.created_at),
            "changeId": self.change_id,
            "assignee": self.assignee.wire(),
        }
