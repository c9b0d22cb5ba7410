"""
Look up: ask Gladly for what recorded events need, and make the events to send of it (semantics 2.4 to 2.6).

What a step of look-ups got is written in one transaction. One object that does not answer well holds back its
own events. All others go on.
"""

import time
from typing import NamedTuple

import structlog

from state.instants import utc_now
from state.records import (
    EventStatus,
    RecordedEvent,
)
from state.store import Store
from sync.events.options import EventOptions
from sync.gladly.objects.lookups import Lookups
from sync.pipeline.delivery import Outgoing
from sync.pipeline.look_up.step import LookUpStep
from sync.pipeline.look_up.timing import LookUpTiming
from sync.segment.limits import SegmentLimits
from sync.stop import Stop

log = structlog.get_logger()


class LookUpFigures(NamedTuple):
    """
    Count what a pass of look-ups came to.

    Attributes:
        looked_up: The events that are ready now, suppressed and rejected ones included.
        held_back: The events that wait for an answer for the first time.
        is_done: Whether nothing was due any more.
    """

    looked_up: int = 0
    held_back: int = 0
    is_done: bool = True


class LookUpStage:
    """
    Look recorded events up, in recorded order.

    Args:
        options: How events look.
        store: The state file.
        lookups: Asks Gladly.
        limits: How large an event may be.
        stop: Ends a wait when set.
        timing: When a look-up is made again.

    Attributes:
        steps: How many steps have been written.
    """

    def __init__(
        self,
        options: EventOptions,
        store: Store,
        lookups: Lookups,
        limits: SegmentLimits,
        stop: Stop,
        timing: LookUpTiming,
    ) -> None:
        self.steps = 0
        self._per_second: float | None = None  # the events of the last step, by its seconds
        self._options = options
        self._store = store
        self._lookups = lookups
        self._limits = limits
        self._stop = stop
        self._timing = timing

    def run(self, outgoing: Outgoing, *, seconds: float | None = None) -> LookUpFigures:
        """
        Look up what is due, step by step.

        Args:
            outgoing: The delivery that goes on meanwhile.
            seconds: The pass ends after so many seconds, between two steps. None lets it end only when
                nothing is due.

        Raises:
            GladlySegmentError: Gladly is down, or refuses the credentials. What was got is written.
            StateError: The state file could not be written. The step is made again.
            StoppedError: A stop was asked for.
        """
        over_at = None if seconds is None else time.monotonic() + seconds
        self._lookups.begin_pass()
        looked_up = held_back = 0
        while True:
            left_s = None if over_at is None else over_at - time.monotonic()
            events = self._store.recorded.due(utc_now(), self._timing.events_in(left_s, self._per_second))
            if not events:
                if self._wait_for_the_next(outgoing, over_at):
                    continue
                return LookUpFigures(looked_up, held_back)
            began = time.monotonic()
            figures = self._step(events, outgoing)
            self._per_second = len(events) / max(time.monotonic() - began, 0.001)
            looked_up += figures.looked_up
            held_back += figures.held_back
            self._lookups.raise_what_is_wrong()
            if over_at is not None and time.monotonic() >= over_at:
                return LookUpFigures(looked_up, held_back, is_done=False)

    def has_work(self) -> bool:
        """Return whether anything is due, or will be shortly."""
        if self._store.recorded.due(utc_now(), 1):
            return True
        due_at = self._store.recorded.next_due()
        return due_at is not None and (due_at - utc_now()).total_seconds() <= self._timing.linger_s

    def _wait_for_the_next(self, outgoing: Outgoing, over_at: float | None) -> bool:
        """Wait for the next attempt, where it is near. Return whether there is one."""
        due_at = self._store.recorded.next_due()
        if due_at is None:
            return False
        wait_s = max(0.0, (due_at - utc_now()).total_seconds())
        if wait_s > self._timing.linger_s or (over_at is not None and time.monotonic() + wait_s >= over_at):
            return False
        outgoing.send_what_is_due()
        self._stop.sleep(wait_s + 0.001)
        return True

    # One step

    def _step(self, events: list[RecordedEvent], outgoing: Outgoing) -> LookUpFigures:
        """Look up some events, and write what was got."""
        at = utc_now()
        step = LookUpStep(
            events,
            at,
            store=self._store,
            lookups=self._lookups,
            options=self._options,
            limits=self._limits,
            timing=self._timing,
        )
        step.ask(outgoing)
        done = step.result()
        if done.deletions:  # nothing about them is sent from then on, not by an attempt under way either
            outgoing.wait()
        self._store.recorded.finish(done)
        self.steps += 1
        ready = [event for event in done.events if event.status is not EventStatus.RECORDED]
        outgoing.expect(sum(len(e.payload or b"") for e in ready if e.status is EventStatus.PENDING))
        return LookUpFigures(len(ready), step.held_back)
