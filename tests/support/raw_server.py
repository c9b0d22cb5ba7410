"""A server that writes whatever bytes it is told to: it hands each request and its socket to a function."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Headers = list[tuple[str, str]]


class _ClientGone(Exception):
    """The client hung up before its request was whole. This ends the connection and is no failure."""


@dataclass
class RawRequest:
    """A request whose head has been read. Its body is read from the socket when it is asked for."""

    method: str
    target: str
    headers: Headers
    _reader: "_Reader"
    _body: bytes | None = None

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target's query, still percent-encoded."""
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return the first header called *name*, in upper or lower case, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def body(self) -> bytes:
        """The whole body. It is read on first use."""
        if self._body is None:
            if (self.header("transfer-encoding") or "").lower() == "chunked":
                self._body = self._reader.chunked()
            else:
                self._body = self._reader.exactly(int(self.header("content-length") or 0))
        return self._body

    def read_some(self, count: int) -> bytes:
        """Return up to *count* bytes of the body and leave the rest unread."""
        return self._reader.exactly(min(count, int(self.header("content-length") or count)))


class _Reader:
    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._held = sock, b""

    def _more(self) -> None:
        data = self._sock.recv(65536)
        if not data:
            raise _ClientGone
        self._held += data

    def until(self, mark: bytes) -> bytes:
        while mark not in self._held:
            self._more()
        found, _, self._held = self._held.partition(mark)
        return found

    def exactly(self, count: int) -> bytes:
        while len(self._held) < count:
            self._more()
        found, self._held = self._held[:count], self._held[count:]
        return found

    def chunked(self) -> bytes:
        body = b""
        while size := int(self.until(b"\r\n").partition(b";")[0], 16):
            body += self.exactly(size)
            self.until(b"\r\n")
        while self.until(b"\r\n"):
            pass
        return body

    def request(self) -> RawRequest:
        first, *rest = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        pairs = (line.partition(":") for line in rest)
        return RawRequest(method, target, [(name, value.strip()) for name, _, value in pairs], self)


Handler = Callable[[RawRequest, socket.socket], bool | None]


class RawServer:
    """
    A threaded server on a free loopback port. A context manager: it listens while entered.

    Args:
        handler: Called with each request and its socket, and writes whatever it likes. When it returns True
            the connection stays open for another request; otherwise it is closed.

    Attributes:
        closing: Set when the server stops; whatever waits should wait on it.
        seen: Method and target of every request, in the order in which they came.
    """

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.closing = threading.Event()
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a path."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        """Begin to accept connections."""
        self._spawn(self._accept)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        """Close the port and every connection, wake every waiting handler, and join the threads."""
        self.closing.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            still_open = list(self._open)
        for sock in still_open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(5)

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name="raw-server", daemon=True)
        with self._lock:
            self._threads = [known for known in self._threads if known.is_alive()] + [thread]
            thread.start()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(sock)
            self._spawn(self._converse, sock)

    def _converse(self, sock: socket.socket) -> None:
        reader = _Reader(sock)
        try:
            # An error on a connection only ends that connection: in many tests the client hangs up.
            with contextlib.suppress(OSError, _ClientGone, ValueError):
                while not self.closing.is_set():
                    request = reader.request()
                    self.seen.append((request.method, request.target))
                    if not self._handler(request, sock):
                        break
        finally:
            with self._lock:
                self._open.discard(sock)
            sock.close()
