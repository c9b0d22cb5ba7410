"""
The outbox's way out: what is pending goes to Segment in recorded order, batch by batch.

A poll that takes its time (after an outage of hours, an hour at Gladly's pace) does not hold back what it has
taken in: whole batches leave while it still fetches. The call to Segment has a thread of its own for that;
all else, the state file above all, is the cycle's.
"""

import contextlib
import contextvars
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

import structlog

from state import Event, EventStatus, PendingEvent, Poll, StateError, Store
from sync.errors import GladlySegmentError, StoppedError
from sync.events.track import EVENT_MAX_BYTES, too_large
from sync.pipeline.ends import Side, pause_s
from sync.reports import Watcher
from sync.segment import BATCH_MAX_BYTES, Delivered, Rejected, SegmentClient, body_of, pack

log = structlog.get_logger()

# How many events are read from the outbox at once: together at most a few MB.
_PAGE = 500

# Beside a poll a batch leaves when it is full, so that there are no more POSTs than the bytes need; or when
# its events have waited so long.
PART_BATCH_AFTER_S = 30.0

# After a failure beside a poll, Segment is left alone for so long at least, or until the next cycle: its
# attempts are as few as if all had been sent at the end.
AGAIN_AFTER_S = 60.0


class _Sending:
    """A batch on its way, in the other thread: what has become of its events so far, and of the whole."""

    def __init__(self, batch: list[PendingEvent], segment: SegmentClient, thread: ThreadPoolExecutor) -> None:
        self.batch = batch
        self.outcomes: deque[Delivered | Rejected] = deque()
        # In a copy of this context: what is logged there carries the cycle's id.
        context = contextvars.copy_context()
        # The body is made here: a thread that makes half a megabyte keeps 2 MB for itself (bench/PROFILE.md).
        body = body_of(batch)
        self.future: Future[None] = thread.submit(context.run, self._send, segment, body)

    def _send(self, segment: SegmentClient, body: bytes) -> None:
        for outcome in segment.deliver(self.batch, body):
            self.outcomes.append(outcome)


class Delivery:
    """
    Delivers, one batch at a time, for one cycle after another.

    Attributes:
        side: Segment's, kept up to date with what goes wrong there; nothing of that is raised.
        watcher: Told what became of events.
        batches: How many have been begun.

    Every method that writes raises:
        StateError: What Segment answered could not be written; the events are sent again.
        StoppedError: A stop was asked for.
    """

    def __init__(self, store: Store, segment: SegmentClient) -> None:
        self.side = Side("segment")
        self.watcher = Watcher()
        self.batches = 0
        self._store = store
        self._segment = segment
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="segment")  # started when there is work
        self._poll: Poll | None = None
        self._sending: _Sending | None = None
        self._waiting_bytes = 0  # taken in since the cycle began, and not sent
        # Monotonic: from when on part of a batch leaves as well; until when nothing does, after a failure.
        self._part_from, self._not_before = math.inf, 0.0

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(cancel_futures=True)

    @contextlib.contextmanager
    def beside(self, poll: Poll) -> Iterator[None]:
        """
        For as long as the block takes, what is pending leaves as it falls due; *poll*'s figures are added to.
        However it ends, nothing is under way afterwards, and what is known is noted, if it can be.
        """
        self._poll, self._waiting_bytes = poll, 0
        # An earlier cycle may have left something.
        self._part_from, self._not_before = time.monotonic() + PART_BATCH_AFTER_S, 0.0
        try:
            yield
        finally:
            with contextlib.suppress(StoppedError, StateError):
                self.settle()
            self._sending = self._poll = None  # what is not noted is pending

    def expect(self, events: Iterable[Event]) -> None:
        """These have been written to the outbox."""
        waiting = sum(len(e.payload or b"") for e in events if e.status is EventStatus.PENDING)
        if waiting:
            self._waiting_bytes += waiting
            self._part_from = min(self._part_from, time.monotonic() + PART_BATCH_AFTER_S)

    def go_on(self) -> None:
        """
        Note what Segment has answered meanwhile, and send what is due. Called again and again; it never
        waits, and outside of `beside` does nothing.
        """
        if self._sending is not None and not self._note(self._sending):
            return
        is_due = time.monotonic() >= self._part_from
        if self._poll is None or not (is_due or self._waiting_bytes > BATCH_MAX_BYTES) or self._is_left_alone:
            return
        batch = next(pack(self.pending(), whole_only=not is_due), None)
        if batch is None:
            self._waiting_bytes = 0
            if is_due:
                self._part_from = math.inf
            return
        self._waiting_bytes = max(0, self._waiting_bytes - sum(len(event.payload) for event in batch))
        self._send(batch)

    def settle(self) -> None:
        """Wait for the batch under way, and note what has become of it."""
        if self._sending is not None:
            wait([self._sending.future])
            self._note(self._sending)

    def finish(self) -> None:
        """Deliver whatever is pending, unless Segment is left alone."""
        self.settle()
        if self._is_left_alone:
            return
        for batch in pack(self.pending()):  # the next is read while one is under way
            self.settle()
            if self._is_left_alone:
                return
            self._send(batch)
        self.settle()
        if not self._is_left_alone:
            self.side.worked()

    @property
    def _is_left_alone(self) -> bool:
        return self.side.is_paused or time.monotonic() < self._not_before

    def _send(self, batch: list[PendingEvent]) -> None:
        self.batches += 1
        self._sending = _Sending(batch, self._segment, self._thread)

    def _note(self, sending: _Sending) -> bool:
        """Write what has become of a batch so far. Returns whether that is all."""
        is_over = sending.future.done()  # first: what came before is all there then
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
            # What was noted above is not pending any more, and so not touched.
            self._store.mark_attempted([event.message_id for event in sending.batch], str(error))
            self._not_before = time.monotonic() + max(AGAIN_AFTER_S, pause_s(error))
            self.side.failed(error)
        else:
            self.side.worked()
        return True

    def _write(self, outcome: Delivered | Rejected) -> None:
        assert self._poll is not None
        if isinstance(outcome, Delivered):
            self._store.mark_delivered([event.message_id for event in outcome.events])
            self._poll.delivered += len(outcome.events)
            self.watcher.delivered(outcome.events)
        else:
            self._reject(outcome.event, outcome.reason)
            log.warning("event.rejected", message_id=outcome.event.message_id, reason=outcome.reason)

    def _reject(self, event: PendingEvent, reason: str) -> None:
        self._store.mark_rejected(event.message_id, reason)
        self.watcher.rejected(event)

    def pending(self) -> Iterator[PendingEvent]:
        """The outbox in recorded order, a page at a time."""
        page = self._store.pending(None, _PAGE)
        while page:
            for event in page:
                if len(event.payload) <= EVENT_MAX_BYTES:
                    yield event
                else:  # a rejected one that was retried: it has not become any smaller
                    self._reject(event, too_large(event.payload))
            page = self._store.pending(page[-1].position, _PAGE)
