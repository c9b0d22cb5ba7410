"""One service that listens on loopback, in a thread of its own."""

import asyncio
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

HOST = "127.0.0.1"

# Idle connections are kept as long as real services keep them, so that clients can reuse them.
_KEEP_ALIVE_S = 65
# How long a stop waits for answers under way before it cuts them off.
_STOP_GRACE_S = 0.3
# How often a server looks whether it must stop.
_TICK_S = 0.01


class _Server(uvicorn.Server):
    """A uvicorn server that stops within `_STOP_GRACE_S`, whatever its connections do."""

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
        await asyncio.sleep(_TICK_S)  # each connection learns of its end before its task is cancelled
        for task in list(self.server_state.tasks):
            task.cancel()


class Listener:
    """
    One ASGI application on one loopback port. The port is the same after a stop and another start.

    Args:
        app: The application.
        port: The port; 0 takes a free one at the first start.
    """

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
        # The protocol is named because asyncio sets TCP_NODELAY only on a socket that names TCP. Without
        # TCP_NODELAY every answer on a kept connection waits 40 ms for an acknowledgement.
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
            http="h11",  # pure Python, so that every machine sends the same bytes
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            date_header=False,  # `ServiceMiddleware` sets the world's date
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
        """Begin to stop and return at once, so that two listeners can stop at the same time."""
        if self._server is not None:
            self._server.should_exit = True

    def stop(self) -> None:
        """Close the port and every connection. New connections are refused from then on."""
        if self._server is None or self._thread is None:
            return
        self.ask_to_stop()
        self._thread.join()
        self._server = self._thread = None
