"""Pack events into batches, in order, within Segment's limits on the bytes before compression. Pure."""

from collections.abc import Iterable, Iterator

from state.records import PendingEvent
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
