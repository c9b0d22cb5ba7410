"""Decide when cycles run, with APScheduler, and what happens when the clock of this machine jumps."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from sync.settings.sections import SyncSettings

if TYPE_CHECKING:
    pass

log = structlog.get_logger()

# The clock has jumped when it moved against the monotonic clock by more than this many seconds.
CLOCK_JUMP_S = 2.0

_JOB = "cycle"


class Schedule:
    """
    Run cycles when they are due, in a thread of its own.

    Cycles never overlap and a late cycle runs once (`max_instances=1`, `coalesce`). There is no grace time,
    because APScheduler's default of one second silently drops late runs. Everything is in UTC, so that no
    change of clocks skips or doubles a cycle.

    Args:
        settings: How often, or by which crontab line.
        run_cycle: Runs one cycle. It must not raise: APScheduler swallows what a job raises.
    """

    def __init__(self, settings: SyncSettings, run_cycle: Callable[[], None]) -> None:
        from apscheduler.events import EVENT_JOB_MAX_INSTANCES
        from apscheduler.executors.pool import ThreadPoolExecutor
        from apscheduler.schedulers.background import BackgroundScheduler

        self._scheduler: BackgroundScheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_job(run_cycle, _trigger(settings), next_run_time=datetime.now(UTC), id=_JOB)
        self._scheduler.add_listener(
            lambda _: log.warning("cycle.missed", reason="the one before it was still running"),
            EVENT_JOB_MAX_INSTANCES,
        )
        self._ahead_s = 0.0  # how far the wall clock is ahead of the monotonic one

    def start(self) -> None:
        """Begin: the first cycle runs at once."""
        self._ahead_s = time.time() - time.monotonic()
        self._scheduler.start()

    @property
    def next_cycle(self) -> datetime:
        """Return when the next cycle begins."""
        next_cycle: datetime = self._scheduler.get_job(_JOB).next_run_time
        return next_cycle

    def follow_the_clock(self) -> None:
        """
        Plan the cycles anew when the clock has jumped (faults E2). Called every second or so.

        APScheduler plans by the wall clock. If the clock is put back by an hour, it would wait for an hour.
        """
        ahead_s = time.time() - time.monotonic()
        if abs(ahead_s - self._ahead_s) <= CLOCK_JUMP_S:
            return
        log.warning("clock.jumped", seconds=round(ahead_s - self._ahead_s))
        self._ahead_s = ahead_s
        self._scheduler.modify_job(_JOB, next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """Begin no further cycle. A cycle under way is not waited for."""
        self._scheduler.shutdown(wait=False)


def _trigger(settings: SyncSettings) -> object:
    from apscheduler.triggers.cron import CronTrigger
    from apscheduler.triggers.interval import IntervalTrigger

    if settings.cron is not None:
        return CronTrigger.from_crontab(settings.cron, timezone=UTC)
    return IntervalTrigger(seconds=settings.every.total_seconds(), timezone=UTC)
