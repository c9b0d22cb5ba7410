"""Packing events into batches, in order, within Segment's limits on the bytes as sent. Pure."""

from collections.abc import Iterable, Iterator

from state.records import PendingEvent

# Segment HTTP Tracking API, batch: 500 KB a request and 2,500 events. Over the count it answers 200 and drops
# the events silently, so it is counted here. KB is taken as 1000 bytes, which is safe under either reading.
BATCH_MAX_BYTES = 500_000
BATCH_MAX_EVENTS = 2_500

_HEAD, _BETWEEN, _TAIL = b'{"batch":[', b",", b"]}"


def pack(events: Iterable[PendingEvent], *, whole_only: bool = False) -> Iterator[list[PendingEvent]]:
    """
    Yield *events* in the same order, as many at once as the next batch takes.

    Args:
        whole_only: Leave the last out, which would have taken more.
    """
    batch: list[PendingEvent] = []
    size = len(_HEAD) + len(_TAIL)
    for event in events:
        grown = size + len(event.payload) + len(_BETWEEN)
        if batch and (grown - len(_BETWEEN) > BATCH_MAX_BYTES or len(batch) == BATCH_MAX_EVENTS):
            yield batch
            batch = []
            grown = len(_HEAD) + len(_TAIL) + len(event.payload) + len(_BETWEEN)
        batch.append(event)
        size = grown
    if batch and not whole_only:
        yield batch


def body_of(batch: Iterable[PendingEvent]) -> bytes:
    """The request's body: the stored bytes joined, so that every attempt sends the same (semantics 4.3)."""
    return _HEAD + _BETWEEN.join(event.payload for event in batch) + _TAIL
