"""
Define what the running sync reports: one `CycleReport` when a cycle ends, and calls to a `CycleObserver`
while the cycle runs.

The reporting rooms and the listening rooms both import this file, so that neither imports the other.
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
        gladly_error: What went wrong at Gladly; None when nothing went wrong there.
        segment_error: What went wrong at Segment; None when nothing went wrong there.
        own_errors: The parts of the cycle that failed in a way that nobody expected.
        seconds: How many seconds the cycle took.
    """

    poll: Poll
    gladly_error: GladlySegmentError | None
    segment_error: GladlySegmentError | None
    seconds: float
    own_errors: Sequence[GladlySegmentError] = ()

    @property
    def errors(self) -> list[GladlySegmentError]:
        """Return the errors of both ends, Gladly's first."""
        return [error for error in (self.gladly_error, self.segment_error, *self.own_errors) if error]


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
        """Return the last cycle's error at each end; None for an end without one."""


class CycleObserver:
    """
    Observe cycles. The methods are called in the cycle's own thread, once the state file holds what they
    tell.

    The methods of this class do nothing. An observer overrides the methods that it needs.
    """

    def delivered(self, events: Sequence[PendingEvent]) -> None:
        """React to events that Segment has acknowledged."""

    def rejected(self, event: PendingEvent) -> None:
        """React to an event that will not be sent again: Segment rejected it, or it is too large."""

    def finished(self, report: CycleReport) -> None:
        """React to the end of a cycle, with or without an error at one of the ends."""

    def broke(self) -> None:
        """React to a cycle that failed by an error of the state file or of this program."""

    def job_failed(self, job: str) -> None:
        """React to a reconciliation or an audit (`reconcile`, `audit`) that failed. It is not a cycle."""
