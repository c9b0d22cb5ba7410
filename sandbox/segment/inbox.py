"""What reached the local Segment: every event, and which were kept, repeated or dropped."""

import base64
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from sandbox.segment.debugger import Incoming, as_shown
from sandbox.timekeeping.clock import Clock
from sandbox.timekeeping.instants import floor_ms
from sandbox.world.records import Wire

# Segment docs, "Handling Duplicate Data": Segment remembers a messageId for about 24 hours.
REMEMBERED_FOR = timedelta(hours=24)
# Segment Spec: the six API calls.
KINDS = ("track", "identify", "page", "screen", "group", "alias")
# Segment docs, common fields: a messageId has fewer than 100 characters.
MESSAGE_ID_MAX_LENGTH = 99


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    One event that arrived in a request that was answered 200.

    Attributes:
        raw: The event's bytes within the request's body, exactly as sent, after unpacking gzip.
        message_id: The messageId that was sent, or the one that Segment made.
        at: When the event arrived, in world time.
        outcome: `received`, `repeat`, or why the event was dropped.
        type: The event's type as it was sent.
        event: The event's name as it was sent; None where it has none.
    """

    raw: bytes
    message_id: str
    at: datetime
    outcome: str
    type: Any = None
    event: Any = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """
    An event that was answered 200 and then dropped, as Segment does without saying so.

    Attributes:
        event: The event as it was sent.
        reason: Why it was dropped.
        at: When it arrived, in world time.
    """

    event: Wire
    reason: str
    at: datetime


class Inbox:
    """
    The events that the local Segment received, in the order of their arrival. Thread-safe.

    Args:
        clock: The world's time.
        seed: Decides the messageIds that Segment makes.

    Attributes:
        attempts: Every event that arrived, repeats and dropped ones included.
        repeats: How many times each messageId arrived again within 24 hours.
        dropped: The events that were answered 200 and dropped, with the reasons.
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
        """The events as Segment shows them, without repeats, in order of arrival; a copy of the list."""
        with self._lock:
            for incoming, message_id, at in itertools.islice(self._kept, len(self._shown), None):
                self._shown.append(as_shown(incoming, message_id, at))
            return list(self._shown)

    def __len__(self) -> int:
        """Return how many events were received, without repeats."""
        return len(self._kept)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> bool:
        """Wait for *count* received events, at most *timeout_s* real seconds; return whether they came."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while len(self._kept) < count:
                if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                    return len(self._kept) >= count
        return True

    def take(
        self,
        events: list[Incoming],
        *,
        silently_refused: str | None = None,
        blocked: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """
        Receive the events of one request.

        Args:
            events: The events, in the order of the request.
            silently_refused: A reason to drop them all; None receives them.
            blocked: The names of events that a tracking plan blocks, each with the reason.
        """
        at = floor_ms(self._clock.now())
        with self._arrived:
            for incoming in events:
                self._take_one(incoming, at, silently_refused, blocked)
            self._arrived.notify_all()

    def _take_one(
        self, incoming: Incoming, at: datetime, refused: str | None, blocked: Mapping[str, str]
    ) -> None:
        sent_id = incoming.event.get("messageId")
        message_id = sent_id if isinstance(sent_id, str) and sent_id else self._new_id()
        event, name = incoming.event, incoming.event.get("event")
        reason = refused or _why_dropped(event) or (blocked.get(name) if isinstance(name, str) else None)
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
        outcome = reason or "received"
        self.attempts.append(Attempt(incoming.raw, message_id, at, outcome, event.get("type"), name))

    def _new_id(self) -> str:
        return "api-" + base64.urlsafe_b64encode(self._rng.randbytes(20)).rstrip(b"=").decode()


def _why_dropped(event: Wire) -> str | None:
    """Return why Segment drops this event after answering 200, or None when it does not."""
    kind = event.get("type")
    if kind not in KINDS:
        return f"unknown type {kind!r}"
    if not any(_is_nonempty_text(event.get(key)) for key in ("userId", "anonymousId")):
        return "neither userId nor anonymousId"
    if kind == "track" and not _is_nonempty_text(event.get("event")):
        return "a track event without an event name"
    message_id = event.get("messageId")
    if isinstance(message_id, str) and len(message_id) > MESSAGE_ID_MAX_LENGTH:
        return "messageId has 100 characters or more"
    return None


def _is_nonempty_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
