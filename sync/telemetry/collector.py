"""
Read the figures of the moment at each scrape: the counts of the state file, and both ends' answers.

These figures stay right when another command (`retry`, `resync`) changes the state file. Reading takes no
lock.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from state.errors import StateError
from state.file import is_there
from state.instants import from_text
from state.queries.audits import missing_and_mended, proved_instant
from state.queries.status import EVENTS_API_REACH_S
from state.reader import Reader
from sync.errors import CredentialsRefusedError
from sync.reports import EndFigures

# These statuses are shown from the beginning, at 0: for Prometheus, a counter that is born at 1 has not
# increased.
_STATUSES = ("200", "401", "403", "429", "500", "503", "none")


class LiveFigures(Collector):
    """
    Give Prometheus the figures of this moment.

    Args:
        ends: Tells what both ends have answered.
        state: The path of the state file.
    """

    def __init__(self, ends: EndFigures, state: Path) -> None:
        self._ends = ends
        self._state = state
        self._next_cycle: datetime | None = None
        self._last_good: datetime | None = None
        if is_there(state):
            with Reader(state) as reader:
                self._last_good = _instant(reader.last_success())

    def plan(self, next_cycle: datetime | None) -> None:
        """Note when the next cycle begins."""
        self._next_cycle = next_cycle

    def went_well(self, at: datetime | None) -> None:
        """Note when a cycle ended ok or degraded."""
        self._last_good = at

    def collect(self) -> Iterable[Metric]:
        """Yield every family of metrics. A family without a value is left out."""
        yield from self._of_the_ends()
        yield from _timestamp(
            "last_good_cycle",
            "When a cycle last ended ok or degraded, in this run or an earlier one.",
            self._last_good,
        )
        yield from _timestamp("next_cycle", "When the next cycle begins.", self._next_cycle)
        try:
            with Reader(self._state) as reader:
                yield from _of_the_state_file(reader)
        except StateError:
            return  # the cycle says what is wrong with it

    def _of_the_ends(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "gladly_segment_requests",
            "Requests by end and status; the status is none when no answer came.",
            labels=["end", "status"],
        )
        for end, answers in self._ends.answers.items():
            for status, count in {**dict.fromkeys(_STATUSES, 0), **answers}.items():
                requests.add_metric([end, status], count)
        yield requests
        yield CounterMetricFamily(
            "gladly_segment_rate_limit_waits",
            "How often Gladly made the sync wait.",
            value=self._ends.holds,
        )
        up = GaugeMetricFamily(
            "gladly_segment_end_up",
            "Whether the last cycle had no error at this end: 1 or 0.",
            labels=["end"],
        )
        refused = GaugeMetricFamily(
            "gladly_segment_credentials_refused",
            "Whether this end refuses the token or key: 1 or 0.",
            labels=["end"],
        )
        for end, error in self._ends.errors.items():
            up.add_metric([end], float(error is None))
            refused.add_metric([end], float(isinstance(error, CredentialsRefusedError)))
        yield up
        yield refused


def _of_the_state_file(reader: Reader) -> Iterator[Metric]:
    watermark = reader.watermark()
    position = _instant(watermark["position"] if watermark else None)
    yield from _timestamp("watermark", "Every change recorded before this has been taken in.", position)
    if position is not None:
        yield GaugeMetricFamily(
            "gladly_segment_gap_deadline_timestamp_seconds",
            "When the gap will be too old for the Events API: 24 hours after the watermark.",
            value=position.timestamp() + EVENTS_API_REACH_S,
        )
    yield from _timestamp(
        "oldest_pending",
        "When the oldest pending event was put into the outbox.",
        _instant(reader.oldest_pending()),
    )
    events = GaugeMetricFamily(
        "gladly_segment_stored_events",
        "Events in the state file by status; pending is the outbox.",
        labels=["status"],
    )
    for status, count in reader.event_counts().items():
        events.add_metric([status], count)
    yield events
    yield from _of_the_audits(reader)
    needs = GaugeMetricFamily(
        "gladly_segment_needs_attention",
        "Things that need a person, by kind, as `gladly-segment status` lists them.",
        labels=["what"],
    )
    for what, count in reader.attention_counts().items():
        needs.add_metric([what], count)
    yield needs
    yield GaugeMetricFamily(
        "gladly_segment_quarantined_lines",
        "Lines of the feed or the report that could not be read.",
        value=reader.quarantined(),
    )


def _of_the_audits(reader: Reader) -> Iterator[Metric]:
    proved = proved_instant(reader.proved_until())
    yield from _timestamp("audited_until", "Every day before this is proved complete.", _instant(proved))
    figures = reader.ask(missing_and_mended)
    yield CounterMetricFamily(
        "gladly_segment_audit_missing_events",
        "Events that audits found to be missing, recorded and sent.",
        value=figures["missing"],
    )
    days = GaugeMetricFamily(
        "gladly_segment_audits",
        "Past days in which an audit found something missing, or that it could not prove (not dismissed).",
        labels=["outcome"],
    )
    for outcome in ("mended", "unproved"):
        days.add_metric([outcome], figures[outcome])
    yield days


def _timestamp(name: str, meaning: str, instant: datetime | None) -> Iterator[Metric]:
    """Yield an instant as Prometheus writes it. Yield nothing when it is not known."""
    if instant is not None:
        name = f"gladly_segment_{name}_timestamp_seconds"
        yield GaugeMetricFamily(name, meaning, value=instant.timestamp())


def _instant(text: str | None) -> datetime | None:
    return from_text(text) if text else None
