"""
What the running sync reports: one `CycleReport` when a cycle ends, and a `CycleObserver` that is told as it
goes.

Whoever reports and whoever listens both import this file, so neither has to know the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from state.records import PendingEvent, Poll
from sync.errors import GladlySegmentError


@dataclass(frozen=True)
class CycleReport:
    """
    Say how a cycle went.

    Attributes:
        poll: The cycle's figures, as they are written to `polls`.
        gladly_error: What went wrong at Gladly; None when nothing did.
        segment_error: What went wrong at Segment; None when nothing did.
        seconds: How long the cycle took.
    """

    poll: Poll
    gladly_error: GladlySegmentError | None
    segment_error: GladlySegmentError | None
    seconds: float

    @property
    def errors(self) -> list[GladlySegmentError]:
        """Return what went wrong, Gladly's error first."""
        return [error for error in (self.gladly_error, self.segment_error) if error]


class EndFigures(Protocol):
    """Tell, at any moment and from any thread, what the two ends have answered."""

    @property
    def answers(self) -> Mapping[str, Mapping[str, int]]:
        """Return the number of requests by end and status. The status is "none" when no answer came."""

    @property
    def holds(self) -> int:
        """Return how often Gladly's rate limit made the sync wait."""

    @property
    def errors(self) -> Mapping[str, GladlySegmentError | None]:
        """Return what is wrong at each end, as the last cycle found it."""


class CycleObserver:
    """
    Be told what a cycle does, in the cycle's own thread, once it is written to the state file.

    This class does nothing with what it is told. An observer overrides what it wants to hear.
    """

    def delivered(self, events: Sequence[PendingEvent]) -> None:
        """Hear that Segment acknowledged these events."""

    def rejected(self, event: PendingEvent) -> None:
        """Hear that Segment does not take this event."""

    def finished(self, report: CycleReport) -> None:
        """Hear that a cycle ended, with or without an error at one of the ends."""

    def broke(self) -> None:
        """Hear that a cycle ended in an error that came from neither end: the state file's, or our own."""
