"""Show what would be sent, and send nothing: what a dry run does, on a copy of the state file."""

from collections.abc import Iterator
from datetime import datetime

from state.store import Store
from sync.errors import RetryableError
from sync.gladly.feed import ChangeFeed
from sync.pipeline.delivery import pending_events
from sync.pipeline.look_up.stage import LookUpStage
from sync.pipeline.poll import Poller
from sync.pipeline.record import RecordStage
from sync.segment.limits import SegmentLimits


class Preview:
    """
    Take changes in, and deliver nothing.

    Args:
        poller: Reads what happened since the watermark.
        feed: What happened at Gladly.
        record: Records changes.
        look_up: Looks up what was recorded.
        store: A state file that nobody needs afterwards.
        limits: How large an event may be.

    Both methods raise:
        GladlySegmentError: Gladly failed. What could be looked up has been yielded.
    """

    def __init__(
        self,
        poller: Poller,
        feed: ChangeFeed,
        record: RecordStage,
        look_up: LookUpStage,
        store: Store,
        limits: SegmentLimits,
    ) -> None:
        self._poller = poller
        self._feed = feed
        self._record = record
        self._look_up = look_up
        self._store = store
        self._limits = limits

    def of_a_cycle(self) -> Iterator[bytes]:
        """Yield the bytes of every event that the next cycle would deliver."""
        for _ in self._poller.run(NothingGoesOut()):
            pass
        yield from self._pending()

    def of_a_resync(self, since: datetime, until: datetime) -> Iterator[bytes]:
        """
        Yield the bytes of every event that would be delivered after a resync.

        Args:
            since: The beginning of the interval, inclusive.
            until: The end of the interval, inclusive.
        """
        for chunk in self._feed.between(since, until):
            self._record.record(chunk, NothingGoesOut(), resync=0)
        yield from self._pending()

    def _pending(self) -> Iterator[bytes]:
        self._look_up.run(NothingGoesOut())
        for event in pending_events(self._store):
            if self._limits.too_large(event.payload) is None:
                yield event.payload
        waiting, reason = self._store.recorded.waiting()
        if waiting:
            raise RetryableError(f"{waiting} events are not shown, since Gladly did not answer. {reason}")


class NothingGoesOut:
    """Stand in for a delivery (`Outgoing`)."""

    delivered = 0

    def expect(self, payload_bytes: int) -> None: ...

    def send_what_is_due(self) -> None: ...

    def wait(self) -> None: ...
