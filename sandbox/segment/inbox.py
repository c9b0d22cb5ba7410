"""What reached the local Segment, de-duplicated and shown as Segment shows it."""

import base64
import itertools
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sandbox.timekeeping.clock import Clock
from sandbox.timekeeping.instants import event_time, floor_ms, parse_instant
from sandbox.world.records import Wire

# Segment docs, "Handling Duplicate Data": messageIds are remembered for about 24 hours.
REMEMBERED_FOR = timedelta(hours=24)
# Segment Spec: the six API calls.
KINDS = ("track", "identify", "page", "screen", "group", "alias")
# Segment docs, common fields: a messageId has fewer than 100 characters.
MESSAGE_ID_MAX_LENGTH = 99


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One event as it arrived in a request that was answered 200, duplicates included.

    Attributes:
        raw: Its bytes within the request, exactly as sent (of the body after gzip).
        message_id: The sent one, or the one made for it.
        at: When it came in, world time.
        outcome: `received`, `repeat`, or why it was dropped.
    """

    raw: bytes
    message_id: str
    at: datetime
    outcome: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """An event answered 200 and thrown away, as Segment does without a word."""

    event: Wire
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Incoming:
    """One event of a request: its bytes, what they say, and what its batch said for all of them."""

    raw: bytes
    event: Wire
    envelope: Wire


class Inbox:
    """
    The events the local Segment took, in the order they arrived. Thread-safe.

    Attributes:
        attempts: Every event that came, repeats and dropped ones included.
        repeats: How many times each messageId came again within 24 hours.
        dropped: What was answered 200 and thrown away, with reasons.
    """

    def __init__(self, clock: Clock, seed: int = 1) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._rng = random.Random(f"segment {seed}")  # noqa: S311  # message ids, not secrets
        self._kept: list[tuple[Incoming, str, datetime]] = []
        self._shown: list[Wire] = []
        self._seen_at: dict[str, datetime] = {}
        self.attempts: list[Attempt] = []
        self.repeats: Counter[str] = Counter()
        self.dropped: list[Dropped] = []

    @property
    def received(self) -> list[Wire]:
        """The events as Segment shows them, repeats taken out, in order of arrival; a copy of the list."""
        with self._lock:
            for incoming, message_id, at in itertools.islice(self._kept, len(self._shown), None):
                self._shown.append(_as_shown(incoming, message_id, at))
            return list(self._shown)

    def __len__(self) -> int:
        """How many events were received, repeats taken out."""
        return len(self._kept)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> bool:
        """Wait until *count* events were received; False where *timeout_s* real seconds were not enough."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while len(self._kept) < count:
                if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                    return len(self._kept) >= count
        return True

    def clear(self) -> None:
        """Forget everything, remembered messageIds included."""
        with self._lock:
            for kept in (self._kept, self._shown, self._seen_at, self.attempts, self.repeats, self.dropped):
                kept.clear()

    def take(self, events: list[Incoming], *, silently_refused: str | None = None) -> None:
        """Take the events of one request; with *silently_refused*, drop them all for that reason."""
        at = floor_ms(self._clock.now())
        with self._arrived:
            for incoming in events:
                self._take_one(incoming, at, silently_refused)
            self._arrived.notify_all()

    def _take_one(self, incoming: Incoming, at: datetime, refused: str | None) -> None:
        sent_id = incoming.event.get("messageId")
        message_id = sent_id if isinstance(sent_id, str) and sent_id else self._new_id()
        reason = refused or _why_dropped(incoming.event)
        if reason is not None:
            self.dropped.append(Dropped(incoming.event, reason, at))
        else:
            seen_at = self._seen_at.get(message_id)
            if seen_at is not None and at - seen_at < REMEMBERED_FOR:
                self.repeats[message_id] += 1
                reason = "repeat"
            else:
                self._seen_at[message_id] = at
                self._kept.append((incoming, message_id, at))
        self.attempts.append(Attempt(incoming.raw, message_id, at, reason or "received"))

    def _new_id(self) -> str:
        return "api-" + base64.urlsafe_b64encode(self._rng.randbytes(20)).rstrip(b"=").decode()


def _why_dropped(event: Wire) -> str | None:
    """Return why Segment would throw this event away after answering 200; None where it would not."""
    kind = event.get("type")
    if kind not in KINDS:
        return f"unknown type {kind!r}"
    if not any(_is_text(event.get(key)) for key in ("userId", "anonymousId")):
        return "neither userId nor anonymousId"
    if kind == "track" and not _is_text(event.get("event")):
        return "a track event without an event name"
    message_id = event.get("messageId")
    if isinstance(message_id, str) and len(message_id) > MESSAGE_ID_MAX_LENGTH:
        return "messageId has 100 characters or more"
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _as_shown(incoming: Incoming, message_id: str, at: datetime) -> Wire:
    """
    Return an event as Segment's debugger shows it.

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
