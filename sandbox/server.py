"""Both services listening on loopback, each in a thread of its own."""

import asyncio
import contextlib
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from types import FrameType, TracebackType
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from sandbox.gladly.app import gladly_app
from sandbox.gladly.settings import GladlySettings
from sandbox.segment.app import segment_app
from sandbox.segment.inbox import Inbox
from sandbox.segment.settings import SegmentSettings
from sandbox.service.faults import Faults
from sandbox.service.middleware import Edge, RequestLog, RequestSeen
from sandbox.simulation.living_world import LivingWorld
from sandbox.timekeeping.clock import Clock
from sandbox.world.world import World

HOST = "127.0.0.1"
GLADLY_PORT, SEGMENT_PORT = 8410, 8411

# Idle connections are kept as long as real services keep them, so that clients' pools are put to use.
_KEEP_ALIVE_S = 65
# A stop waits this long for answers under way, then cuts them off.
_STOP_GRACE_S = 0.3
# How often a server looks whether it is to stop.
_TICK_S = 0.01


class _Server(uvicorn.Server):
    """Uvicorn, but it stops within its grace whatever its connections do, and without polling at leisure."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(_TICK_S)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        until = time.monotonic() + _STOP_GRACE_S
        while self.server_state.tasks and time.monotonic() < until:
            await asyncio.sleep(_TICK_S)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(_TICK_S)  # lets each connection learn of its end before its task is cancelled
        for task in list(self.server_state.tasks):
            task.cancel()


class Listener:
    """One ASGI application on one loopback port, which stays the same over stops and starts."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self.port = port
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """
        Bind, listen and serve. Clients can connect as soon as this returns.

        Raises:
            OSError: The port is taken.
        """
        if self._server is not None:
            return
        # Named in full: asyncio sets TCP_NODELAY only where the protocol says TCP, and without it every
        # answer on a kept connection waits 40 ms for an acknowledgement.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((HOST, self.port))
            listening.listen(512)
        except OSError:
            listening.close()
            raise
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            loop="asyncio",
            http="h11",  # pure Python: the same answers, byte for byte, on every machine
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            date_header=False,  # `Edge` sets the world's
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
        )
        self._server = _Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([listening],), name=f"sandbox-{self.port}", daemon=True
        )
        self._thread.start()
        while not self._server.started and self._thread.is_alive():
            time.sleep(0.001)

    def ask_to_stop(self) -> None:
        """Begin to stop without waiting for it, so that two can stop at the same time."""
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """Close the port and every connection; connecting is refused from then on."""
        if self._server is None or self._thread is None:
            return
        self.ask_to_stop()
        self._thread.join()
        self._server = self._thread = None


class Sandbox:
    """
    A local Gladly and a local Segment around one small world; a context manager, listening while entered.

    Args:
        seed: Decides everything drawn in the world.
        tempo: How lively the world is on its own; 0 leaves everything to the test.
        pace: World seconds per real second; 0 stands still but for `clock.advance`.
        start: The clock's first reading; None is the real now.
        lateness_s: The feed's delay, drawn from 0 to this for every change.
        gladly_port: 0 takes a free port.
        segment_port: Likewise.
        latency_s: Real seconds added to every answer of both services.

    The other arguments are those of `GladlySettings` and `SegmentSettings`, kept as `gladly` and `segment`.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        tempo: float = 0.0,
        pace: float = 1.0,
        start: datetime | None = None,
        lateness_s: float = 15.0,
        gladly_port: int = 0,
        segment_port: int = 0,
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
        check_write_key: bool = True,
        segment_requests_per_second: float | None = None,
    ) -> None:
        self.clock = Clock(start, pace)
        self.world, catch_up = _world(self.clock, seed=seed, tempo=tempo, lateness_s=lateness_s)
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
            check_write_key=check_write_key,
            requests_per_second=segment_requests_per_second,
            latency_s=latency_s,
        )
        self.gladly_log, self.segment_log = RequestLog(), RequestLog()
        self._gladly = Listener(
            Edge(
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
            Edge(
                segment_app(self.inbox, self.segment, self.faults),
                "segment",
                self.clock,
                self.faults,
                self.segment_log,
                latency_s=lambda: self.segment.latency_s,
            ),
            segment_port,
        )

    def __enter__(self) -> Self:
        """Start both services."""
        self.start_gladly()
        try:
            self.start_segment()
        except OSError:
            self.stop_gladly()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Stop both services."""
        self._segment.ask_to_stop()
        self.stop_gladly()
        self.stop_segment()

    @property
    def gladly_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://{HOST}:{self._gladly.port}"

    @property
    def segment_url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://{HOST}:{self._segment.port}"

    @property
    def gladly_requests(self) -> list[RequestSeen]:
        """The requests Gladly answered so far, oldest first; a copy."""
        return self.gladly_log.seen()

    @property
    def segment_requests(self) -> list[RequestSeen]:
        """The requests Segment answered so far, oldest first; a copy."""
        return self.segment_log.seen()

    def start_gladly(self) -> None:
        """Let Gladly listen (again, on the same port)."""
        self._gladly.start()

    def stop_gladly(self) -> None:
        """Let Gladly refuse connections; the world goes on."""
        self._gladly.stop()

    def start_segment(self) -> None:
        """Let Segment listen (again, on the same port)."""
        self._segment.start()

    def stop_segment(self) -> None:
        """Let Segment refuse connections; its inbox is kept."""
        self._segment.stop()


def _world(clock: Clock, *, seed: int, tempo: float, lateness_s: float) -> tuple[World, Callable[[], None]]:
    """Return a world, and what lets it catch up with the clock. Above tempo 0 it lives on its own."""
    if tempo <= 0:
        return World(clock, seed=seed, lateness_s=lateness_s), lambda: None
    living = LivingWorld(clock, seed=seed, tempo=tempo, lateness_s=lateness_s)
    return living, living.run_to_now


def serve(
    *,
    gladly_port: int = GLADLY_PORT,
    segment_port: int = SEGMENT_PORT,
    seed: int = 1,
    tempo: float = 1.0,
    pace: float = 1.0,
    ready: Callable[[Sandbox], None] | None = None,
    stop: threading.Event | None = None,
) -> None:
    """
    Run a sandbox until SIGINT, SIGTERM or *stop*.

    Args:
        ready: Called once both services listen; the only one to tell anyone anything.
        stop: Ends it when set; needed off the main thread, where signals cannot be heard.
    Raises:
        OSError: A port is taken; nothing is left running.
    """
    stop = stop or threading.Event()
    sandbox = Sandbox(gladly_port=gladly_port, segment_port=segment_port, seed=seed, tempo=tempo, pace=pace)
    with _signals_set(stop), sandbox:
        if ready is not None:
            ready(sandbox)
        while not stop.wait(0.5):  # a bounded wait lets signal handlers run on every platform
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
