"""
Make what is sent for a transition (semantics 1).

The track event is as Gladly's own Segment integration sends it. An identify call may follow it.

An event is made from the transition, its conversation, the customer's profile and the agent. Everything here
is pure: no I/O and no clock.
"""

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from state.instants import from_text, to_text
from state.records import Transition
from sync.events.at_the_change import Traits
from sync.events.gladly_objects import Email, GladlyConversation, Phone, Profile
from sync.events.options import AS_GLADLY, USER_IDS, EventOptions, hash_name

_Entry = TypeVar("_Entry", Email, Phone)

NAMES = {
    Transition.CREATED: "Gladly Conversation Created",
    Transition.CLOSED: "Gladly Conversation Closed",
    Transition.REOPENED: "Gladly Conversation Reopened",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """
    Hold what is known about a transition's conversation when its event is made.

    Attributes:
        conversation_id: Gladly's id of the conversation.
        conversation: The conversation as Gladly shows it now. It is None when the conversation is gone and
            its customer still exists (semantics 5.2).
        profile: The profile of the customer who remains after all merges.
        agent_id: The agent: in a closed event that of the close, else the one assigned now (semantics 2.6).
        agent_name: The agent's name; None when Gladly does not know it.
        created_at: When the conversation was created, as far as this is known.
        closed_at: When Gladly recorded the change. For a close, this is when the conversation was closed.
        topic_ids: Its topics. A closed event holds them (semantics 2.6).
        topic_names: The known names of its topics, in their order; empty when the settings do not add them.
    """

    conversation_id: str
    conversation: GladlyConversation | None
    profile: Profile
    agent_id: str | None
    agent_name: str | None
    created_at: datetime
    closed_at: datetime
    topic_ids: Sequence[str] = ()
    topic_names: Collection[str] = ()


def track_event(
    transition: Transition, subject: Subject, message_id: str, options: EventOptions = AS_GLADLY
) -> bytes:
    """
    Return the exact bytes to send: one JSON object in UTF-8 (semantics 1, 4.3).

    A property whose value is unknown is left out. It is never null and never empty. The event has no
    `sentAt`, no `context` and no `integrations`.

    Args:
        transition: What happened to the conversation.
        subject: What is known about the conversation.
        message_id: The event's id (`sync.events.message_id`).
        options: How the event differs from that of Gladly's integration.
    """
    stamp = (
        subject.closed_at
        if transition is Transition.CLOSED and options.closed_timestamp == "closed"
        else subject.created_at
    )
    properties = _properties(transition, subject)
    if options != AS_GLADLY:
        properties = _as_asked_for(properties, transition, subject, options)
    return encode(
        {
            "type": "track",
            "event": NAMES[transition],
            "userId": user_id_of(subject.profile, options),
            "timestamp": to_text(stamp),
            "messageId": message_id,
            "properties": properties,
        }
    )


def identify_call(
    profile: Profile, traits: Traits, at: datetime, message_id: str, options: EventOptions
) -> bytes:
    """
    Return the exact bytes of an identify call: one JSON object in UTF-8 (semantics 1.4).

    A trait whose value is unknown is left out.

    Args:
        profile: The profile of the customer who remains after all merges.
        traits: What is true of the customer.
        at: When Gladly recorded the change after which it is true. So an older call does not overwrite what a
            newer one means.
        message_id: The call's id (`sync.events.message_id`).
        options: Which id the customer has.
    """
    known = {
        "has_open_gladly_conversation": traits.has_open,
        "gladly_conversation_opened_ts": traits.opened_at and to_text(traits.opened_at),
        "gladly_conversation_closed_ts": traits.closed_at and to_text(traits.closed_at),
    }
    return encode(
        {
            "type": "identify",
            "userId": user_id_of(profile, options),
            "timestamp": to_text(at),
            "messageId": message_id,
            "traits": {name: value for name, value in known.items() if value is not None},
        }
    )


def user_id_of(profile: Profile, options: EventOptions) -> str:
    """Return the customer's `userId`: Gladly's id, or the first external id where it is asked for (1.5)."""
    if options.user_id == USER_IDS[0]:
        return profile.id
    return external_id_of(profile) or profile.id


def external_id_of(profile: Profile) -> str | None:
    """Return the first id that the customer has in another system. Return None when there is none."""
    ids = [*(profile.external_customer_ids or []), profile.external_customer_id]
    return next(filter(None, map(_known, ids)), None)


def _properties(transition: Transition, subject: Subject) -> dict[str, Any]:
    profile, conversation = subject.profile, subject.conversation
    known = {
        "agentId": subject.agent_id,
        "agentName": _known(subject.agent_name) if subject.agent_id else None,
        "conversationId": subject.conversation_id,
        "customerName": _known(profile.name),
        "email": email_of(profile.emails or []),
        "phone": phone_of(profile.phones or []),
    }
    properties: dict[str, Any] = {name: value for name, value in known.items() if value}
    attributes = profile.custom_attributes
    properties["customAttributes"] = attributes if isinstance(attributes, dict) else {}
    if transition is Transition.CLOSED:
        properties["status"] = "CLOSED"
        properties["topicIds"] = list(subject.topic_ids)
    else:
        is_waiting = conversation is not None and conversation.status == "WAITING"
        properties["status"] = "WAITING" if is_waiting else "OPEN"
    return properties


def _as_asked_for(
    properties: dict[str, Any], transition: Transition, subject: Subject, options: EventOptions
) -> dict[str, Any]:
    """Return the properties with those added, hashed and left out that the options name (semantics 1.3)."""
    conversation, is_closed = subject.conversation, transition is Transition.CLOSED
    addable = {
        "createdAt": to_text(subject.created_at),
        "closedAt": to_text(subject.closed_at) if is_closed else None,
        "inboxId": conversation.inbox_id if conversation else None,
        "topicNames": list(subject.topic_names) if is_closed else None,
        "externalCustomerId": external_id_of(subject.profile),
    }
    added = {name: addable[name] for name in options.add if addable[name] not in (None, "")}
    sent = {name: value for name, value in (properties | added).items() if name not in options.leave_out}
    return dict(
        (hash_name(name), hash_of(value)) if name in options.hashed else (name, value)
        for name, value in sent.items()
    )


def hash_of(value: str) -> str:
    """
    Return the SHA-256 of *value* in hexadecimal.

    *value* is hashed in lower case and without spaces around it, so that all spellings of an address have
    the same hash.
    """
    return hashlib.sha256(value.strip().lower().encode("utf-8", "replace")).hexdigest()


def email_of(emails: list[Email]) -> str | None:
    """
    Return the primary e-mail address, or else the first one. Return None when there is no address.

    The result is the address's `normalized` form, or else its `original` form. An entry without any address
    is passed over.
    """
    return next(filter(None, (_known(e.normalized) or _known(e.original) for e in _by_rank(emails))), None)


def phone_of(phones: list[Phone]) -> str | None:
    """
    Return the primary phone number, or else the first one, in E.164. Return None when there is no number to
    send.

    The result is the `normalized` number, or else it is made from `original` and its region. A number without
    a region is E.164 or a US number (gladly-api, customer profile).

    An entry without a whole number is passed over: one that can be dialled only locally reaches somebody else
    elsewhere, and zeros reach nobody.
    """
    numbers = (
        _in_e164(written, phone.region_code)
        for phone in _by_rank(phones)
        for written in (phone.normalized, phone.original)
    )
    return next(filter(None, numbers), None)


# Whole numbers in E.164 as nearly all are: of North America, or of ten digits and more elsewhere. A number
# that ends in many zeros is looked at more closely.
_PLAINLY_WHOLE = re.compile(r"\+(?:1[2-9][0-9]{9}|[2-9][0-9]{9,14})(?<!000000)")


def _in_e164(written: str | None, region_code: str | None) -> str | None:
    """
    Return a phone number in E.164; None when *written* is no whole number.

    Args:
        written: The number as somebody has written it.
        region_code: The region whose local numbers *written* may be one of. None means the US.
    """
    known = _known(written)
    if known is None or _PLAINLY_WHOLE.fullmatch(known):
        return known
    import phonenumbers  # the import takes 0.05 s, and most numbers come normalized

    try:
        number = phonenumbers.parse(known, (region_code or "US").upper())
    except phonenumbers.NumberParseException:
        return None
    is_possible = phonenumbers.is_possible_number_with_reason(number)
    if is_possible != phonenumbers.ValidationResult.IS_POSSIBLE or not number.national_number:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _by_rank(entries: list[_Entry]) -> list[_Entry]:
    """Return the entries of a profile's list, the primary ones first."""
    return sorted(entries, key=lambda entry: not entry.primary)


def _known(text: str | None) -> str | None:
    """Return *text*, or None when nothing of it can be seen."""
    if text is None or not any(c.isprintable() and not c.isspace() for c in text):
        return None
    return text


_encode = msgspec.json.Encoder().encode


def encode(event: dict[str, Any]) -> bytes:
    """Return *event* as JSON in UTF-8. A lone surrogate has no UTF-8 form, so it becomes U+FFFD."""
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
    """Return the conversation's `createdAt`. Return *fallback* when it is not known (semantics 5.2)."""
    if conversation is None or not conversation.created_at:
        return fallback
    try:
        return from_text(conversation.created_at)
    except ValueError:
        return fallback
