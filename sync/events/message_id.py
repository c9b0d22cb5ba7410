"""
Make the `messageId` of an event (semantics 4.2).

Segment recognises a repeated event by its `messageId`, and drops it. So a transition has one id for ever,
however often and from whichever source it is read. Sent to two workspaces, the same transition has two ids.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime

from state.instants import to_text
from state.records import EventType, Transition

# The namespace of every messageId that this program makes. Another namespace would make other ids, and
# Segment would no longer recognise a repeat: never change it.
NAMESPACE = uuid.UUID("6f2b6a55-6d52-5c0e-9d3f-4b9f1d1c7a10")


@dataclass(frozen=True, slots=True)
class Origin:
    """
    Hold where an event comes from and where it goes.

    Attributes:
        write_key_fingerprint: The `fingerprint` of Segment's write key. No id is made from the key itself.
        gladly_host: The host of the organization at Gladly.
    """

    write_key_fingerprint: str
    gladly_host: str


def fingerprint(write_key: str) -> str:
    """Return the first 16 hexadecimal digits of the key's SHA-256, for places that must not hold the key."""
    return hashlib.sha256(write_key.encode()).hexdigest()[:16]


def message_id(
    origin: Origin,
    conversation_id: str,
    transition: Transition,
    recorded_at: datetime,
    type_: EventType = EventType.TRACK,
) -> str:
    """
    Return the id of a transition's track event, or of its identify call: a UUID of version 5.

    Args:
        origin: The organization and the Segment source.
        conversation_id: Gladly's id of the conversation.
        transition: What happened to the conversation.
        recorded_at: When Gladly recorded it. Only whole seconds count, because the report may cut fractions.
            A creation's id ignores it, because a conversation is created once.
        type_: Which of the two it is. The word `identify` stands before the transition in an identify call's
            id, so that every transition has an id of its own for each.
    """
    kinds = [transition.value] if type_ is EventType.TRACK else [type_.value, transition.value]
    parts = [origin.write_key_fingerprint, origin.gladly_host, conversation_id, *kinds]
    if transition is not Transition.CREATED:
        parts.append(to_text(recorded_at.replace(microsecond=0)))
    return str(uuid.uuid5(NAMESPACE, "\n".join(parts)))
