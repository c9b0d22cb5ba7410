"""Read a past interval again, and send what was missed. The watermark stays where it is."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple

from state.store import Store
from sync.gladly.feed import ChangeFeed
from sync.pipeline.delivery import Deliverer
from sync.pipeline.ends import Ends
from sync.pipeline.look_up.stage import LookUpStage
from sync.pipeline.record import Figures, RecordStage
from sync.stop import Stop

# How long a resync looks events up, or reads, before another process has its turn.
TURN_S = 5.0


class Progress(NamedTuple):
    """
    Say how far a resync has come.

    Attributes:
        position: Every change recorded before this instant has been read.
        figures: What was new among the changes read.
        delivered: The events delivered so far.
    """

    position: datetime
    figures: Figures
    delivered: int


class Resync:
    """
    Read past intervals again.

    Args:
        ends: Both ends.
        feed: What happened at Gladly.
        record: Records changes.
        look_up: Looks up what was recorded.
        deliverer: Delivers the outbox.
        store: The state file, open for writing in the role of a resync.
        stop: Ends the wait for another process's turn.
    """

    def __init__(
        self,
        *,
        ends: Ends,
        feed: ChangeFeed,
        record: RecordStage,
        look_up: LookUpStage,
        deliverer: Deliverer,
        store: Store,
        stop: Stop,
    ) -> None:
        self._ends = ends
        self._feed = feed
        self._record = record
        self._look_up = look_up
        self._deliverer = deliverer
        self._store = store
        self._stop = stop

    def run(self, since: datetime, until: datetime) -> Iterator[Progress]:
        """
        Read the interval, and send what was missed. Yield how far it has come, after each chunk.

        An interrupted resync of the same interval is continued where it stopped. A running daemon takes its
        turns between two chunks.

        Args:
            since: The beginning, inclusive.
            until: The end, inclusive.

        Raises:
            GladlySegmentError: One end failed. What has been yielded is done.
            StateError: The state file could not be written. What has been yielded is done.
        """
        with self._turn():
            resync = self._store.resyncs.begin(since, until)
        progress = Progress(resync.position, Figures(), 0)
        for chunk in self._feed.between(resync.position, until):
            with self._turn(), self._deliverer.begin() as delivery:
                figures = self._record.record(chunk, delivery, resync=resync.id)
            progress = Progress(
                chunk.position or resync.position,
                progress.figures.plus(figures),
                progress.delivered + self._look_up_and_deliver(),
            )
            yield progress
        with self._turn(), self._deliverer.begin() as delivery:
            self._store.resyncs.finish(resync.id)
            delivery.finish()
        if self._ends.segment_health.error is not None:
            raise self._ends.segment_health.error
        yield progress._replace(position=until, delivered=progress.delivered + delivery.delivered)

    def send(self) -> int:
        """
        Look up and deliver what is recorded. Return how many events were delivered.

        Raises:
            GladlySegmentError: One end failed. The next cycle goes on.
            StateError: The state file could not be written.
        """
        delivered = self._look_up_and_deliver()
        with self._turn(), self._deliverer.begin() as delivery:
            delivery.finish()
        if self._ends.segment_health.error is not None:
            raise self._ends.segment_health.error
        return delivered + delivery.delivered

    def _look_up_and_deliver(self) -> int:
        """Look up what is recorded, a few seconds at a time. Return how many events were delivered."""
        delivered, is_done = 0, False
        while not is_done:
            with self._turn(), self._deliverer.begin() as delivery:
                is_done = self._look_up.run(delivery, seconds=TURN_S).is_done
            delivered += delivery.delivered
        return delivered

    def _turn(self) -> AbstractContextManager[None]:
        return self._store.turn(self._stop.sleep)
