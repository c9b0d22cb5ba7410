"""What a cycle tells whoever watches it: a `Result` at its end, and a `Watcher` as it goes."""

from collections.abc import Sequence
from dataclasses import dataclass

from state import PendingEvent, Poll
from sync.errors import GladlySegmentError


@dataclass(frozen=True)
class Result:
    """How a cycle went: its figures, what went wrong at each end, and how long it took."""

    poll: Poll
    gladly_error: GladlySegmentError | None
    segment_error: GladlySegmentError | None
    seconds: float

    @property
    def errors(self) -> list[GladlySegmentError]:
        """What went wrong, the poll's first."""
        return [error for error in (self.gladly_error, self.segment_error) if error]


class Watcher:
    """Told what a cycle does, in the cycle's own thread, once it is written. This one makes nothing of it."""

    def delivered(self, events: Sequence[PendingEvent]) -> None:
        """Segment acknowledged these."""

    def rejected(self, event: PendingEvent) -> None:
        """Segment does not take this one."""

    def finished(self, result: Result) -> None:
        """A cycle ended, one way or another."""

    def broke(self) -> None:
        """A cycle ended in an error that is neither end's: the state file's, or our own."""
