"""
One cycle: poll and take in; deliver meanwhile and afterwards. Neither end being down stops the other.

What a poll found, the events it makes and the watermark commit together, before anything is sent. A crash may
send an event twice under one messageId. It never loses an event (semantics 4).
"""

import time
from datetime import timedelta
from typing import NamedTuple

import structlog

from state.failpoints import failpoint
from state.instants import to_text, utc_now
from state.records import Poll, PollOutcome
from state.store import Store
from sync.pipeline.delivery import Deliverer, Delivery
from sync.pipeline.ends import Ends
from sync.pipeline.poll import Poller
from sync.reports import CycleObserver, CycleReport
from sync.stop import Stop

log = structlog.get_logger()


class CycleTiming(NamedTuple):
    """
    Say how often a cycle does what it does not do every time.

    Attributes:
        uneventful_every_s: A cycle that found nothing and sent nothing is written this often, with the
            watermark it came to. Each commit is a write to the disk, and a watermark that lags behind costs
            no more than reading a minute twice.
        progress_every_s: A long poll logs how far it has come this often.
        retention_every_s: Payloads past their retention are looked for this often.
    """

    uneventful_every_s: float = 60.0
    progress_every_s: float = 10.0
    retention_every_s: float = 3_600.0


class Cycle:
    """
    Run one cycle after another.

    Args:
        ends: Both ends.
        poller: Reads what happened at Gladly, and takes it in.
        deliverer: Delivers the outbox.
        store: The state file, open for writing. Closing it is the caller's task.
        stop: Ends a cycle wherever it is.
        retention: How long payloads of delivered events are kept.
        observer: Told what happens.
        timing: How often a cycle does what it does not do every time.
    """

    def __init__(
        self,
        *,
        ends: Ends,
        poller: Poller,
        deliverer: Deliverer,
        store: Store,
        stop: Stop,
        retention: timedelta,
        observer: CycleObserver,
        timing: CycleTiming = CycleTiming(),
    ) -> None:
        self._ends = ends
        self._poller = poller
        self._deliverer = deliverer
        self._store = store
        self._stop = stop
        self._retention = retention
        self._observer = observer
        self._timing = timing
        self._retention_due = self._record_due = 0.0  # monotonic

    @property
    def progress(self) -> int:
        """Return a number that grows while a cycle gets on: with each request, each chunk, each batch."""
        return self._poller.chunks + self._deliverer.batches + self._ends.request_count

    def run(self) -> CycleReport:
        """
        Poll, take in, deliver.

        Raises:
            StateError: The state file could not be written, or is not there any more. Nothing is lost.
            StoppedError: A stop was asked for. What was not committed is read again.
        """
        poll = Poll(started_at=utc_now())
        # All log lines from here to the next cycle carry this id. It is `started_at` of the cycle's row in
        # `polls`.
        structlog.contextvars.bind_contextvars(cycle=to_text(poll.started_at))
        failpoint("cycle.begin")
        self._store.check_still_there()
        with self._store.turn(self._stop.sleep, lambda: log.info("cycle.waiting", reason="a resync writes")):
            report = self._run(poll)
        self._observer.finished(report)
        return report

    def _run(self, poll: Poll) -> CycleReport:
        started = time.monotonic()
        requests_before = self._ends.gladly.host.request_count
        gladly, segment = self._ends.gladly_health, self._ends.segment_health
        with self._deliverer.begin() as delivery:
            gladly.attempt(lambda: self._poll(poll, delivery))
            delivery.finish()
        poll.delivered = delivery.delivered
        poll.requests = self._ends.gladly.host.request_count - requests_before
        errors = [error for error in (gladly.error, segment.error) if error]
        if errors:
            poll.outcome = PollOutcome.FAILED
            poll.error = " ".join(str(error) for error in errors)
        poll.finished_at = utc_now()
        self._record(poll)
        self._forget_old_payloads()
        failpoint("cycle.end")
        seconds = round(time.monotonic() - started, 3)
        log.info("cycle.finished", outcome=poll.outcome.value, **poll.figures(), seconds=seconds)
        return CycleReport(poll, gladly.error, segment.error, seconds)

    def _poll(self, poll: Poll, delivery: Delivery) -> None:
        """
        Poll, and keep the cycle's row up to date, so that it says how far a poll came that ended in an error.
        """
        for step in self._poller.run(delivery):
            poll.window_start, poll.window_end = step.window_start, step.window_end
            poll.changes += step.figures.changes
            poll.created += step.figures.created
            poll.closed += step.figures.closed
            if step.figures.bad_lines:
                poll.outcome = PollOutcome.DEGRADED  # a line was put into quarantine (semantics 3.3)

    def _record(self, poll: Poll) -> None:
        """Write the cycle's row, with the watermark it came to. Write an uneventful one only now and then."""
        is_uneventful = poll.outcome is PollOutcome.OK and not (poll.changes or poll.delivered)
        if is_uneventful and time.monotonic() < self._record_due:
            return
        self._store.record_poll(poll, self._poller.unwritten_position)
        self._poller.position_written()
        self._record_due = time.monotonic() + self._timing.uneventful_every_s

    def _forget_old_payloads(self) -> None:
        """
        Erase payloads past their retention (semantics 5.3), and overwrite what earlier erasures have left.
        """
        self._store.erasure.wipe()
        if time.monotonic() < self._retention_due:
            return
        self._store.check_room(log.warning)
        long_ago = utc_now() - self._retention
        erasure = self._store.erasure
        if not erasure.erase_old_payloads(long_ago) + erasure.forget_old_changes(long_ago):
            self._retention_due = time.monotonic() + self._timing.retention_every_s
