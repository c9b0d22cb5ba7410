"""A conversation of which everything is known, and its events."""

import json
from datetime import UTC, datetime
from typing import Any

from state.records import Transition
from sync.events.gladly_objects import Email, GladlyConversation, Phone, Profile
from sync.events.options import EventOptions
from sync.events.track import Subject, track_event

CREATED_AT = datetime(2022, 7, 8, 18, 46, 37, 946_000, tzinfo=UTC)
CLOSED_AT = datetime(2022, 7, 9, 10, 0, 0, 5_999, tzinfo=UTC)
PROFILE = Profile(
    id="OOrlNMXeS72gs_WEX2TtMg",
    name="Zoë Quinn",
    emails=[Email(normalized="zoe@example.com", original="Zoe@Example.com")],
    phones=[Phone(normalized="+12125550123")],
    custom_attributes={"membershipTier": "gold", "nested": {"visits": 3}},
)
CONVERSATION = GladlyConversation(
    id="8ANcgJIeTAmVsbQXPGN9Xg",
    customer_id=PROFILE.id,
    status="WAITING",
    created_at="2022-07-08T18:46:37.946Z",
    agent_id="agent-1",
    topic_ids=["topic-2", "topic-1"],
)
SUBJECT = Subject(
    conversation_id=CONVERSATION.id,
    conversation=CONVERSATION,
    profile=PROFILE,
    agent_id="agent-1",
    agent_name="Sam Doe",
    created_at=CREATED_AT,
    closed_at=CLOSED_AT,
    topic_ids=["topic-2", "topic-1"],
)


def event(transition: Transition, subject: Subject = SUBJECT, **options: Any) -> dict[str, Any]:
    """Return the event of this transition, with options by the names of `EventOptions`."""
    return json.loads(track_event(transition, subject, "message-1", EventOptions(**options)))
