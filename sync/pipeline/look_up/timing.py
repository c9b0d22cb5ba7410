"""How much a step of look-ups takes, and when a look-up that failed is made again (semantics 2.5)."""

import math
from datetime import datetime, timedelta
from typing import NamedTuple

from state.records import RecordedEvent


class LookUpTiming(NamedTuple):
    """
    Say how much a step takes, and when a look-up that failed is made again.

    Attributes:
        step_events: How many events are looked up and written together, at most.
        step_s: A step takes about so many seconds, at most, at the pace that is kept.
        events_per_second: How many events a second can be looked up at that pace; None for any number.
        again_s: The waits after the first, second, … failed attempt of an event, in seconds. The first ones
            pass within a cycle.
        longest_wait_s: The wait after all further attempts.
        attempts_a_day: How many attempts an event has in its first day.
        slow_again_s: The least wait after an attempt that took long to fail.
        not_found_again_s: A 404 that nothing else explains is believed when it is answered again so many
            seconds later.
        waits_for_late_changes: Whether a close waits until all changes before it are visible, where the
            conversation has changed since.
        linger_s: A cycle waits so long for the next attempt, when nothing else is due.
        alone_after: An event that lacks only its conversation, or a name, is sent without it after this time
            (semantics 2.5, 5.2).
    """

    step_events: int = 300
    step_s: float = 6.0
    events_per_second: float | None = None
    again_s: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 30.0, 60.0, 60.0, 300.0, 900.0, 1_800.0)
    longest_wait_s: float = 3_600.0
    attempts_a_day: int = 24
    slow_again_s: float = 30.0
    not_found_again_s: float = 60.0
    waits_for_late_changes: bool = True
    linger_s: float = 5.0
    alone_after: timedelta = timedelta(days=1)

    def at_pace(self, requests_per_second: float) -> "LookUpTiming":
        """Return these numbers with steps that fit the pace: an event needs two requests at most."""
        return self._replace(events_per_second=requests_per_second / 2)

    def events_in(self, seconds: float | None, per_second: float | None = None) -> int:
        """
        Return how many events a step takes.

        Args:
            seconds: How many seconds are left for it; None for any number.
            per_second: How many events a second the last step came to, where another integration may need
                Gladly's requests; None before the first step.
        """
        if self.events_per_second is None:
            return self.step_events
        rate = min(self.events_per_second, per_second or self.events_per_second)
        step_s = self.step_s if seconds is None else min(seconds, self.step_s)
        return min(self.step_events, max(5, math.ceil(step_s * rate)))

    def next_attempt(self, event: RecordedEvent, now: datetime, *, was_slow: bool = False) -> datetime:
        """
        Return when an event whose look-up has just failed is looked up again.

        Args:
            event: The event.
            now: The instant from which the wait counts.
            was_slow: Whether the look-up took long to fail. It is then not made again in the same cycle.
        """
        a_day_old = event.recorded_at + timedelta(days=1)
        if event.attempts + 1 >= self.attempts_a_day and now < a_day_old:
            return a_day_old
        waits = self.again_s
        wait_s = waits[event.attempts] if event.attempts < len(waits) else self.longest_wait_s
        return now + timedelta(seconds=max(wait_s, self.slow_again_s) if was_slow else wait_s)

    def was_held_back(self, event: RecordedEvent) -> bool:
        """Return whether the wait after the last attempt was longer than a cycle lingers."""
        last = event.attempts - 1
        return last >= len(self.again_s) or (last >= 0 and self.again_s[last] > self.linger_s)
