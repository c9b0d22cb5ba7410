"""The sandbox as a whole: a world, and both services listening on loopback around it."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import FrameType, TracebackType
from typing import Self

from sandbox.gladly.app import gladly_app
from sandbox.gladly.settings import GladlySettings
from sandbox.segment.app import segment_app
from sandbox.segment.inbox import Inbox
from sandbox.segment.public_api import public_api_app
from sandbox.segment.settings import SegmentSettings, WrongKeys
from sandbox.service.faults import Faults
from sandbox.service.listener import HOST, Listener
from sandbox.service.middleware import ServiceMiddleware
from sandbox.service.request_log import RequestLog, RequestSeen
from sandbox.simulation.living_world import LivingWorld
from sandbox.timekeeping.clock import Clock
from sandbox.world.world import World

GLADLY_PORT, SEGMENT_PORT, PUBLIC_API_PORT = 8410, 8411, 8413  # inspect has 8412


class Sandbox:
    """
    A local Gladly and a local Segment around one small world. A context manager: they listen while entered.

    Args:
        seed: Decides everything that is drawn in the world.
        tempo: How lively the world is on its own; at 0 nothing happens without the caller.
        history: How much of a past the world has when it begins to live. Above tempo 0 only.
        pace: World seconds per real second. At 0 time stands still until `clock.advance` or `clock.set`.
        start: The clock's first reading; None means the real time.
        lateness_s: The longest delay of the feed in world seconds. Each change's delay is drawn from 0 to
            this.
        gladly_port: Gladly's port; 0 takes a free one.
        segment_port: Segment's port; 0 takes a free one.
        public_api_port: The port of Segment's Public API; 0 takes a free one.
        latency_s: Real seconds added to every answer of both services.

    The other arguments are those of `GladlySettings` and `SegmentSettings`. `segment_requests_per_second` is
    Segment's `requests_per_second`.

    Attributes:
        clock, world, inbox, faults: What the services share; see their classes.
        gladly, segment: The settings of both services. They can be changed while the services run.
        gladly_log, segment_log, public_api_log: The requests that each service answered.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        tempo: float = 0.0,
        history: timedelta = timedelta(0),
        pace: float = 1.0,
        start: datetime | None = None,
        lateness_s: float = 15.0,
        gladly_port: int = 0,
        segment_port: int = 0,
        public_api_port: int = 0,
        username: str = GladlySettings.username,
        api_token: str = GladlySettings.api_token,
        unprivileged_username: str = GladlySettings.unprivileged_username,
        write_key: str = SegmentSettings.write_key,
        requests_per_second: float | None = GladlySettings.requests_per_second,
        reports_per_minute: int | None = GladlySettings.reports_per_minute,
        retry_after: bool = True,
        latency_s: float = 0.0,
        report_row_cap: int = GladlySettings.report_row_cap,
        report_lateness_s: float = GladlySettings.report_lateness_s,
        report_bom: bool = False,
        report_shuffled: bool = True,
        organization_timezone: str = GladlySettings.organization_timezone,
        wrong_keys: WrongKeys = SegmentSettings.wrong_keys,
        segment_requests_per_second: float | None = None,
    ) -> None:
        self.clock = Clock(start, pace)
        self.world, catch_up = _world(
            self.clock, seed=seed, tempo=tempo, lateness_s=lateness_s, history=history
        )
        self.inbox = Inbox(self.clock, seed)
        self.faults = Faults()
        self.gladly = GladlySettings(
            username=username,
            api_token=api_token,
            unprivileged_username=unprivileged_username,
            requests_per_second=requests_per_second,
            reports_per_minute=reports_per_minute,
            retry_after=retry_after,
            latency_s=latency_s,
            report_row_cap=report_row_cap,
            report_lateness_s=report_lateness_s,
            report_bom=report_bom,
            report_shuffled=report_shuffled,
            organization_timezone=organization_timezone,
        )
        self.segment = SegmentSettings(
            write_key=write_key,
            wrong_keys=wrong_keys,
            requests_per_second=segment_requests_per_second,
            latency_s=latency_s,
        )
        self.gladly_log, self.segment_log, self.public_api_log = RequestLog(), RequestLog(), RequestLog()
        self._gladly = Listener(
            ServiceMiddleware(
                gladly_app(self.world, self.gladly, self.faults),
                "gladly",
                self.clock,
                self.faults,
                self.gladly_log,
                before=catch_up,
                latency_s=lambda: self.gladly.latency_s,
            ),
            gladly_port,
        )
        self._segment = Listener(
            ServiceMiddleware(
                segment_app(self.inbox, self.segment, self.faults),
                "segment",
                self.clock,
                self.faults,
                self.segment_log,
                latency_s=lambda: self.segment.latency_s,
            ),
            segment_port,
        )
        self._public_api = Listener(
            ServiceMiddleware(
                public_api_app(self.inbox, self.segment, self.clock),
                "public_api",
                self.clock,
                self.faults,
                self.public_api_log,
                latency_s=lambda: self.segment.latency_s,
            ),
            public_api_port,
        )

    def __enter__(self) -> Self:
        """Start the services."""
        self.start_gladly()
        try:
            self.start_segment()
            self._public_api.start()
        except OSError:
            self.stop_segment()
            self.stop_gladly()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop the services."""
        self._public_api.ask_to_stop()
        self._segment.ask_to_stop()
        self.stop_gladly()
        self.stop_segment()
        self._public_api.stop()

    @property
    def gladly_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://{HOST}:{self._gladly.port}"

    @property
    def segment_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://{HOST}:{self._segment.port}"

    @property
    def public_api_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path. It answers also while Segment is stopped."""
        return f"http://{HOST}:{self._public_api.port}"

    @property
    def gladly_requests(self) -> list[RequestSeen]:
        """A copy of the list of requests that Gladly answered so far, oldest first."""
        return self.gladly_log.seen()

    @property
    def segment_requests(self) -> list[RequestSeen]:
        """A copy of the list of requests that Segment answered so far, oldest first."""
        return self.segment_log.seen()

    @property
    def public_api_requests(self) -> list[RequestSeen]:
        """A copy of the list of requests that Segment's Public API answered so far, oldest first."""
        return self.public_api_log.seen()

    def start_gladly(self) -> None:
        """Start Gladly. After a stop it listens on the same port again."""
        self._gladly.start()

    def stop_gladly(self) -> None:
        """Stop Gladly, so that it refuses connections. The world continues."""
        self._gladly.stop()

    def start_segment(self) -> None:
        """Start Segment. After a stop it listens on the same port again."""
        self._segment.start()

    def stop_segment(self) -> None:
        """Stop Segment, so that it refuses connections. It keeps its inbox."""
        self._segment.stop()


def _world(
    clock: Clock, *, seed: int, tempo: float, lateness_s: float, history: timedelta
) -> tuple[World, Callable[[], None]]:
    """Return a world and what lets it catch up with the clock. Above tempo 0 the world lives on its own."""
    if tempo <= 0:
        return World(clock, seed=seed, lateness_s=lateness_s), lambda: None
    living = LivingWorld(clock, seed=seed, tempo=tempo, lateness_s=lateness_s, history=history)
    return living, living.run_to_now


def serve(
    *,
    gladly_port: int = GLADLY_PORT,
    segment_port: int = SEGMENT_PORT,
    public_api_port: int = PUBLIC_API_PORT,
    seed: int = 1,
    tempo: float = 1.0,
    history: timedelta = timedelta(0),
    pace: float = 1.0,
    ready: Callable[[Sandbox], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """
    Run a sandbox until SIGINT or SIGTERM comes or *stop* is set.

    Args:
        gladly_port: Gladly's port; 0 takes a free one.
        segment_port: Segment's port; 0 takes a free one.
        public_api_port: The port of Segment's Public API; 0 takes a free one.
        seed: As for `Sandbox`.
        tempo: As for `Sandbox`.
        history: As for `Sandbox`.
        pace: As for `Sandbox`.
        ready: Called with the sandbox once both services listen. `serve` itself prints nothing.
        stop: Ends the sandbox when it is set. A thread other than the main one needs it, because signals only
            reach the main thread.
    Raises:
        OSError: A port is taken. Nothing is left running.
    """
    stop = stop or threading.Event()
    sandbox = Sandbox(
        gladly_port=gladly_port,
        segment_port=segment_port,
        public_api_port=public_api_port,
        seed=seed,
        tempo=tempo,
        history=history,
        pace=pace,
    )
    with _signals_set(stop), sandbox:
        if ready is not None:
            ready(sandbox)
        while not stop.wait(0.5):  # signal handlers run between bounded waits on every platform
            pass


@contextlib.contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    def handler(_signum: int, _frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
