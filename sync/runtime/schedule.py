"""Decide when cycles run, with APScheduler, and what happens when the clock of this machine jumps."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from sync.settings.cron import crontab_triggers
from sync.settings.sections import SyncSettings

log = structlog.get_logger()

# The clock has jumped when it moved against the monotonic clock by more than this many seconds.
CLOCK_JUMP_S = 2.0

_JOB, _PROVING = "cycle", "proving"

# So many days of a crontab are looked at for the longest time between two cycles.
_DAYS_LOOKED_AT = 400


class Schedule:
    """
    Run cycles when they are due, in a thread of its own, and what proves them in another.

    Cycles never overlap and a late cycle runs once (`max_instances=1`, `coalesce`). There is no grace time,
    because APScheduler's default of one second silently drops late runs. Everything is in UTC, so that no
    change of clocks skips or doubles a cycle.

    Args:
        settings: How often, or by which crontab line.
        run_cycle: Runs one cycle. It must not raise: APScheduler swallows what a job raises.
        prove: Audits and reconciles what is due. It must not raise.
        prove_every_s: How often that is called, first after this time.
    """

    def __init__(
        self,
        settings: SyncSettings,
        run_cycle: Callable[[], None],
        prove: Callable[[], None],
        prove_every_s: float,
    ) -> None:
        self._scheduler: BackgroundScheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1), _PROVING: ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        trigger = NextRun(next_run_of(settings))
        self._scheduler.add_job(run_cycle, trigger, next_run_time=datetime.now(UTC), id=_JOB)
        every = timedelta(seconds=prove_every_s)
        self._scheduler.add_job(prove, NextRun(_after(every)), id=_PROVING, executor=_PROVING)
        self._scheduler.add_listener(_tell_of_a_missed_run, EVENT_JOB_MAX_INSTANCES)
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
        for job in (_JOB, _PROVING):
            self._scheduler.modify_job(job, next_run_time=datetime.now(UTC))

    def stop(self) -> None:
        """Begin no further cycle. A cycle under way is not waited for."""
        self._scheduler.shutdown(wait=False)


def _tell_of_a_missed_run(event: JobSubmissionEvent) -> None:
    if event.job_id == _JOB:  # an audit may take longer than the time between two looks
        log.warning("cycle.missed", reason="the one before it was still running")


class NextRun(BaseTrigger):  # type: ignore[misc]  # APScheduler has no types
    """
    Answer APScheduler with the next run after now, whatever has been missed.

    APScheduler lists each run between the last one and now before it makes one of them (`coalesce`). For a
    clock set forward by ten years that list fills the memory (faults H2.4).

    Args:
        next_run: Returns the next run, given the last one and now. The result must be later than now.
    """

    def __init__(self, next_run: Callable[[datetime, datetime], datetime]) -> None:
        self._next_run = next_run

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next run after now. APScheduler calls this."""
        return self._next_run(previous_fire_time or now, now)


def next_run_of(settings: SyncSettings) -> Callable[[datetime, datetime], datetime]:
    """Return the function that computes the next run, given the last one and now."""
    if settings.cron is None:
        return _after(settings.every)

    triggers = crontab_triggers(settings.cron)

    def next_match(last: datetime, now: datetime) -> datetime:
        later = now + timedelta(microseconds=1)  # CronTrigger answers with now itself when now matches
        first: datetime = min(trigger.get_next_fire_time(None, later) for trigger in triggers)
        return first

    return next_match


def _after(every: timedelta) -> Callable[[datetime, datetime], datetime]:
    """Return the function that computes the next of the runs that are an interval apart."""

    def after_interval(last: datetime, now: datetime) -> datetime:
        missed = max(timedelta(0), now - last) // every
        return last + (missed + 1) * every

    return after_interval


def longest_interval(settings: SyncSettings, now: datetime) -> timedelta:
    """
    Return the longest time that lies between two cycles, as planned from now on.

    A crontab has the same times on each of its days. So one day is looked at whole, and a year of days at
    their first cycle alone.
    """
    if settings.cron is None:
        return settings.every
    next_run = next_run_of(settings)
    longest = timedelta(0)
    begins = next_run(now, now).replace(hour=0, minute=0, second=0, microsecond=0)
    first = last = next_run(begins, begins - timedelta(microseconds=1))
    while (following := next_run(last, last)) < begins + timedelta(days=1):
        longest, last = max(longest, following - last), following
    length = last - first
    for _ in range(_DAYS_LOOKED_AT):
        midnight = begins + timedelta(days=1)
        first = next_run(midnight, midnight - timedelta(microseconds=1))
        longest, last = max(longest, first - last), first + length
        begins = first.replace(hour=0, minute=0, second=0, microsecond=0)
        if begins - now > timedelta(days=_DAYS_LOOKED_AT):
            break
    return longest
