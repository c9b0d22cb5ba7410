"""Packing events into batches, in order, within Segment's limits on the bytes as sent. Pure."""

from collections.abc import Iterable, Iterator

from state.records import PendingEvent
from sync.segment.limits import SegmentLimits

_HEAD, _BETWEEN, _TAIL = b'{"batch":[', b",", b"]}"


def pack(
    events: Iterable[PendingEvent], limits: SegmentLimits, *, whole_only: bool = False
) -> Iterator[list[PendingEvent]]:
    """
    Yield *events* in the same order, as many at once as the next batch takes.

    Args:
        events: Each within `SegmentLimits.event_max_bytes`.
        limits: How many bytes and events a batch takes.
        whole_only: Leave the last batch out when it would have taken more.
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
    Return the request's body for *batch*.

    The stored bytes are joined as they are, so that every attempt sends the same bytes (semantics 4.3).
    """
    return _HEAD + _BETWEEN.join(event.payload for event in batch) + _TAIL
