"""
Run the daemon of `run`: cycles on schedule until a stop is asked for, and the end of the process.

`sync.runtime.schedule` says when cycles run, and `sync.pipeline.cycle` what a cycle does. This file
decides what follows a cycle that fails, and who is told.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import structlog

from state.errors import StateError, StateFileError
from state.instants import to_text, utc_now
from state.records import PollOutcome
from state.store import Store
from sync.errors import StoppedError
from sync.reports import CycleObserver, CycleReport, EndFigures
from sync.runtime.build import DEFAULT_TUNING, Tuning, build_pipeline
from sync.runtime.proving import Proving
from sync.runtime.schedule import Schedule, longest_interval
from sync.settings.sections import Config
from sync.stop import Hangup, Stop
from sync.telemetry.heartbeat import Heartbeat
from sync.telemetry.systemd import Notifier

if TYPE_CHECKING:
    from sync.telemetry.metrics import Metrics

log = structlog.get_logger()

# A cycle has this many seconds to notice a stop. Its sockets are shut, so a moment is enough, unless a disk
# is full or a lock is held. What it has not committed by then is dropped and read again.
PATIENCE_WITH_A_CYCLE_S = 6.0

# The daemon looks this often whether cycles run as they should, in seconds.
LOOK_EVERY_S = 1.0

# While the state file cannot be written, cycles are at most this many seconds apart.
LONGEST_PAUSE_S = 60.0


def open_store(config: Config, stop: Stop) -> Store:
    """
    Open the state file for a daemon. A resync may have the turn, and systemd hears that the start goes on.

    Raises:
        StoppedError: A stop was asked for while the daemon waited for its turn.
        StateError: The state file cannot be opened.
    """
    notifier = Notifier()

    def wait(seconds: float) -> None:
        notifier.starting()
        stop.sleep(seconds)

    def tell() -> None:
        log.info("daemon.waiting", reason="a resync writes")

    return Store(config.state_path, migrate=True, sleep=wait, waiting=tell)


class Daemon:
    """
    Run cycles until a stop is asked for, or until one fails in a way that another cycle would not repair.

    Args:
        config: The organization's settings and secrets.
        store: Its state file, open for writing. Closing it is the caller's task.
        stop: Asks for the end.
        hangup: Asks for the settings to be read again, which this daemon does not do.
        debug: Whether tracebacks are logged.
        tuning: The numbers behind the settings.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        stop: Stop,
        hangup: Hangup,
        *,
        debug: bool = False,
        tuning: Tuning = DEFAULT_TUNING,
    ) -> None:
        self._config = config
        self._store = store
        self._stop = stop
        self._hangup = hangup
        self._debug = debug
        self._hung_after_s = tuning.hung_after_s
        # Look-ups end in time for the next poll.
        every_s = config.settings.sync.every.total_seconds()
        self._look_up_s = max(every_s / 2, every_s - 2.0)
        self._every = longest_interval(config.settings.sync, utc_now())
        self._metrics: Metrics | None = None
        self._observed_by = CycleObserver()
        store.check_pages()  # before anything is written
        self._pipeline = build_pipeline(config, store, stop, observed_by=self._observer, tuning=tuning)
        self._cycle = self._pipeline.cycle
        self._heartbeat = Heartbeat(config.secrets.heartbeat_url, stop)
        self._notifier = Notifier()
        self._proving = Proving(
            self._pipeline.reconciler,
            self._pipeline.audit,
            self._pipeline.ends,
            observer=self._observed_by,
        )
        self._schedule = Schedule(config.settings.sync, self._run_cycle, self._prove, tuning.prove_every_s)
        self._progress = 0  # as it was last seen
        self._progress_at = 0.0  # monotonic: when it was last seen to grow, or nothing was to be done
        self._running, self._is_proving = threading.Lock(), threading.Lock()
        self._fed_at = 0.0  # monotonic: when systemd's watchdog was last fed
        self._part_errors: dict[str, str] = {}  # by part, as last logged
        self._fatal: BaseException | None = None
        self._failures = 0  # of the state file, in a row
        self._not_before = 0.0  # monotonic

    def _observer(self, ends: EndFigures) -> CycleObserver:
        """Make the metrics, where they are wanted: prometheus_client costs 40 ms to import."""
        if self._config.settings.metrics.address is not None:
            from sync.telemetry.metrics import Metrics

            self._observed_by = self._metrics = Metrics(ends, self._config.state_path)
        return self._observed_by

    def run(self) -> None:
        """
        Run cycles, the first at once.

        Raises:
            SettingsError: The daemon cannot listen on the metrics' address.
            BaseException: What ended the last cycle, when no further cycle would go better.
        """
        log.info("daemon.started", pid=os.getpid(), state=str(self._config.state_path))
        self._show_metrics()
        self._schedule.start()
        self._notifier.ready()
        self._look_after_the_schedule()
        self._notifier.stopping()
        self._schedule.stop()
        patient_until = time.monotonic() + PATIENCE_WITH_A_CYCLE_S
        if not all(
            work.acquire(timeout=max(0.0, patient_until - time.monotonic()))
            for work in (self._running, self._is_proving)
        ):
            log.warning("daemon.stopped", note="a cycle hung; what it had not committed is read again")
            with suppress(OSError, ValueError):  # standard output may be full or closed
                sys.stdout.flush()
            os._exit(0)  # whoever opens the file next rolls the transaction under way back
        if self._fatal is not None:
            raise self._fatal
        log.info("daemon.stopped")

    def close(self) -> None:
        """Close both ends' connections, and the metrics' port."""
        self._pipeline.close()
        if self._metrics is not None:
            self._metrics.close()

    def _show_metrics(self) -> None:
        address = self._config.settings.metrics.address
        if self._metrics is not None and address is not None:
            log.info("metrics.shown", url=self._metrics.serve(*address))

    # While it runs

    def _look_after_the_schedule(self) -> None:
        """Wait for the stop, and look every second whether all goes on as it should."""
        look_s = min(LOOK_EVERY_S, self._notifier.watchdog_s or LOOK_EVERY_S)
        while not self._stop.wait(look_s):
            with self._apart("signals"):
                self._answer_a_hangup()
            with self._apart("schedule"):
                self._schedule.follow_the_clock()
            with self._apart("metrics"):
                self._plan_the_metrics()
            with self._apart("watchdog"):
                self._feed_the_watchdog(look_s)

    @contextmanager
    def _apart(self, part: str) -> Iterator[None]:
        """
        Run a part of the daemon. Log an error that nobody foresaw, and let the other parts go on.

        The same error of a part is logged once.
        """
        try:
            yield
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            if self._part_errors.get(part) != what:
                self._part_errors[part] = what
                log.error("part.failed", part=part, error=what, exc_info=self._debug)
        else:
            self._part_errors.pop(part, None)

    def _answer_a_hangup(self) -> None:
        if self._hangup.came():
            log.warning(
                "settings.kept", reason="SIGHUP does not read the settings again; restart the daemon for that"
            )

    def _plan_the_metrics(self) -> None:
        if self._metrics is not None:
            self._metrics.plan(self._schedule.next_cycle)

    def _feed_the_watchdog(self, look_s: float) -> None:
        every_s, now = self._notifier.watchdog_s, time.monotonic()
        if every_s is None or now - self._fed_at < every_s - look_s / 2:
            return
        if self._is_alive(self._schedule.next_cycle):
            self._notifier.alive()
            self._fed_at = now

    def _is_alive(self, next_cycle: datetime) -> bool:
        """
        Return whether cycles run when they should and the one under way gets on. If not, a restart may help.
        """
        # To wait for the turn while a resync writes is progress, too (faults H2.13).
        now, progress = time.monotonic(), self._cycle.progress + self._store.looks_for_the_turn
        if progress != self._progress or not self._running.locked():
            self._progress, self._progress_at = progress, now
        late_s = (datetime.now(UTC) - next_cycle).total_seconds()
        return max(now - self._progress_at, late_s) < self._hung_after_s

    # One cycle

    def _run_cycle(self) -> None:
        """
        Run a cycle, as APScheduler's job. APScheduler swallows what a job raises, so nothing is left to it.
        """
        if time.monotonic() < self._not_before:
            return
        with self._running:
            try:
                report = self._cycle.run(self._look_up_s, every=self._every)
                self._failures = 0
                self._tell(report)
                self._cycle.tidy()
            except StoppedError:
                pass
            except StateFileError as error:
                self._end(error)
            except StateError as error:
                # Writing does not free a full disk, so polling slows down (faults C6).
                self._failures += 1
                pause_s = min(LONGEST_PAUSE_S, 0.5 * 2.0**self._failures)
                self._not_before = time.monotonic() + pause_s
                log.error("cycle.failed", error=str(error), next_in_seconds=pause_s)
                self._tell_of_a_broken_cycle(error)
            except Exception as error:
                log.error("cycle.failed", error=f"{type(error).__name__}: {error}", exc_info=self._debug)
                self._tell_of_a_broken_cycle(error)
            except BaseException as error:
                self._end(error)

    def _prove(self) -> None:
        """Audit and reconcile what is due, as APScheduler's other job, in its own thread."""
        with self._is_proving:
            self._proving.run()

    def _tell(self, report: CycleReport) -> None:
        """Tell those who watch from outside how a cycle ended."""
        poll = report.poll
        if poll.outcome is not PollOutcome.FAILED:
            with self._apart("heartbeat"):
                self._heartbeat.beat()
        figures = ", ".join(f"{name} {count}" for name, count in poll.figures().items())
        at = to_text(poll.finished_at) if poll.finished_at else ""
        why = f": {poll.error}" if poll.error else ""
        with self._apart("status"):
            self._notifier.status(f"Last cycle {poll.outcome.value} at {at} ({figures}){why}")

    def _tell_of_a_broken_cycle(self, error: Exception) -> None:
        """Tell them about a cycle that failed by an error of the state file or of this program."""
        with self._apart("metrics of a failed cycle"):
            if self._metrics is not None:
                self._metrics.broke()
        with self._apart("status"):
            self._notifier.status(f"Last cycle failed: {error}")

    def _end(self, error: BaseException) -> None:
        self._fatal = error
        self._stop.set()
