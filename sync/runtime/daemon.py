"""
The APScheduler loop: when cycles run, and how the process ends. What a cycle does is `sync.pipeline.cycle`'s.

Cycles never overlap and late ones run once: `max_instances=1`, `coalesce`, and no grace time, since
APScheduler's default of one second silently drops late runs. Everything is in UTC, so that no change of
clocks skips or doubles a cycle.
"""

import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from state import PollOutcome, StateError, StateFileError, Store
from state.instants import to_text
from sync.errors import StoppedError
from sync.gladly.report import DEADLINE_S
from sync.pipeline.cycle import Cycle
from sync.reports import Result
from sync.settings.config import Config, SyncSettings
from sync.stop import Stop
from sync.telemetry.heartbeat import Heartbeat
from sync.telemetry.systemd import Notifier

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from sync.telemetry.metrics import Metrics

log = structlog.get_logger()

# How long a cycle may take to notice a stop: its sockets are shut, so it is a moment, but for a full disk or
# a lock. What it has not committed by then is dropped and read again.
PATIENCE_WITH_A_CYCLE_S = 6.0


# How often the clock is looked at, and by how much it must have jumped for the cycles to be planned anew.
_CLOCK_LOOK_S = 1.0
_CLOCK_JUMP_S = 2.0

# A cycle without any progress for so long hangs, and so does a schedule that is so late: the longest that all
# is well and nothing moves is a call for a report.
HUNG_AFTER_S = DEADLINE_S + 60.0

# While the state file cannot be written, cycles come this far apart at the most.
_LONGEST_PAUSE_S = 60.0


class Daemon:
    """Runs cycles until a stop is asked for, or one fails in a way that another would not mend."""

    def __init__(self, config: Config, store: Store, stop: Stop, *, debug: bool = False) -> None:
        self._debug = debug
        self._config = config
        self._store = store
        self._stop = stop
        self._cycle = Cycle(config, store, stop)
        self._heartbeat = Heartbeat(config.secrets.heartbeat_url, stop)
        self._notifier = Notifier()
        self._metrics: Metrics | None = None
        self._progress = 0  # as it was
        self._progress_at = 0.0  # monotonic: when it was last seen to grow, or nothing was to be done
        self._running = threading.Lock()
        self._fatal: BaseException | None = None
        self._failures = 0  # in a row, of the state file
        self._not_before = 0.0  # monotonic

    def run(self) -> None:
        """
        Run cycles, the first at once.

        Raises:
            SettingsError: The metrics' address cannot be had.
            BaseException: What ended the last cycle, where no further one would go better.
        """
        from apscheduler.events import EVENT_JOB_MAX_INSTANCES
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        scheduler.add_job(
            self._run_cycle, _trigger(self._config.settings.sync), next_run_time=datetime.now(UTC), id="cycle"
        )
        self._store.check_pages()
        log.info("daemon.started", pid=os.getpid(), state=str(self._config.state_path))
        self._show_metrics()
        scheduler.add_listener(
            lambda _: log.warning("cycle.missed", reason="the one before it was still running"),
            EVENT_JOB_MAX_INSTANCES,
        )
        scheduler.start()
        self._notifier.ready()
        self._look_after(scheduler)
        self._notifier.stopping()
        scheduler.shutdown(wait=False)
        if not self._running.acquire(timeout=PATIENCE_WITH_A_CYCLE_S):
            log.warning("daemon.stopped", note="a cycle hung; what it had not committed is read again")
            sys.stdout.flush()
            os._exit(0)  # the transaction under way is rolled back by whoever opens the file next
        if self._fatal is not None:
            raise self._fatal
        log.info("daemon.stopped")

    def _show_metrics(self) -> None:
        address = self._config.settings.metrics.address
        if address is not None:
            from sync.telemetry.metrics import Metrics

            self._metrics = self._cycle.watcher = Metrics(self._cycle, self._config.state_path)
            log.info("metrics.shown", url=self._metrics.serve(*address))

    def _look_after(self, scheduler: "BackgroundScheduler") -> None:
        """Wait for the end, and look every second whether all goes on as it should."""
        ahead_s = time.time() - time.monotonic()
        look_s = min(_CLOCK_LOOK_S, self._notifier.watchdog_s or _CLOCK_LOOK_S)
        told_at = 0.0
        while not self._stop.wait(look_s):
            ahead_s = self._mind_the_clock(scheduler, ahead_s)
            next_cycle = scheduler.get_job("cycle").next_run_time
            if self._metrics is not None:
                self._metrics.plan(next_cycle)
            every_s, now = self._notifier.watchdog_s, time.monotonic()
            if every_s is not None and now - told_at >= every_s - look_s / 2 and self._goes_on(next_cycle):
                self._notifier.alive()
                told_at = now

    def _mind_the_clock(self, scheduler: "BackgroundScheduler", ahead_s: float) -> float:
        """
        APScheduler plans by the wall clock: put back by an hour, it would wait for an hour, so a jump has the
        cycles planned anew (faults E2). Returns how far the wall clock is ahead of the monotonic one.
        """
        now_ahead_s = time.time() - time.monotonic()
        if abs(now_ahead_s - ahead_s) <= _CLOCK_JUMP_S:
            return ahead_s
        log.warning("clock.jumped", seconds=round(now_ahead_s - ahead_s))
        scheduler.modify_job("cycle", next_run_time=datetime.now(UTC))
        return now_ahead_s

    def _goes_on(self, next_cycle: datetime) -> bool:
        """Whether cycles run when they should, and the one under way gets on: if not, a restart may help."""
        now, progress = time.monotonic(), self._cycle.progress
        if progress != self._progress or not self._running.locked():
            self._progress, self._progress_at = progress, now
        late_s = (datetime.now(UTC) - next_cycle).total_seconds()
        return max(now - self._progress_at, late_s) < HUNG_AFTER_S

    def close(self) -> None:
        """Close both ends' connections, and the metrics' port."""
        self._cycle.__exit__(None, None, None)
        if self._metrics is not None:
            self._metrics.close()

    def _run_cycle(self) -> None:
        """A job: APScheduler swallows whatever it raises, so nothing is left to it."""
        if time.monotonic() < self._not_before:
            return
        with self._running:
            try:
                result = self._cycle.run()
                self._failures = 0
                self._tell(result)
            except StoppedError:
                pass
            except StateFileError as error:
                self._end(error)
            except StateError as error:
                # A full disk does not get any emptier for being written to: polling slows down (C6).
                self._failures += 1
                pause_s = min(_LONGEST_PAUSE_S, 0.5 * 2.0**self._failures)
                self._not_before = time.monotonic() + pause_s
                log.error("cycle.failed", error=str(error), next_in_seconds=pause_s)
                self._tell_of(error)
            except Exception as error:
                log.error("cycle.failed", error=f"{type(error).__name__}: {error}", exc_info=self._debug)
                self._tell_of(error)
            except BaseException as error:
                self._end(error)

    def _tell(self, result: Result) -> None:
        """Tell those who watch from outside how a cycle ended."""
        poll = result.poll
        if poll.outcome is not PollOutcome.FAILED:
            self._heartbeat.beat()
        figures = ", ".join(f"{name} {count}" for name, count in poll.figures().items())
        at = to_text(poll.finished_at) if poll.finished_at else ""
        why = f": {poll.error}" if poll.error else ""
        self._notifier.status(f"Last cycle {poll.outcome.value} at {at} ({figures}){why}")

    def _tell_of(self, error: Exception) -> None:
        """Tell them of one that broke."""
        self._cycle.watcher.broke()
        self._notifier.status(f"Last cycle failed: {error}")

    def _end(self, error: BaseException) -> None:
        self._fatal = error
        self._stop.set()


def _trigger(sync: SyncSettings) -> object:
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    if sync.cron is not None:
        return CronTrigger.from_crontab(sync.cron, timezone=UTC)
    return IntervalTrigger(seconds=sync.every.total_seconds(), timezone=UTC)
