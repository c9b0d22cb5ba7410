"""
Serve the metrics over HTTP: the port of `metrics.listen`.

Each scrape has a thread of its own, so that it delays no cycle.
"""

import socket
import socketserver
import threading
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import requests
from prometheus_client import CollectorRegistry, make_wsgi_app

from sync.errors import SettingsError

# The connection of a scraper that sends nothing for this many seconds is closed.
_SILENCE_S = 10.0


class MetricsPage:
    """
    Show a registry's metrics on a port.

    Args:
        registry: The metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._server: _Server | None = None

    def serve(self, host: str, port: int) -> str:
        """
        Listen, and answer scrapes from now on. Return the page's URL.

        Args:
            host: The address to listen on.
            port: The port; 0 takes a free one.

        Raises:
            SettingsError: The address cannot be had.
        """
        self._server = listening(host, port)
        self._server.set_app(make_wsgi_app(self._registry))
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return _url(host, self._server.server_port)

    def close(self) -> None:
        """Give the port back. Answers under way are cut off at the end of the process."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(WSGIRequestHandler):
    timeout = _SILENCE_S

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a scrape is not worth a line."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """Give each scrape a thread. No thread holds up the end of the process."""

    daemon_threads = True

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int]) -> None:
        self.address_family = family
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Bind as `HTTPServer` does, and do not ask the DNS for this host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a scraper hangs up."""


def listening(host: str, port: int) -> _Server:
    """
    Return a server that listens on an address.

    Args:
        host: The address.
        port: The port; 0 takes a free one.

    Raises:
        SettingsError: The address cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return _Server(family, (str(address[0]), port))
    except OSError as error:
        raise SettingsError(
            f"metrics.listen: the sync cannot listen on {host}:{port} ({error.strerror or error}). "
            "Name another address, or end the program that listens there."
        ) from error


def are_shown_at(host: str, port: int) -> bool:
    """Return whether the program that listens there is a daemon that shows its metrics."""
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxy
            return b"gladly_segment_build_info" in session.get(_url(host, port), timeout=2.0).content
    except requests.RequestException:
        return False


def _url(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/metrics"
