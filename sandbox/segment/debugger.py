"""An event as Segment's debugger shows it, with everything that Segment adds."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from sandbox.timekeeping.instants import event_time, floor_ms, parse_instant
from sandbox.world.records import Wire


@dataclass(frozen=True, slots=True)
class Incoming:
    """
    One event of a request.

    Attributes:
        raw: The event's bytes, exactly as sent.
        event: The event, decoded.
        envelope: What the batch says for all its events: `context`, `integrations`, `sentAt`.
    """

    raw: bytes
    event: Wire
    envelope: Wire


def as_shown(incoming: Incoming, message_id: str, at: datetime) -> Wire:
    """
    Return an event as Segment's debugger shows it.

    Args:
        incoming: The event as it arrived.
        message_id: Its messageId, sent or made.
        at: When it arrived, in world time.
    Source: Segment Spec, common fields: timestamp = receivedAt - (sentAt - originalTimestamp).
    """
    envelope = incoming.envelope
    event = msgspec.json.decode(incoming.raw)
    event["type"] = incoming.event["type"]
    context = {"library": {"name": "unknown", "version": "unknown"}}
    event["context"] = context | _object(envelope, "context") | _object(event, "context")
    event["integrations"] = _object(envelope, "integrations") | _object(event, "integrations")
    event["messageId"] = message_id
    if "sentAt" not in event and "sentAt" in envelope:
        event["sentAt"] = envelope["sentAt"]
    event.pop("writeKey", None)
    event["receivedAt"] = event_time(at)
    original, sent_at = event.get("timestamp"), event.get("sentAt")
    event["originalTimestamp"] = original if original is not None else event_time(at)
    happened = parse_instant(original) if isinstance(original, str) else None
    sent = parse_instant(sent_at) if isinstance(sent_at, str) else None
    if happened is None:
        event["timestamp"] = event_time(at)
    elif sent is not None:
        event["timestamp"] = event_time(floor_ms(at - (sent - happened)))
    return dict(event)


def _object(holder: Wire, key: str) -> Wire:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}
