"""
One cycle, in three stages: record, look up, deliver. What goes wrong in one never stops the other two.

What a poll found and the watermark commit together, before anything is looked up or sent. A crash may send an
event twice under one messageId. It never loses an event (semantics 4).
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from state.errors import DiskFullError, StateError
from state.failpoints import failpoint
from state.findings import Condition
from state.instants import to_text, utc_now
from state.records import Poll, PollOutcome
from state.store import Store
from sync.errors import BrokenPartError, GladlySegmentError, StoppedError
from sync.pipeline.delivery import Deliverer, Delivery
from sync.pipeline.ends import Ends
from sync.pipeline.look_up.stage import LookUpStage
from sync.pipeline.poll import Poller
from sync.printable import printable
from sync.reports import CycleObserver, CycleReport
from sync.stop import Stop

log = structlog.get_logger()

# The id of the condition that the state file cannot be written.
_FULL_DISK = "disk"


class CycleTiming(NamedTuple):
    """
    Say how often a cycle does what it does not do every time.

    Attributes:
        uneventful_every_s: A cycle that found nothing and sent nothing is written this often, with the
            watermark it came to. Each commit is a write to the disk, and a watermark that lags behind costs
            no more than reading a minute twice.
        look_up_between_chunks_s: A long window is read on after so many seconds of look-ups, or after as long
            as it took to read the last chunk.
        progress_every_s: A long poll logs how far it has come this often.
        retention_every_s: Payloads past their retention are looked for this often.
        silence_every_s: Whether the feed is silent is looked at this often.
    """

    uneventful_every_s: float = 60.0
    look_up_between_chunks_s: float = 1.0
    progress_every_s: float = 10.0
    retention_every_s: float = 3_600.0
    silence_every_s: float = 60.0


class Cycle:
    """
    Run one cycle after another.

    Args:
        ends: Both ends.
        poller: Reads what happened at Gladly, and records it.
        look_up: Looks up what was recorded.
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
        look_up: LookUpStage,
        deliverer: Deliverer,
        store: Store,
        stop: Stop,
        retention: timedelta,
        observer: CycleObserver,
        timing: CycleTiming = CycleTiming(),
    ) -> None:
        self._ends = ends
        self._poller = poller
        self._look_up = look_up
        self._deliverer = deliverer
        self._store = store
        self._stop = stop
        self._retention = retention
        self._observer = observer
        self._timing = timing
        self._retention_due = self._record_due = 0.0  # monotonic
        self._written_every: timedelta | None = None
        self._read_until: datetime | None = None  # Gladly's clock at the end of the last poll
        self._broken: list[BrokenPartError] = []  # in this cycle

    @property
    def progress(self) -> int:
        """Return a number that grows while a cycle gets on: with each request, chunk, step and batch."""
        return self._poller.chunks + self._look_up.steps + self._deliverer.batches + self._ends.request_count

    def run(
        self, look_up_s: float | None = None, *, every: timedelta | None = None, is_alone: bool = False
    ) -> CycleReport:
        """
        Record, look up, deliver.

        Args:
            look_up_s: Look-ups end after so many seconds, so that the next poll is not late. The next cycle
                goes on with them. None looks up all that is due.
            every: How often cycles run at least. The state file says so to those who read it.
            is_alone: Whether the process runs this one cycle, as `once` does. The state file then learns from
                the time since the run before.

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
            try:
                report = self._run(poll, look_up_s, every=every, is_alone=is_alone)
            except DiskFullError as error:
                self._note_a_full_disk(error)
                raise
        self._observer.finished(report)
        return report

    def _run(
        self, poll: Poll, look_up_s: float | None, *, every: timedelta | None, is_alone: bool
    ) -> CycleReport:
        started = time.monotonic()
        requests_before = self._ends.gladly.host.request_count
        gladly, segment = self._ends.gladly_health, self._ends.segment_health
        self._broken.clear()
        with self._deliverer.begin() as delivery:
            with self._apart("record"):
                gladly.attempt(lambda: self._record(poll, delivery))
            self._look_up_all(poll, delivery, look_up_s)
            with self._apart("deliver"):
                delivery.finish()
        poll.delivered = delivery.delivered
        poll.requests = self._ends.gladly.host.request_count - requests_before
        errors = [error for error in (gladly.error, segment.error, *self._broken) if error]
        if errors:
            poll.outcome = PollOutcome.FAILED
            poll.error = " ".join(str(error) for error in errors)
        poll.finished_at = utc_now()
        self._read_until = poll.window_end
        self._write(poll, every=every, is_alone=is_alone)
        self._note_conditions()
        failpoint("cycle.end")
        seconds = round(time.monotonic() - started, 3)
        log.info("cycle.finished", outcome=poll.outcome.value, **poll.figures(), seconds=seconds)
        return CycleReport(poll, gladly.error, segment.error, seconds, tuple(self._broken))

    @contextlib.contextmanager
    def _apart(self, part: str) -> Iterator[None]:
        """Keep an unexpected error to this part of the cycle. The other parts go on (faults H2.7)."""
        try:
            yield
        except (StoppedError, StateError):
            raise
        except Exception as error:
            what = f"{type(error).__name__}: {printable(str(error))}"
            log.error("part.failed", part=part, error=what)
            log.debug("part.failed", part=part, exc_info=True)
            self._broken.append(
                BrokenPartError(f"The cycle failed to {part}: {what}. Its other parts went on. Report this.")
            )

    def _record(self, poll: Poll, delivery: Delivery) -> None:
        """
        Read what is new at Gladly, and record it.

        The cycle's row is kept up to date meanwhile, so that it says how far a failed poll came.
        Between two chunks of a long window, what is recorded is looked up and delivered for a while.
        """
        goes_on = True
        began = time.monotonic()
        for step in self._poller.run(delivery):
            poll.window_start, poll.window_end = step.window_start, step.window_end
            poll.changes += step.figures.changes
            poll.created += step.figures.created
            poll.closed += step.figures.closed
            if step.figures.bad_lines:
                poll.outcome = PollOutcome.DEGRADED  # a line was put into quarantine (semantics 3.3)
            if step.figures.is_new and goes_on:
                took_s = time.monotonic() - began
                goes_on = self._look_up_for(
                    poll, delivery, max(took_s, self._timing.look_up_between_chunks_s)
                )
            began = time.monotonic()

    def _look_up_all(self, poll: Poll, delivery: Delivery, seconds: float | None) -> None:
        """Look up what is recorded, unless Gladly is left alone, or has just been found to be down."""
        gladly = self._ends.gladly_health
        if gladly.is_paused or self._broken or not self._look_up.has_work():
            return
        if gladly.error is not None:
            try:
                self._ends.gladly.prove_the_token()
            except StoppedError:
                raise
            except GladlySegmentError:
                return  # the error of the poll says it already
        self._look_up_for(poll, delivery, seconds)

    def _look_up_for(self, poll: Poll, delivery: Delivery, seconds: float | None) -> bool:
        """Look events up for so many seconds. Return whether Gladly answers."""
        goes_on = False
        with self._apart("look up"):
            try:
                figures = self._look_up.run(delivery, seconds=seconds)
            except StoppedError:
                raise
            except GladlySegmentError as error:
                self._ends.gladly_health.failed(error)
            else:
                goes_on = True
                if figures.held_back and poll.outcome is PollOutcome.OK:
                    poll.outcome = PollOutcome.DEGRADED  # an event waits for an answer (semantics 2.5)
        return goes_on

    def _write(self, poll: Poll, *, every: timedelta | None, is_alone: bool) -> None:
        """Write the cycle's row, with the watermark it came to. Write an uneventful one only now and then."""
        is_uneventful = poll.outcome is PollOutcome.OK and not (poll.changes or poll.delivered)
        if is_uneventful and time.monotonic() < self._record_due:
            return
        is_new = every != self._written_every  # the first cycle of a process is always written
        self._store.record_poll(
            poll, self._poller.unwritten_position, every=every if is_new else None, is_alone=is_alone
        )
        self._written_every = every
        self._poller.position_written()
        self._record_due = time.monotonic() + self._timing.uneventful_every_s

    def _note_conditions(self) -> None:
        """Write down which end refuses the credentials, for those who read the file. Write changes only."""
        conditions = self._store.conditions
        conditions.clear(_FULL_DISK)  # the cycle has been written
        for health in (self._ends.gladly_health, self._ends.segment_health):
            if (refusal := health.refusal) is not None:
                conditions.set(refusal)
            elif health.error is None:
                conditions.clear(health.condition_id)  # another error does not prove that the end takes them

    def _note_a_full_disk(self, error: DiskFullError) -> None:
        """Write down that the state file cannot be written. So short a row may find room."""
        with contextlib.suppress(StateError):
            self._store.conditions.set(Condition(_FULL_DISK, "full disk", str(error), "gladly-segment check"))

    def tidy(self) -> None:
        """
        Erase payloads past their retention (semantics 5.3), and overwrite what earlier erasures have left.

        This follows a cycle and is no part of one: to rebuild a large file takes seconds (faults H2.8). No
        clock alone erases anything early: this machine's counts no further than Gladly's (faults H1.19).

        Raises:
            StateError: The state file could not be written. The next call goes on.
            StoppedError: A stop was asked for.
        """
        with self._store.turn(self._stop.sleep):
            self._tidy(min(utc_now(), self._read_until or self._store.watermark() or utc_now()))
        failpoint("tidy.end")

    def _tidy(self, now: datetime) -> None:
        self._store.erasure.wipe(now, log.warning)
        if time.monotonic() < self._retention_due:
            return
        self._store.check_room(log.warning)
        long_ago = now - self._retention
        erasure = self._store.erasure
        if not erasure.erase_old_payloads(long_ago, now) + erasure.forget_old_rows(long_ago):
            self._retention_due = time.monotonic() + self._timing.retention_every_s
