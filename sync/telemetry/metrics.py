"""
Keep the metrics that Prometheus reads (`metrics.listen`). docs/watching.md lists the metrics.

The metrics are instants and not ages: an age stands still when the daemon does, and `time() - instant` goes
on. This file counts what has happened since the daemon began. `sync.telemetry.collector` reads the figures
of the moment at each scrape.

Import this file only where metrics are wanted: prometheus_client costs 40 ms.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

from state.instants import from_text, utc_now
from state.records import PendingEvent, PollOutcome, Transition
from sync import __version__
from sync.events.track import NAMES
from sync.reports import CycleObserver, CycleReport, EndFigures
from sync.telemetry.collector import LiveFigures
from sync.telemetry.metrics_page import MetricsPage

# Seconds from Gladly's record to Segment's answer: about a minute while all is well, hours after an outage.
# The steps are fine around the minute, and end at the day after which the Events API has forgotten.
LATENCY_BUCKETS_S = (1, 2, 5, 10, 15, 30, 45, 60, 90, 120, 300, 600, 1_800, 3_600, 21_600, 86_400)


class Metrics(CycleObserver):
    """
    Keep the metrics of a daemon, and show them on a port.

    Args:
        ends: Tells what both ends have answered.
        state: The path of the state file.
    """

    def __init__(self, ends: EndFigures, state: Path) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._page = MetricsPage(self.registry)
        ProcessCollector(registry=self.registry)
        Gauge(
            "gladly_segment_build_info",
            "The release that runs: always 1.",
            ["version"],
            registry=self.registry,
        ).labels(__version__).set(1)
        self._cycles = Counter(
            "gladly_segment_cycles", "Cycles that ended, by outcome.", ["outcome"], registry=self.registry
        )
        for outcome in PollOutcome:
            self._cycles.labels(outcome.value)
        self._transitions = Counter(
            "gladly_segment_transitions",
            "Transitions taken in, sent or suppressed.",
            ["transition"],
            registry=self.registry,
        )
        for transition in (Transition.CREATED, Transition.CLOSED):
            self._transitions.labels(transition.value)
        self._events = Counter(
            "gladly_segment_events",
            "Events that Segment acknowledged (delivered) or refused (rejected).",
            ["event", "status"],
            registry=self.registry,
        )
        for transition in (Transition.CREATED, Transition.CLOSED):
            for status in ("delivered", "rejected"):
                self._events.labels(NAMES[transition], status)
        self._job_failures = Counter(
            "gladly_segment_job_failures",
            "Reconciliations and audits that failed. They are made again.",
            ["job"],
            registry=self.registry,
        )
        for job in ("reconcile", "audit"):
            self._job_failures.labels(job)
        self._latency = Histogram(
            "gladly_segment_delivery_latency_seconds",
            "From Gladly's record of a change to Segment's acknowledgement of its event.",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._duration = Gauge(
            "gladly_segment_last_cycle_duration_seconds",
            "How long the last cycle took.",
            registry=self.registry,
        )
        self._live = LiveFigures(ends, state)
        self.registry.register(self._live)

    # What the cycle tells

    def delivered(self, events: Sequence[PendingEvent]) -> None:
        """Count events that Segment acknowledged."""
        now = utc_now()
        for event in events:
            self._events.labels(_name_of(event), "delivered").inc()
            self._latency.observe(max(0.0, (now - from_text(event.position[0])).total_seconds()))

    def rejected(self, event: PendingEvent) -> None:
        """Count an event that Segment does not take."""
        self._events.labels(_name_of(event), "rejected").inc()

    def finished(self, report: CycleReport) -> None:
        """Count a cycle that ended, with or without an error at one of the ends."""
        poll = report.poll
        self._cycles.labels(poll.outcome.value).inc()
        self._transitions.labels(Transition.CREATED.value).inc(poll.created)
        self._transitions.labels(Transition.CLOSED.value).inc(poll.closed)
        self._duration.set(report.seconds)
        if poll.outcome is not PollOutcome.FAILED:
            self._live.went_well(poll.finished_at)

    def broke(self) -> None:
        """Count a cycle that ended in an error that came from neither end."""
        self._cycles.labels(PollOutcome.FAILED.value).inc()

    def job_failed(self, job: str) -> None:
        """Count a reconciliation or an audit that failed."""
        self._job_failures.labels(job).inc()

    def plan(self, next_cycle: datetime | None) -> None:
        """Note when the next cycle begins."""
        self._live.plan(next_cycle)

    # The page

    def serve(self, host: str, port: int) -> str:
        """
        Listen, and answer scrapes from now on. Return the page's URL.

        Args:
            host: The address to listen on.
            port: The port; 0 takes a free one.

        Raises:
            SettingsError: The sync cannot listen on the address.
        """
        return self._page.serve(host, port)

    def close(self) -> None:
        """Give the port back."""
        self._page.close()


class _Named(msgspec.Struct):
    event: str = ""
    type: str = ""


def _name_of(event: PendingEvent) -> str:
    """Return the name of a track event, and the type of anything else."""
    named = msgspec.json.decode(event.payload, type=_Named)
    return named.event or named.type
