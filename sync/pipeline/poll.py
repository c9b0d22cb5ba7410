"""Poll: read what Gladly recorded since the watermark, and take it in, chunk by chunk (semantics 3)."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

import structlog

from state.instants import parse_instant, to_text
from state.store import Store
from sync.gladly.client import GladlyClient
from sync.gladly.feed import ChangeFeed
from sync.pipeline.delivery import Outgoing
from sync.pipeline.record import Figures, RecordStage, SeenChanges

log = structlog.get_logger()


class Step(NamedTuple):
    """
    Say what a poll has just done.

    Attributes:
        window_start: Where the poll began to read.
        window_end: How far it has read; None before the first answer.
        figures: What the last chunk came to.
    """

    window_start: datetime
    window_end: datetime | None
    figures: Figures


class Poller:
    """
    Poll Gladly, again and again.

    Args:
        gladly: Gladly's client, for its clock.
        feed: What happened at Gladly.
        record: Records changes.
        store: The state file.
        start: Where the very first poll begins: `now`, or an INSTANT (semantics 3.6).
        at_its_end: Called when the feed has been read to its end.
        progress_every_s: A long poll logs how far it has come this often.

    Attributes:
        chunks: How many chunks have been taken in.
        unwritten_position: A watermark that is not yet in the state file, because nothing else had to be
            written with it; None when the state file has the newest one.
    """

    def __init__(
        self,
        *,
        gladly: GladlyClient,
        feed: ChangeFeed,
        record: RecordStage,
        store: Store,
        start: str,
        at_its_end: Callable[[], None] = lambda: None,
        progress_every_s: float = 10.0,
    ) -> None:
        self.chunks = 0
        self.unwritten_position: datetime | None = None
        self._gladly = gladly
        self._feed = feed
        self._record = record
        self._store = store
        self._start = start
        self._at_its_end = at_its_end
        self._progress_every_s = progress_every_s

    def run(self, outgoing: Outgoing) -> Iterator["Step"]:
        """
        Read every change since the watermark, and take it in. Yield once at the beginning and after each
        chunk.

        Args:
            outgoing: The delivery that goes on meanwhile.

        Raises:
            GladlySegmentError: Gladly failed. What was taken in stays.
            StateError: The state file could not be written. What was taken in stays.
            StoppedError: A stop was asked for. What was taken in stays.
        """
        position = self.unwritten_position or self._store.watermark()
        if position is None:
            position = self.unwritten_position = self._beginning()
            self._store.organization.begin_at(position)
        step = Step(position, None, Figures())
        yield step
        seen = SeenChanges(self._store.seen_changes())
        so_far, is_gap = Figures(), False
        progress_due = time.monotonic() + self._progress_every_s
        for chunk in self._feed.since(position):
            if chunk.is_from_report and not is_gap:
                # The report does not show who was deleted in this gap (semantics 3.5).
                is_gap = True
                self._store.recorded.look_up_again()
            figures = self._record.record(chunk, outgoing, seen=seen)
            so_far = so_far.plus(figures)
            self.chunks += 1
            outgoing.send_what_is_due()
            # When nothing was new, the watermark waits for the cycle's one last write.
            self.unwritten_position = None if figures.is_new else chunk.position
            if chunk.position is not None and time.monotonic() >= progress_due:
                progress_due = time.monotonic() + self._progress_every_s
                log.info(
                    "cycle.progress",
                    watermark=to_text(chunk.position),
                    changes=so_far.changes,
                    created=so_far.created,
                    closed=so_far.closed,
                    delivered=outgoing.delivered,
                )
            step = Step(position, chunk.read_until or chunk.position, figures)
            del chunk  # not held while the next chunk is read, so that memory stays flat (semantics 3.4)
            yield step
        self._at_its_end()

    def position_written(self) -> None:
        """Note that the state file has the newest watermark."""
        self.unwritten_position = None

    def _beginning(self) -> datetime:
        """
        Return where the very first poll begins (semantics 3.6), by Gladly's clock, since ours may be wrong.
        """
        now = self._gladly.beginning()
        return now if self._start == "now" else min(now, parse_instant(self._start, now))
