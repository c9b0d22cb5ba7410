"""The conversations' part of a world: customers write in, agents answer, file, close and reopen."""

from datetime import datetime
from typing import Any

from sandbox.world.history import SYSTEM, WorldHistory, locked
from sandbox.world.records import (
    Agent,
    Assignee,
    Conversation,
    ConversationVersion,
    Customer,
    Initiator,
    Status,
    TeamInbox,
    Topic,
)


class Conversations(WorldHistory):
    """The actions on conversations."""

    @locked
    def open_conversation(
        self,
        customer: Customer | str,
        *,
        at: datetime | None = None,
        agent: Agent | str | None = None,
        id: str | None = None,
        inbox: TeamInbox | str | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """
        Let a customer write in (`CONVERSATION/CREATED`).

        Args:
            customer: Who writes in, as a record or an id.
            at: When; None means now.
            agent: The agent who looks after the conversation from the start; None leaves it to the inbox.
            id: The conversation's id; None draws one.
            inbox: The inbox that the conversation enters; None means the first one.
            late_s: World seconds until the feed shows the change; None draws them.
        Raises:
            ValueError: The customer has an open conversation, was merged or deleted, or *id* is in use.
        """
        who = self._present_customer(customer)
        if who.open_conversation_id is not None:
            raise ValueError(f"{who.id} has an open conversation; a customer has one at a time")
        when = self._moment(at)
        conversation_id = id or self.new_id()
        if conversation_id in self.conversations:
            raise ValueError(f"there is a conversation {conversation_id} already")
        before = Assignee(_id_of(inbox) or self.first_inbox_id)
        now = Assignee(before.inbox_id, _id_of(agent))
        first = ConversationVersion(when, who.id, now, "OPEN", (), (), None)
        conversation = Conversation(conversation_id, when, [first])
        self.conversations[conversation_id] = conversation
        who.conversation_ids.append(conversation_id)
        who.open_conversation_id = conversation_id
        self._record(
            "CONVERSATION/CREATED",
            when,
            late_s,
            Initiator(who.id, "CUSTOMER"),
            conversation=conversation,
            before=before,
        )
        return conversation

    @locked
    def assign(
        self,
        conversation: Conversation | str,
        agent: Agent | str | None,
        *,
        inbox: TeamInbox | str | None = None,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Assign a conversation to *agent*; None means its inbox (`CONVERSATION_ASSIGNEE/UPDATED`)."""
        found = self._present_conversation(conversation)
        when = self._moment(at)
        before = found.now.assignee
        after = Assignee(_id_of(inbox) or before.inbox_id, _id_of(agent))
        self._change(found, when, assignee=after)
        self._record(
            "CONVERSATION_ASSIGNEE/UPDATED",
            when,
            late_s,
            Initiator(after.agent_id, "AGENT") if after.agent_id else SYSTEM,
            conversation=found,
            before=before,
            detail={"reason": "MANUAL" if after.agent_id else "ROUTING", "assignee": after.wire()},
        )
        return found

    @locked
    def wait(self, conversation: Conversation | str, *, at: datetime | None = None) -> Conversation:
        """Let a conversation wait for the customer: its status is now `WAITING`. The feed shows nothing."""
        return self._set_status(conversation, "WAITING", at)

    @locked
    def answer(self, conversation: Conversation | str, *, at: datetime | None = None) -> Conversation:
        """Let the customer of a waiting conversation answer: its status is `OPEN`. The feed shows nothing."""
        return self._set_status(conversation, "OPEN", at)

    @locked
    def add_topic_to(
        self,
        conversation: Conversation | str,
        topic: Topic | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Add *topic* to a conversation (`CONVERSATION/TOPIC_ADDED`)."""
        found = self._present_conversation(conversation)
        topic_id = topic if isinstance(topic, str) else topic.id
        kept = tuple(known for known in found.topic_ids if known != topic_id)
        return self._set_topics(
            found, "CONVERSATION/TOPIC_ADDED", (*kept, topic_id), topic_id, at=at, late_s=late_s
        )

    @locked
    def remove_topic_from(
        self,
        conversation: Conversation | str,
        topic: Topic | str,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Remove *topic* from a conversation (`CONVERSATION/TOPIC_REMOVED`)."""
        found = self._present_conversation(conversation)
        topic_id = topic if isinstance(topic, str) else topic.id
        kept = tuple(known for known in found.topic_ids if known != topic_id)
        return self._set_topics(found, "CONVERSATION/TOPIC_REMOVED", kept, topic_id, at=at, late_s=late_s)

    @locked
    def add_note(
        self, conversation: Conversation | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> Conversation:
        """Add an internal note to a conversation (`CONVERSATION/NOTE_CREATED`)."""
        found = self._present_conversation(conversation)
        self._record(
            "CONVERSATION/NOTE_CREATED",
            self._moment(at),
            late_s,
            _agent_or_system(found),
            conversation=found,
            before=found.now.assignee,
            detail={"noteId": self.new_id()},
        )
        return found

    @locked
    def add_attribute(
        self,
        conversation: Conversation | str,
        attribute_id: str,
        value: Any,
        *,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Conversation:
        """Set a custom attribute of the conversation itself (`CONVERSATION/CUSTOM_ATTRIBUTE_ADDED`)."""
        found = self._present_conversation(conversation)
        when = self._moment(at)
        kept = tuple(known for known in found.now.custom_attributes if known["id"] != attribute_id)
        self._change(found, when, custom_attributes=(*kept, {"id": attribute_id, "value": value}))
        self._record(
            "CONVERSATION/CUSTOM_ATTRIBUTE_ADDED",
            when,
            late_s,
            _agent_or_system(found),
            conversation=found,
            before=found.now.assignee,
            detail={"customAttributeId": attribute_id},
        )
        return found

    @locked
    def close(
        self, conversation: Conversation | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> Conversation:
        """Close a conversation (`CONVERSATION/CLOSED`). Raise ValueError when it is closed already."""
        found = self._present_conversation(conversation)
        if not found.is_open:
            raise ValueError(f"conversation {found.id} is closed already")
        when = self._moment(at)
        before = found.now.assignee
        self._change(found, when, status="CLOSED", closed_at=when)
        self.customers[found.customer_id].open_conversation_id = None
        self._record(
            "CONVERSATION/CLOSED", when, late_s, _agent_or_system(found), conversation=found, before=before
        )
        return found

    @locked
    def reopen(
        self, conversation: Conversation | str, *, at: datetime | None = None, late_s: float | None = None
    ) -> Conversation:
        """
        Open a closed conversation again (`CONVERSATION/REOPENED`).

        Raises:
            ValueError: The conversation is not closed, or its customer has another open one.
        """
        found = self._present_conversation(conversation)
        if found.is_open:
            raise ValueError(f"conversation {found.id} is not closed")
        who = self.customers[found.customer_id]
        if who.open_conversation_id is not None:
            raise ValueError(f"{who.id} has another open conversation; a customer has one at a time")
        when = self._moment(at)
        self._change(found, when, status="OPEN", closed_at=None)
        who.open_conversation_id = found.id
        self._record(
            "CONVERSATION/REOPENED",
            when,
            late_s,
            Initiator(who.id, "CUSTOMER"),
            conversation=found,
            before=found.now.assignee,
        )
        return found

    def _set_status(
        self, conversation: Conversation | str, status: Status, at: datetime | None
    ) -> Conversation:
        found = self._present_conversation(conversation)
        if not found.is_open:
            raise ValueError(f"conversation {found.id} is closed")
        self._change(found, self._moment(at), status=status)
        return found

    def _set_topics(
        self,
        found: Conversation,
        type: str,
        topic_ids: tuple[str, ...],
        topic_id: str,
        *,
        at: datetime | None,
        late_s: float | None,
    ) -> Conversation:
        when = self._moment(at)
        self._change(found, when, topic_ids=topic_ids)
        self._record(
            type,
            when,
            late_s,
            _agent_or_system(found),
            conversation=found,
            before=found.now.assignee,
            detail={"topicId": topic_id},
        )
        return found


def _id_of(thing: Agent | TeamInbox | str | None) -> str | None:
    return thing if thing is None or isinstance(thing, str) else thing.id


def _agent_or_system(conversation: Conversation) -> Initiator:
    return Initiator(conversation.agent_id, "AGENT") if conversation.agent_id else SYSTEM
