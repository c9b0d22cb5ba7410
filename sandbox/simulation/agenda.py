"""The steps that a simulation has planned, each at its own instant."""

import heapq
import itertools
from collections.abc import Callable
from datetime import datetime, timedelta

from sandbox.timekeeping.instants import floor_ms

Step = Callable[[datetime], None]
"""One thing that happens. It is called with the instant for which it was planned."""


class Agenda:
    """
    A list of planned steps, done in the order of their instants. Equal instants keep the order of planning.

    Args:
        tempo: Every waiting time is divided by the tempo.
    """

    def __init__(self, tempo: float) -> None:
        self.tempo = tempo
        self._planned: list[tuple[datetime, int, Step]] = []
        self._order = itertools.count()

    def plan(self, at: datetime, natural_s: float, step: Step, *, at_least_s: float = 0.0) -> None:
        """
        Plan *step* for some time after *at*.

        Args:
            at: The instant from which the waiting time counts.
            natural_s: The waiting time in world seconds at tempo 1.
            step: What happens then.
            at_least_s: The shortest waiting time in world seconds, whatever the tempo.
        """
        wait = timedelta(seconds=max(natural_s / self.tempo, at_least_s))
        heapq.heappush(self._planned, (floor_ms(at + wait), next(self._order), step))

    def hasten(self, now: datetime, tempo: float) -> None:
        """Go on at another tempo from *now* on. What is planned comes sooner, or later, in proportion."""
        ratio, self.tempo = self.tempo / tempo, tempo
        later = [(floor_ms(now + (at - now) * ratio), order, step) for at, order, step in self._planned]
        self._planned = later
        heapq.heapify(self._planned)

    def run(self, until: datetime) -> None:
        """Do every step planned up to *until*, included. Include steps that are planned meanwhile."""
        while self._planned and self._planned[0][0] <= until:
            at, _, step = heapq.heappop(self._planned)
            step(at)
