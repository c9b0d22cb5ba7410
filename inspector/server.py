"""Serves the inspector: the socket, the signals, the person's browser."""

import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from urllib.parse import urlencode

import uvicorn

from inspector.access import TOKEN
from inspector.application import Inspector
from state.file import is_there, open_for_reading

# The sandbox has 8410, 8411 and 8413.
DEFAULT_PORT = 8412

# How long the server waits at its end for a page that is being served, in seconds.
_GRACE_S = 2

_BACKLOG = 128


class _Server(uvicorn.Server):
    """uvicorn that ends with exit code 0 on a signal. uvicorn itself would raise the signal once more."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._end) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.force_exit = self.should_exit  # the second signal does not wait
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._started()


def serve(
    path: Path,
    *,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    open_browser: bool = True,
    ready: Callable[[str], None] | None = None,
) -> None:
    """
    Serve the state file until SIGINT or SIGTERM.

    Args:
        path: The state file. While there is none, the pages say so; they show it as soon as it is there.
        port: The port to listen on. 0 takes any free one.
        host: The address or name on which to listen. Whoever can reach it and knows the token can read the
            state file: names, e-mails, phone numbers.
        open_browser: Whether to open the person's browser.
        ready: Called with the address, which holds the token, once the server answers.

    Raises:
        StateFileError: The file is not ours, or damaged, or its directory is missing.
        NewerSchemaError: A newer release wrote it.
        OSError: The port is taken, or *host* is not an address of this machine.
    """
    look_at(path)
    with bind(host, port) as listening:
        inspector = Inspector(path, host)
        address = f"http://{_in_url(host)}:{listening.getsockname()[1]}/"
        url = f"{address}?{urlencode({TOKEN: inspector.token})}"
        with tempfile.TemporaryDirectory(prefix="gladly-segment-", ignore_cleanup_errors=True) as directory:

            def started() -> None:
                if ready is not None:
                    ready(url)
                if open_browser:
                    # In a thread: the launchers of some browsers return only when the browser is closed.
                    page = page_leading_to(url, Path(directory))
                    threading.Thread(target=webbrowser.open, args=(page.as_uri(),), daemon=True).start()

            try:
                make_server(inspector, started).run(sockets=[listening])
            finally:
                inspector.close()


def look_at(path: Path) -> None:
    """
    Refuse a file that is not a state file of ours. A missing or empty file may still become one.

    Raises:
        StateFileError: The file is not ours, or damaged, or its directory is missing.
        NewerSchemaError: A newer release wrote it.
    """
    if is_there(path):
        open_for_reading(path).close()


def bind(host: str, port: int) -> socket.socket:
    """
    Return a socket that listens on a port, 0 for any free one.

    Raises:
        OSError: The port is taken, or *host* is not an address of this machine.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # there it would let two programs share the port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def page_leading_to(url: str, directory: Path) -> Path:
    """
    Write a page that leads to *url*, and return its path.

    The browser is started with the path of this page. Every user of the machine can see the arguments of a
    process, and *url* holds the token.

    Args:
        url: The address.
        directory: A directory that only its owner can enter.
    """
    page = directory / "inspect.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0; url={url}">'
        f'<title>inspect</title><a href="{url}">inspect</a>\n',
        encoding="utf-8",
    )
    page.chmod(0o600)
    return page


def make_server(inspector: Inspector, started: Callable[[], None]) -> uvicorn.Server:
    """Return the server for an application, not yet running. It calls *started* once it answers."""
    config = uvicorn.Config(
        inspector.app,
        log_level="warning",
        access_log=False,  # its lines hold ids of customers
        server_header=False,
        proxy_headers=False,  # nothing a client says about itself is believed
        ws="none",
        timeout_graceful_shutdown=_GRACE_S,
    )
    return _Server(config, started)


def _in_url(host: str) -> str:
    if host in ("0.0.0.0", ""):  # noqa: S104  # compared with, not bound to
        return "127.0.0.1"
    if host == "::":
        return "[::1]"
    return f"[{host}]" if ":" in host else host
