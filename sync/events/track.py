"""
The event: a transition, its conversation, the customer's profile and the agent, as the track event that
Gladly's own Segment integration sends (semantics 1), and its `messageId` (semantics 4.2). Pure.
"""

import hashlib
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from state import Transition
from state.instants import from_text, to_text
from sync.events.gladly_objects import Email, GladlyConversation, Phone, Profile
from sync.events.options import AS_GLADLY, Shape

# The namespace of every messageId this program makes: fixed for ever, since a repeat is recognised by it.
NAMESPACE = uuid.UUID("6f2b6a55-6d52-5c0e-9d3f-4b9f1d1c7a10")

NAMES = {
    Transition.CREATED: "Gladly Conversation Created",
    Transition.CLOSED: "Gladly Conversation Closed",
    Transition.REOPENED: "Gladly Conversation Reopened",
}

# Segment HTTP Tracking API: an event is at most 32 KB of JSON. KB is taken as 1000 bytes, which is safe under
# either reading.
EVENT_MAX_BYTES = 32_000


def too_large(payload: bytes) -> str:
    """Why an event is rejected without being sent (semantics 4.4)."""
    return f"{len(payload)} bytes, and Segment takes at most {EVENT_MAX_BYTES} an event"


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Whose events these are, for `messageId`: the same transition sent to two workspaces has two.

    Attributes:
        write_key_fingerprint: See `fingerprint`; the key itself is in no id.
        gladly_host: The organization's host.
    """

    write_key_fingerprint: str
    gladly_host: str


def fingerprint(write_key: str) -> str:
    """What stands for a write key where the key must not: the beginning of its SHA-256."""
    return hashlib.sha256(write_key.encode()).hexdigest()[:16]


def message_id(origin: Origin, conversation_id: str, transition: Transition, recorded_at: datetime) -> str:
    """
    The same transition read twice, after a crash or into an empty store, has the same id (semantics 4.2).

    A conversation is created once, so of a creation the second it was recorded does not count.
    """
    parts = [origin.write_key_fingerprint, origin.gladly_host, conversation_id, transition.value]
    if transition is not Transition.CREATED:
        parts.append(to_text(recorded_at.replace(microsecond=0)))
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))


@dataclass(frozen=True, slots=True)
class Subject:
    """
    What is known of a transition's conversation when its event is made.

    Attributes:
        conversation: As Gladly has it now; None when it is gone although its customer is not (semantics 5.2).
        profile: Of the customer that remains after any merges.
        agent_id: The agent assigned now; of a conversation that is gone, the one before the change.
        agent_name: None where nobody knows.
        created_at: When the conversation was created, as far as known.
        closed_at: When the change was recorded: of a close, when the conversation was closed.
        topic_names: Of its topics, in their order, those that are known; empty where they are not wanted.
    """

    conversation_id: str
    conversation: GladlyConversation | None
    profile: Profile
    agent_id: str | None
    agent_name: str | None
    created_at: datetime
    closed_at: datetime
    topic_names: Collection[str] = ()


def track_event(transition: Transition, subject: Subject, message_id: str, shape: Shape = AS_GLADLY) -> bytes:
    """
    The exact bytes to send: one JSON object, UTF-8 (semantics 1, 4.3).

    What is unknown is left out, never null or empty; there is no `sentAt`, `context` or `integrations`.
    """
    stamp = (
        subject.closed_at
        if transition is Transition.CLOSED and shape.closed_timestamp == "closed"
        else subject.created_at
    )
    properties = _properties(transition, subject)
    if shape != AS_GLADLY:
        properties = _shaped(properties, transition, subject, shape)
    return encode(
        {
            "type": "track",
            "event": NAMES[transition],
            "userId": subject.profile.id,
            "timestamp": to_text(stamp),
            "messageId": message_id,
            "properties": properties,
        }
    )


def _properties(transition: Transition, subject: Subject) -> dict[str, Any]:
    profile, conversation = subject.profile, subject.conversation
    known = {
        "agentId": subject.agent_id,
        "agentName": subject.agent_name if subject.agent_id else None,
        "conversationId": subject.conversation_id,
        "customerName": profile.name,
        "email": email_of(profile.emails or []),
        "phone": phone_of(profile.phones or []),
    }
    properties: dict[str, Any] = {name: value for name, value in known.items() if value}
    attributes = profile.custom_attributes
    properties["customAttributes"] = attributes if isinstance(attributes, dict) else {}
    if transition is Transition.CLOSED:
        properties["status"] = "CLOSED"
        properties["topicIds"] = (conversation.topic_ids if conversation else None) or []
    else:
        is_waiting = conversation is not None and conversation.status == "WAITING"
        properties["status"] = "WAITING" if is_waiting else "OPEN"
    return properties


def _shaped(
    properties: dict[str, Any], transition: Transition, subject: Subject, shape: Shape
) -> dict[str, Any]:
    """With what a person wants more of, and less (semantics 1.3)."""
    conversation, is_closed = subject.conversation, transition is Transition.CLOSED
    more = {
        "createdAt": to_text(subject.created_at),
        "closedAt": to_text(subject.closed_at) if is_closed else None,
        "inboxId": conversation.inbox_id if conversation else None,
        "topicNames": list(subject.topic_names) if is_closed else None,
    }
    properties |= {name: more[name] for name in shape.add if more[name] not in (None, "")}
    for name in shape.hashed:
        if name in properties:
            properties[name] = hash_of(properties[name])
    return {name: value for name, value in properties.items() if name not in shape.leave_out}


def hash_of(value: str) -> str:
    """
    SHA-256, in hexadecimal, of *value* in lower case and without spaces around it: however somebody writes an
    address, its hash is the same.
    """
    return hashlib.sha256(value.strip().lower().encode("utf-8", "replace")).hexdigest()


def email_of(emails: list[Email]) -> str | None:
    """The primary e-mail, else the first: `normalized`, else `original`."""
    chosen = next((email for email in emails if email.primary), emails[0] if emails else None)
    return (chosen.normalized or chosen.original) if chosen else None


def phone_of(phones: list[Phone]) -> str | None:
    """
    The primary phone, else the first, in E.164: `normalized`, else derived from `original` and its region.

    Without a region, a number is E.164 or a US one (Gladly REST API, customer profile).
    """
    chosen = next((phone for phone in phones if phone.primary), phones[0] if phones else None)
    if chosen is None:
        return None
    if chosen.normalized or not chosen.original:
        return chosen.normalized or None
    import phonenumbers  # 0.05 s, and most numbers come normalized

    try:
        number = phonenumbers.parse(chosen.original, (chosen.region_code or "US").upper())
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


_encode = msgspec.json.Encoder().encode


def encode(event: dict[str, Any]) -> bytes:
    """JSON as sent. A lone surrogate, which is no character and has no UTF-8, becomes U+FFFD."""
    try:
        return _encode(event)
    except UnicodeEncodeError:
        return _encode(_without_surrogates(event))


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
        case list():
            return [_without_surrogates(item) for item in value]
    return value


def created_at_of(conversation: GladlyConversation | None, fallback: datetime) -> datetime:
    """The conversation's `createdAt`, else the next best instant known (semantics 5.2)."""
    if conversation is None or not conversation.created_at:
        return fallback
    try:
        return from_text(conversation.created_at)
    except ValueError:
        return fallback
