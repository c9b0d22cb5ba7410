"""
Deliver what is pending: batch by batch, in recorded order, to Segment.

A poll may take an hour, after a long outage. It does not hold back the events that it has taken in: whole
batches leave while it still reads. Only the request to Segment runs in a thread of its own. Everything else,
and the state file above all, belongs to the cycle's thread.
"""

import contextlib
import contextvars
import math
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple, Protocol, Self

import structlog

from state.errors import StateError
from state.instants import utc_now
from state.records import PendingEvent
from state.store import Store
from sync.errors import GladlySegmentError, StoppedError
from sync.pipeline.ends import EndHealth
from sync.reports import CycleObserver
from sync.segment.batches import body_of, pack
from sync.segment.client import Delivered, Rejected, SegmentClient

log = structlog.get_logger()

# This many events are read from the outbox at once. Together they are a few megabytes at most.
_PAGE = 500


class DeliveryTiming(NamedTuple):
    """
    Say when a delivery sends, and when it does not.

    Attributes:
        part_batch_after_s: While a poll goes on, a batch leaves when it is full, so that there are no more
            requests than the bytes need; or when its events have waited this many seconds.
        again_after_s: After a failure, Segment is left alone for at least this many seconds, or until the
            next cycle. So a poll that goes on costs no more attempts than one that sends everything at its
            end.
        accepted_within: A refusal is blamed on an event where the receiver has accepted another one so
            recently (semantics 4.4).
    """

    part_batch_after_s: float = 30.0
    again_after_s: float = 60.0
    accepted_within: timedelta = timedelta(days=1)


class Outgoing(Protocol):
    """
    The delivery, as whoever takes changes in sees it (`sync.pipeline.delivery.Delivery`).

    Attributes:
        delivered: How many events Segment has acknowledged.
    """

    delivered: int

    def expect(self, payload_bytes: int) -> None:
        """Note that events with so many bytes were written to the outbox."""

    def send_what_is_due(self) -> None:
        """Go on delivering. Never wait."""

    def wait(self) -> None:
        """Wait for the batch under way, and note what has become of it."""


class Deliverer:
    """
    Deliver the outbox to Segment, for one cycle after another.

    Args:
        store: The state file. Only the cycle's thread uses it.
        segment: Segment's client.
        health: What is wrong at Segment. It is kept up to date, and no error of Segment's is raised.
        observer: Told what became of events.
        timing: When a delivery sends.

    Attributes:
        batches: How many batches have been begun.
    """

    def __init__(
        self,
        store: Store,
        segment: SegmentClient,
        health: EndHealth,
        observer: CycleObserver,
        timing: DeliveryTiming = DeliveryTiming(),
    ) -> None:
        self.store = store
        self.segment = segment
        self.health = health
        self.observer = observer
        self.timing = timing
        self.batches = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="segment")  # starts when there is work

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    def begin(self) -> "Delivery":
        """Begin one cycle's delivery."""
        return Delivery(self)

    def send(self, batch: list[PendingEvent]) -> "_Sending":
        """Send a batch in the thread."""
        self.batches += 1
        since = utc_now() - self.timing.accepted_within
        has_accepted = self.store.receivers.has_accepted(self.segment.receiver, since)
        return _Sending(batch, self.segment, self._thread, has_accepted)


class _Sending:
    """Hold a batch that is on its way in the other thread, and what has become of its events so far."""

    def __init__(
        self,
        batch: list[PendingEvent],
        segment: SegmentClient,
        thread: ThreadPoolExecutor,
        has_accepted: bool,
    ) -> None:
        self.batch = batch
        self._has_accepted = has_accepted
        self.outcomes: deque[Delivered | Rejected] = deque()
        # The thread runs in a copy of this context, so that its log lines carry the cycle's id.
        context = contextvars.copy_context()
        # The body is made here: a thread that makes half a megabyte keeps 2 MB for itself (bench/PROFILE.md).
        body = body_of(batch)
        self.future: Future[None] = thread.submit(context.run, self._send, segment, body)

    def _send(self, segment: SegmentClient, body: bytes) -> None:
        for outcome in segment.deliver(self.batch, body, has_accepted=self._has_accepted):
            self.outcomes.append(outcome)


class Delivery:
    """
    Deliver during one cycle. As a context manager, it leaves nothing under way, however its block ends, and
    notes what is known if it can.

    Attributes:
        delivered: How many events Segment has acknowledged.

    Every method that writes raises:
        StateError: Segment's answer could not be written. The events are sent again.
        StoppedError: A stop was asked for.
    """

    def __init__(self, deliverer: Deliverer) -> None:
        self.delivered = 0
        self._deliverer = deliverer
        self._store = deliverer.store
        self._health = deliverer.health
        self._timing = deliverer.timing
        self._limits = deliverer.segment.limits
        self._sending: _Sending | None = None
        self._waiting_bytes = 0  # taken in since this cycle began, and not sent yet
        # Monotonic: from when on part of a batch leaves too, and until when nothing leaves after a failure.
        # An earlier cycle may have left events.
        self._part_from = time.monotonic() + self._timing.part_batch_after_s
        self._not_before = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(StoppedError, StateError):
            self.wait()
        self._sending = None  # what is not noted stays pending

    def expect(self, payload_bytes: int) -> None:
        """Note that events with so many bytes were written to the outbox."""
        if payload_bytes:
            self._waiting_bytes += payload_bytes
            self._part_from = min(self._part_from, time.monotonic() + self._timing.part_batch_after_s)

    def send_what_is_due(self) -> None:
        """Note what Segment has answered meanwhile, and send the next batch when it is due. Never wait."""
        if self._sending is not None and not self._note(self._sending):
            return
        is_due = time.monotonic() >= self._part_from
        is_full = self._waiting_bytes > self._limits.batch_max_bytes
        if not (is_due or is_full) or self._is_left_alone:
            return
        batch = next(pack(self._next_events(), self._limits, whole_only=not is_due), None)
        if batch is None:
            self._waiting_bytes = 0
            if is_due:
                self._part_from = math.inf
            return
        self._waiting_bytes = max(0, self._waiting_bytes - sum(len(event.payload) for event in batch))
        self._sending = self._deliverer.send(batch)

    def wait(self) -> None:
        """Wait for the batch under way, and note what has become of it."""
        if self._sending is not None:
            wait([self._sending.future])
            self._note(self._sending)

    def finish(self) -> None:
        """Deliver everything that is pending, unless Segment is left alone."""
        self.wait()
        if self._is_left_alone:
            return
        for batch in pack(self._next_events(), self._limits):  # the next batch is read while one is under way
            self.wait()
            if self._is_left_alone:
                return
            self._sending = self._deliverer.send(batch)
        self.wait()
        if not self._is_left_alone:
            self._health.worked()

    @property
    def _is_left_alone(self) -> bool:
        return self._health.is_paused or time.monotonic() < self._not_before

    def _next_events(self) -> Iterator[PendingEvent]:
        """
        Yield the events to send. Reject one that is too large: a retried event does not get any smaller.
        """
        for event in pending_events(self._store):
            reason = self._limits.too_large(event.payload)
            if reason is None:
                yield event
            else:
                self._reject(event, reason)

    def _note(self, sending: _Sending) -> bool:
        """Write what has become of a batch so far. Return whether that is all."""
        is_over = sending.future.done()  # asked first, so that every outcome is there when it is
        while sending.outcomes:
            self._write(sending.outcomes.popleft())
        if not is_over:
            return False
        self._sending = None
        try:
            sending.future.result()
        except StoppedError:
            raise
        except GladlySegmentError as error:
            # The events noted above are no longer pending, so this leaves them as they are.
            self._store.outbox.mark_attempted([event.message_id for event in sending.batch], str(error))
            pause_s = max(self._timing.again_after_s, self._health.pause_s(error))
            self._not_before = time.monotonic() + pause_s
            self._health.failed(error)
        else:
            self._health.worked()
        return True

    def _write(self, outcome: Delivered | Rejected) -> None:
        if isinstance(outcome, Delivered):
            self._store.outbox.mark_delivered([event.message_id for event in outcome.events])
            self._store.receivers.note_accepted(self._deliverer.segment.receiver)
            self.delivered += len(outcome.events)
            self._deliverer.observer.delivered(outcome.events)
        else:
            self._reject(outcome.event, outcome.reason)
            log.warning("event.rejected", message_id=outcome.event.message_id, reason=outcome.reason)

    def _reject(self, event: PendingEvent, reason: str) -> None:
        self._store.outbox.mark_rejected(event.message_id, reason)
        self._deliverer.observer.rejected(event)


def pending_events(store: Store) -> Iterator[PendingEvent]:
    """Yield the outbox in recorded order, read a page at a time."""
    page = store.outbox.pending(None, _PAGE)
    while page:
        yield from page
        page = store.outbox.pending(page[-1].position, _PAGE)
