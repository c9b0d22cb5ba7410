"""Events put into the outbox directly, as an earlier cycle may have left them."""

from datetime import datetime, timedelta
from typing import Any

from state.records import Event, EventStatus, TakenIn, Transition
from state.store import Store
from sync.events.track import NAMES, encode


def pending(n: int, payload: bytes, at: datetime) -> Event:
    """Return an event as an earlier release may have left it in the outbox."""
    return Event(
        message_id=f"message-{n}",
        conversation_id=f"conversation-{n}",
        customer_id=f"customer-{n}",
        transition=Transition.CREATED,
        event=NAMES[Transition.CREATED],
        occurred_at=at + timedelta(milliseconds=n),
        status=EventStatus.PENDING,
        payload=payload,
    )


def payload_of(n: int, size: int | None = None) -> bytes:
    """Return a small track event, or one of exactly *size* bytes."""
    event: dict[str, Any] = {
        "type": "track",
        "event": NAMES[Transition.CREATED],
        "userId": f"customer-{n}",
        "timestamp": "2026-11-02T12:00:00.000Z",
        "messageId": f"message-{n}",
        "properties": {"conversationId": f"conversation-{n}"},
    }
    payload = encode(event)
    if size is None:
        return payload
    event["properties"]["x"] = "x" * (size - len(payload) - len(',"x":""'))
    payload = encode(event)
    assert len(payload) == size
    return payload


def fill_outbox(store: Store, payloads: list[bytes], at: datetime) -> None:
    """Put events into the outbox, as recording a chunk does."""
    store.commit(TakenIn(events=[pending(n, payload, at) for n, payload in enumerate(payloads)]))
