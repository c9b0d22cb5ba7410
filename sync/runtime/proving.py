"""
Run what proves the sync: reconcile and the audit, each with its own outcome (semantics 6).

Neither is part of a poll. What goes wrong here fails no cycle. It is logged, counted, and made again.
"""

from collections.abc import Callable

import structlog

from state.errors import StateError
from sync.audit.audit import Audit
from sync.audit.reconcile import Reconciler
from sync.errors import GladlySegmentError, StoppedError
from sync.pipeline.ends import Ends
from sync.printable import printable
from sync.reports import CycleObserver

log = structlog.get_logger()

# The daemon audits at most so many days before it looks again. Gladly allows ten reports a minute, and two at
# a time. One is left for a poll that has to read a gap (Gladly REST API, Rate Limits).
DAYS_A_RUN = 7


class Proving:
    """
    Reconcile and audit what is due, each apart from the other.

    Args:
        reconciler: Compares quiet conversations with Gladly.
        audit: Proves past days.
        ends: Both ends. Nothing is asked while Gladly is left alone.
        observer: Told what failed.

    Attributes:
        error: What was wrong at Gladly in the last run; None where nothing was.
    """

    def __init__(
        self, reconciler: Reconciler, audit: Audit, ends: Ends, observer: CycleObserver | None = None
    ) -> None:
        self._reconciler = reconciler
        self._audit = audit
        self._ends = ends
        self._observer = observer or CycleObserver()
        self.error: GladlySegmentError | None = None
        self._errors: dict[str, str] = {}  # by job, as last logged

    def run(self, days: int = DAYS_A_RUN) -> int:
        """
        Reconcile and audit what is due. Raise nothing.

        Args:
            days: How many days to audit at most.

        Returns: how many events were recorded. The next cycle sends them.
        """
        recorded = 0

        def reconcile() -> None:
            nonlocal recorded
            recorded += self._reconciler.run().figures.events

        def audit() -> None:
            nonlocal recorded
            for audited in self._audit.run_due(days):
                recorded += audited.found
                if audited.error is not None:
                    raise audited.error

        self.error = None
        try:
            self._apart("reconcile", reconcile)
            self._apart("audit", audit)
        except StoppedError:
            pass
        return recorded

    def _apart(self, job: str, work: Callable[[], None]) -> None:
        """Do a job, and keep what goes wrong to it. The same error of a job is logged once."""
        if self._ends.gladly_health.is_paused:
            return
        try:
            work()
        except StoppedError:
            raise
        except Exception as error:
            what = str(error)
            if isinstance(error, GladlySegmentError):
                self.error = error
            elif not isinstance(error, StateError):
                what = f"{type(error).__name__}: {printable(what)}. Report this."
            if self._errors.get(job) != what:
                self._errors[job] = what
                log.error("job.failed", job=job, error=what)
                log.debug("job.failed", job=job, exc_info=True)
            self._observer.job_failed(job)
        else:
            self._errors.pop(job, None)
