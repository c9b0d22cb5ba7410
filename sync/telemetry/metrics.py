"""
What Prometheus is shown (`metrics.listen`): docs/watching.md lists it.

Instants rather than ages: an age stands still when the daemon does, `time() - instant` goes on. What has
happened since the daemon began is counted here; what there is, is read from the state file at each scrape, so
that it is right whoever else works on it (`retry`, `resync`). A scrape has a thread of its own and reads
without a lock: it holds up no cycle.

Imported where it is wanted only: prometheus_client costs 40 ms.
"""

import socket
import socketserver
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import msgspec
import requests
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    make_wsgi_app,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from state import PendingEvent, PollOutcome, Reader, StateError, Transition
from state.file import is_there
from state.instants import from_text, utc_now
from state.status import EVENTS_API_REACH_S
from sync import __version__
from sync.errors import CredentialsRefusedError, SettingsError
from sync.events.track import NAMES
from sync.reports import CycleObserver, CycleReport, EndFigures

# From Gladly's record to Segment's answer: a minute or so while all is well, hours after an outage. Finer
# around the minute, to the day after which the Events API has forgotten.
LATENCY_BUCKETS_S = (1, 2, 5, 10, 15, 30, 45, 60, 90, 120, 300, 600, 1_800, 3_600, 21_600, 86_400)

# Shown from the beginning, at 0, because a counter that is born at 1 has not increased for Prometheus.
_STATUSES = ("200", "401", "403", "429", "500", "503", "none")

# A scraper that says nothing for so long is let go.
_SILENCE_S = 10.0


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
        self._server: _Server | None = None
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
        self._latency = Histogram(
            "gladly_segment_delivery_latency_seconds",
            "From what Gladly recorded to Segment's acknowledgement of its event.",
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self._duration = Gauge(
            "gladly_segment_last_cycle_duration_seconds",
            "How long the last cycle took.",
            registry=self.registry,
        )
        self._live = _Live(ends, state)
        self.registry.register(self._live)

    # What the cycle tells

    def delivered(self, events: Sequence[PendingEvent]) -> None:
        """Segment acknowledged these."""
        now = utc_now()
        for event in events:
            self._events.labels(_name_of(event), "delivered").inc()
            self._latency.observe(max(0.0, (now - from_text(event.position[0])).total_seconds()))

    def rejected(self, event: PendingEvent) -> None:
        """Segment does not take this one."""
        self._events.labels(_name_of(event), "rejected").inc()

    def finished(self, report: CycleReport) -> None:
        """A cycle ended, one way or another."""
        poll = report.poll
        self._cycles.labels(poll.outcome.value).inc()
        self._transitions.labels(Transition.CREATED.value).inc(poll.created)
        self._transitions.labels(Transition.CLOSED.value).inc(poll.closed)
        self._duration.set(report.seconds)
        if poll.outcome is not PollOutcome.FAILED:
            self._live.last_good = poll.finished_at

    def broke(self) -> None:
        """A cycle ended in an error that is neither end's."""
        self._cycles.labels(PollOutcome.FAILED.value).inc()

    def plan(self, next_cycle: datetime | None) -> None:
        """When the next cycle begins."""
        self._live.next_cycle = next_cycle

    # The port

    def serve(self, host: str, port: int) -> str:
        """
        Listen, and answer scrapes from now on. Returns where, as a URL.

        Raises:
            SettingsError: That address cannot be had.
        """
        self._server = listening(host, port)
        self._server.set_app(make_wsgi_app(self.registry))
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return _url(host, self._server.server_port)

    def close(self) -> None:
        """Give the port back; answers under way are cut off at the end of the process."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Live(Collector):
    """What is looked up at each scrape: the state file, and what the clients count themselves."""

    def __init__(self, ends: EndFigures, state: Path) -> None:
        self._ends = ends
        self._state = state
        self.next_cycle: datetime | None = None
        self.last_good: datetime | None = None
        if is_there(state):
            with Reader(state) as reader:
                self.last_good = _instant(reader.last_success())

    def collect(self) -> Iterable[Metric]:
        """Every family, those without a value left out."""
        yield from self._of_the_ends()
        yield from _timestamp(
            "last_good_cycle",
            "When a cycle last ended ok or degraded, in this run or an earlier one.",
            self.last_good,
        )
        yield from _timestamp("next_cycle", "When the next cycle begins.", self.next_cycle)
        try:
            with Reader(self._state) as reader:
                yield from _of_the_state_file(reader)
        except StateError:
            return  # the cycle says what is wrong with it

    def _of_the_ends(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "gladly_segment_requests",
            "Requests by end and status; none: no answer came.",
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
            "gladly_segment_end_up", "Whether the last cycle got on with this end: 1 or 0.", labels=["end"]
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
            "When the gap becomes older than the Events API reaches: the watermark and 24 hours.",
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
    yield GaugeMetricFamily(
        "gladly_segment_quarantined_lines",
        "Lines of the feed or the report that could not be read.",
        value=reader.quarantined(),
    )


def _timestamp(name: str, meaning: str, instant: datetime | None) -> Iterator[Metric]:
    """An instant as Prometheus has it; one that is not known is not shown."""
    if instant is not None:
        name = f"gladly_segment_{name}_timestamp_seconds"
        yield GaugeMetricFamily(name, meaning, value=instant.timestamp())


def _instant(text: str | None) -> datetime | None:
    return from_text(text) if text else None


class _Named(msgspec.Struct):
    event: str = ""


def _name_of(event: PendingEvent) -> str:
    return msgspec.json.decode(event.payload, type=_Named).event


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE_S

    def log_message(self, format: str, *args: object) -> None:
        """A scrape is not worth a line."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread a scrape, none of which holds up the end of the process."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """As HTTPServer's, without its question to the DNS for this host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scraper that hangs up is no event."""


def listening(host: str, port: int) -> _Server:
    """
    A server on that address; port 0 is any free one.

    Raises:
        SettingsError: It cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _Server(family, (str(address[0]), port))
    except OSError as error:
        raise SettingsError(
            f"metrics.listen: {host}:{port} cannot be had ({error.strerror or error}). "
            "Name another address, or end what listens there."
        ) from error


def are_shown_at(host: str, port: int) -> bool:
    """Whether what listens there is a daemon's metrics."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # straight there
            return b"gladly_segment_build_info" in session.get(_url(host, port), timeout=2.0).content
    except requests.RequestException:
        return False


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/metrics"
