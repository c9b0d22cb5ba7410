"""
One cycle: poll and take in, deliver beside it and after it; neither end being down stops the other.

What a poll found, the events it makes and the watermark commit together, before anything is sent. A crash may
send an event twice under one messageId; it never loses one (semantics 4).
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from state import Poll, PollOutcome, Store
from state.failpoints import failpoint
from state.instants import parse_instant, to_text, utc_now
from sync.audit.reconcile import Reconciler
from sync.errors import GladlySegmentError
from sync.events.track import Origin, fingerprint
from sync.gladly import ChangeFeed, GladlyClient, Lookups
from sync.pipeline.delivery import Delivery
from sync.pipeline.ends import Side
from sync.pipeline.intake import Intake
from sync.reports import Result, Watcher
from sync.segment import SegmentClient
from sync.settings.config import Config
from sync.stop import Stop

log = structlog.get_logger()

# Of cycles that found nothing and sent nothing, one a minute is written, with the watermark it came to: a
# commit is a write to the disk, and a watermark that lags behind costs no more than reading a minute twice.
UNEVENTFUL_EVERY_S = 60.0

# A long window, or one of many transitions, says this often how far it has come.
_PROGRESS_EVERY_S = 10.0

# Date has whole seconds, and an answer takes a moment.
SKEW_WARNING_S = 5.0

# Payloads past their retention are looked for this often.
_RETENTION_EVERY_S = 3_600.0


class Cycle:
    """
    The sync between two ends and a state file, a cycle at a time.

    Args:
        config: The settings and secrets.
        store: Open for writing; closing it is the caller's.
        stop: Ends a cycle wherever it is.
    """

    def __init__(self, config: Config, store: Store, stop: Stop) -> None:
        self._steps = 0
        settings, secrets = config.settings, config.secrets
        self._sync = settings.sync
        self._retention = settings.state.retention
        self._store = store
        self._stop = stop
        self._gladly = GladlyClient(
            settings.gladly.url,
            settings.gladly.username or "",
            secrets.api_token,
            requests_per_second=settings.gladly.requests_per_second,
            stop=stop,
        )
        self._segment = SegmentClient(
            settings.segment.url, secrets.write_key, stop=stop, compress=settings.segment.gzip
        )
        self._delivery = Delivery(store, self._segment)
        self._feed = ChangeFeed(self._gladly, settings.sync.overlap)
        self._lookups = Lookups(self._gladly, self._delivery.go_on)
        origin = Origin(fingerprint(secrets.write_key), self._gladly.edge.host)
        self._intake = Intake(config.shape, store, self._lookups, origin, self._delivery)
        self._reconciler = Reconciler(settings.sync, store, self._lookups, self._intake)
        self._gladly_side, self._segment_side = Side("gladly"), self._delivery.side
        self._retention_due = self._record_due = 0.0
        self._skew_told = False
        self._position: datetime | None = None  # a watermark not yet worth a write of its own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lookups.close()
        self._delivery.close()
        self._gladly.close()
        self._segment.close()

    def run(self) -> Result:
        """
        Poll, take in, deliver.

        Raises:
            StateError: The state file could not be written, or is not there any more; nothing is lost.
            StoppedError: A stop was asked for; what was not committed is read again.
        """
        poll = Poll(started_at=utc_now())
        # All lines from here to the next cycle carry it; it is `started_at` of the cycle's row in `polls`.
        structlog.contextvars.bind_contextvars(cycle=to_text(poll.started_at))
        failpoint("cycle.begin")
        self._store.check_still_there()
        with self._store.turn(self._stop.sleep, lambda: log.info("cycle.waiting", reason="a resync writes")):
            result = self._run(poll)
        self.watcher.finished(result)
        return result

    @property
    def watcher(self) -> Watcher:
        """Told what it does."""
        return self._delivery.watcher

    @watcher.setter
    def watcher(self, watcher: Watcher) -> None:
        self._delivery.watcher = watcher

    @property
    def progress(self) -> int:
        """Grows while a cycle gets on: with each call, each chunk, each batch."""
        return self._steps + self._delivery.batches + self._gladly.edge.requests + self._segment.edge.requests

    @property
    def answers(self) -> dict[str, dict[str, int]]:
        """Calls made, by end and status; "none" where no answer came."""
        return {"gladly": dict(self._gladly.edge.answers), "segment": dict(self._segment.edge.answers)}

    @property
    def holds(self) -> int:
        """How often Gladly's rate limit made us wait."""
        return self._gladly.pacer.holds

    @property
    def errors(self) -> dict[str, GladlySegmentError | None]:
        """What is wrong at each end, as the last cycle found it."""
        return {side.name: side.error for side in (self._gladly_side, self._segment_side)}

    def _run(self, poll: Poll) -> Result:
        started = time.monotonic()
        requests_before = self._gladly.edge.requests
        with self._delivery.beside(poll):
            self._gladly_side.attempt(lambda: self._take_in_changes(poll))
            self._delivery.finish()
        poll.requests = self._gladly.edge.requests - requests_before
        errors = [error for error in self.errors.values() if error]
        if errors:
            poll.outcome = PollOutcome.FAILED
            poll.error = " ".join(str(error) for error in errors)
        poll.finished_at = utc_now()
        if not self._is_uneventful(poll) or time.monotonic() >= self._record_due:
            self._store.record_poll(poll, self._position)
            self._position = None
            self._record_due = time.monotonic() + UNEVENTFUL_EVERY_S
        self._forget_old_payloads()
        failpoint("cycle.end")
        seconds = round(time.monotonic() - started, 3)
        log.info("cycle.finished", outcome=poll.outcome.value, **poll.figures(), seconds=seconds)
        return Result(poll, self._gladly_side.error, self._segment_side.error, seconds)

    @staticmethod
    def _is_uneventful(poll: Poll) -> bool:
        return poll.outcome is PollOutcome.OK and not (poll.changes or poll.delivered)

    def resync(self, since: datetime, until: datetime) -> Iterator[tuple[datetime, Poll]]:
        """
        Read a past interval again and send what was missed; the watermark stays where it is.

        Taken up where an interrupted resync of the same interval stopped. A running daemon takes its turns
        in between.

        Yields: how far it has come, and the figures so far.

        Raises:
            GladlySegmentError: One end failed; what has been yielded is done.
        """
        poll = Poll(started_at=utc_now())
        with self._turn():
            resync = self._store.begin_resync(since, until)
        for chunk in self._feed.between(resync.position, until):
            with self._turn(), self._delivery.beside(poll):
                self._lookups.begin_poll(keep_profiles=False)
                self._intake.take_in(chunk, poll, resync=resync.id)
            yield chunk.position or resync.position, poll
        with self._turn(), self._delivery.beside(poll):
            self._store.finish_resync(resync.id)
            self._delivery.finish()
        if self._segment_side.error is not None:
            raise self._segment_side.error
        yield until, poll

    def _turn(self) -> AbstractContextManager[None]:
        return self._store.turn(self._stop.sleep)

    def preview(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[bytes]:
        """
        Take in, and yield the bytes of every event that would be delivered, delivering nothing. For a store
        that nobody needs afterwards.

        Args:
            since, until: Of a resync; None previews a cycle.

        Raises:
            GladlySegmentError: The poll failed.
        """
        if since is None or until is None:
            self._take_in_changes(Poll(started_at=utc_now()))
        else:
            poll = Poll(started_at=utc_now())
            for chunk in self._feed.between(since, until):
                self._intake.take_in(chunk, poll, resync=0)
        yield from (event.payload for event in self._delivery.pending())

    # Poll and take in

    def _take_in_changes(self, poll: Poll) -> None:
        position = self._position or self._store.watermark()
        if position is None:
            position = self._position = self._beginning()
        poll.window_start = position
        self._lookups.begin_poll()
        seen = self._store.seen_changes()
        progress_due = time.monotonic() + _PROGRESS_EVERY_S
        for chunk in self._feed.since(position):
            poll.window_end = chunk.read_until or chunk.position
            self._mind_the_skew(chunk.read_until)
            wrote = self._intake.take_in(chunk, poll, seen=seen)
            self._steps += 1
            self._delivery.go_on()
            # Where there was nothing new, the watermark waits for the cycle's one last write.
            self._position = None if wrote else chunk.position
            if chunk.position is not None and time.monotonic() >= progress_due:
                progress_due = time.monotonic() + _PROGRESS_EVERY_S
                so_far = {name: n for name, n in poll.figures().items() if name != "requests"}
                log.info("cycle.progress", watermark=to_text(chunk.position), **so_far)
            del chunk  # not held while the next one is read: memory stays flat (semantics 3.4)
        self._reconciler.reconcile(poll)

    def _mind_the_skew(self, gladly_now: datetime | None) -> None:
        """Our clock decides nothing, but people read it in logs: said once when it is off (faults E1)."""
        if gladly_now is None or self._skew_told:
            return
        skew_s = (utc_now() - gladly_now).total_seconds()
        if abs(skew_s) > SKEW_WARNING_S:
            self._skew_told = True
            log.warning("clock.skewed", seconds=round(skew_s), note="this machine's clock against Gladly's")

    def _beginning(self) -> datetime:
        """Where the very first poll begins (semantics 3.6): by Gladly's clock, since ours may be wrong."""
        now = self._gladly.clock()
        start = self._sync.start
        return now if start == "now" else min(now, parse_instant(start, now))

    def _forget_old_payloads(self) -> None:
        """Erase payloads past their retention (semantics 5.3), and whatever is still to be wiped."""
        self._store.wipe()
        if time.monotonic() < self._retention_due:
            return
        self._store.check_room(log.warning)
        long_ago = utc_now() - self._retention
        if not self._store.erase_old_payloads(long_ago) + self._store.forget_old_changes(long_ago):
            self._retention_due = time.monotonic() + _RETENTION_EVERY_S
