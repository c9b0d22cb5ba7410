"""
Pack events into batches, in order, within Segment's limits on the bytes before compression.

Choose the events of a refused batch that are tried alone. No I/O.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from state.records import EventType, PendingEvent
from sync.segment.limits import SegmentLimits

_HEAD, _BETWEEN, _TAIL = b'{"batch":[', b",", b"]}"


def pack(
    events: Iterable[PendingEvent], limits: SegmentLimits, *, whole_only: bool = False
) -> Iterator[list[PendingEvent]]:
    """
    Yield batches of *events* in the same order. Each batch holds as many events as fit.

    Args:
        events: The events, each within `SegmentLimits.event_max_bytes`.
        limits: How many bytes and events a batch may hold.
        whole_only: Whether to leave out the last batch when further events could still fit into it.
    """
    most_events, most_bytes = limits.batch_max_events, limits.batch_max_bytes
    batch: list[PendingEvent] = []
    size = len(_HEAD) + len(_TAIL)
    for event in events:
        grown = size + len(event.payload) + len(_BETWEEN)
        if batch and (grown - len(_BETWEEN) > most_bytes or len(batch) == most_events):
            yield batch
            batch = []
            grown = len(_HEAD) + len(_TAIL) + len(event.payload) + len(_BETWEEN)
        batch.append(event)
        size = grown
    if batch and not whole_only:
        yield batch


def body_of(batch: Iterable[PendingEvent]) -> bytes:
    """
    Return the body of the request that sends *batch*.

    The stored bytes are joined as they are, so that every attempt sends the same bytes (semantics 4.3).
    """
    return _HEAD + _BETWEEN.join(event.payload for event in batch) + _TAIL


def probes_of(batch: Sequence[PendingEvent], count: int) -> list[PendingEvent]:
    """
    Return the events of a refused batch that are tried alone, to see whether events are at fault at all.

    They are the first two, in order, and others by chance. Each of the others is the first of its
    conversation in the batch, so that no conversation's events leave out of order. None is an identify call,
    which follows its track event. Chance finds a good event at some attempt, even where the first ones are
    all bad.

    Args:
        batch: The batch.
        count: How many events are returned at most.
    """
    first_of: dict[str, PendingEvent] = {}
    for event in batch:
        if (conversation := _conversation_of(event)) is not None:
            first_of.setdefault(conversation, event)
    leading = list(batch[: min(2, count)])
    others = [event for event in first_of.values() if event not in leading]
    chosen = random.SystemRandom().sample(others, min(count - len(leading), len(others)))
    return leading + sorted(chosen, key=lambda event: event.position)


class _Properties(msgspec.Struct, rename="camel"):
    conversation_id: str


class _Sent(msgspec.Struct):
    type: str = EventType.TRACK.value
    properties: _Properties | None = None


_decode = msgspec.json.Decoder(_Sent).decode


def _conversation_of(event: PendingEvent) -> str | None:
    """
    Return the id of a track event's conversation; the event's own where an older payload names none.

    Return None for an identify call.
    """
    try:
        sent = _decode(event.payload)
    except (ValueError, RecursionError):
        return event.message_id
    if sent.type == EventType.IDENTIFY:
        return None
    return sent.properties.conversation_id if sent.properties else event.message_id
