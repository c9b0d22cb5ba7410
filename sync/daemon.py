"""
The APScheduler loop: when cycles run, and how the process ends. What a cycle does is `sync.cycle`'s.

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

from state import StateError, StateFileError, Store
from sync.config import Config, SyncSettings
from sync.cycle import Cycle
from sync.errors import StoppedError
from sync.stop import Stop

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

log = structlog.get_logger()

# How long a cycle may take to notice a stop: its sockets are shut, so it is a moment, but for a full disk or
# a lock. What it has not committed by then is dropped and read again.
PATIENCE_WITH_A_CYCLE_S = 6.0


# How often the clock is looked at, and by how much it must have jumped for the cycles to be planned anew.
_CLOCK_LOOK_S = 1.0
_CLOCK_JUMP_S = 2.0

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
        self._running = threading.Lock()
        self._fatal: BaseException | None = None
        self._failures = 0  # in a row, of the state file
        self._not_before = 0.0  # monotonic

    def run(self) -> None:
        """
        Run cycles, the first at once.

        Raises:
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
        scheduler.add_listener(
            lambda _: log.warning("cycle.missed", reason="the one before it was still running"),
            EVENT_JOB_MAX_INSTANCES,
        )
        scheduler.start()
        self._mind_the_clock(scheduler)
        scheduler.shutdown(wait=False)
        if not self._running.acquire(timeout=PATIENCE_WITH_A_CYCLE_S):
            log.warning("daemon.stopped", note="a cycle hung; what it had not committed is read again")
            sys.stdout.flush()
            os._exit(0)  # the transaction under way is rolled back by whoever opens the file next
        if self._fatal is not None:
            raise self._fatal
        log.info("daemon.stopped")

    def _mind_the_clock(self, scheduler: "BackgroundScheduler") -> None:
        """
        Wait for the end. APScheduler plans by the wall clock: put back by an hour, it would wait for an hour,
        so a jump has the cycles planned anew (faults E2).
        """
        ahead_s = time.time() - time.monotonic()
        while not self._stop.wait(_CLOCK_LOOK_S):
            now_ahead_s = time.time() - time.monotonic()
            if abs(now_ahead_s - ahead_s) > _CLOCK_JUMP_S:
                log.warning("clock.jumped", seconds=round(now_ahead_s - ahead_s))
                ahead_s = now_ahead_s
                scheduler.modify_job("cycle", next_run_time=datetime.now(UTC))

    def close(self) -> None:
        """Close both ends' connections."""
        self._cycle.__exit__(None, None, None)

    def _run_cycle(self) -> None:
        """A job: APScheduler swallows whatever it raises, so nothing is left to it."""
        if time.monotonic() < self._not_before:
            return
        with self._running:
            try:
                self._cycle.run()
                self._failures = 0
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
            except Exception as error:
                log.error("cycle.failed", error=f"{type(error).__name__}: {error}", exc_info=self._debug)
            except BaseException as error:
                self._end(error)

    def _end(self, error: BaseException) -> None:
        self._fatal = error
        self._stop.set()


def _trigger(sync: SyncSettings) -> object:
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    if sync.cron is not None:
        return CronTrigger.from_crontab(sync.cron, timezone=UTC)
    return IntervalTrigger(seconds=sync.every.total_seconds(), timezone=UTC)
