"""
Make requests to one host, through pooled connections. The clients of both ends use this file.

`Host` adds four things to the connections:

* Credentials go to the configured host only: redirects are never followed (semantics 5.5).
* Every request has a deadline for the whole of it. `timeout=` only limits the silence between two bytes, so a
  host that sends a byte now and then would hold a cycle for ever. A watchdog thread shuts the socket.
* A stop shuts the sockets in use, so that SIGTERM ends a hanging request at once.
* Every network failure becomes one `RetryableError` that names the host and never the credentials.
"""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import structlog
from urllib3 import BaseHTTPResponse

from sync.errors import RetryableError
from sync.http.connections import CONNECTION_ERRORS, Connections, reason
from sync.http.credentials import Credentials
from sync.printable import printable
from sync.stop import Stop

# The longest time between two bytes of an answer.
READ_TIMEOUT_S = 15.0

# An error message quotes at most this much of an answer.
QUOTED_CHARACTERS = 200

# The watchdog looks for requests past their deadline this often, in seconds.
_WATCH_EVERY_S = 0.25


class Exchange:
    """
    Hold a request under way, and its answer. The caller reads the body.

    Args:
        host: The host that the request goes to.
        deadline_s: Seconds until the request must be complete.

    Attributes:
        response: The answer, as urllib3 gives it. Read its body through `parts` or `body` only.
        deadline: When the request must be complete, on the monotonic clock.
    """

    response: BaseHTTPResponse

    def __init__(self, host: "Host", deadline_s: float) -> None:
        self._host = host
        self._socket: socket.socket | None = None
        self.deadline = time.monotonic() + deadline_s

    def use(self, connection: socket.socket) -> None:
        """Note the socket that the request was sent through."""
        self._socket = connection

    def shut(self) -> None:
        """Shut the socket. Another thread may do this: the thread that reads gets an error or an end."""
        if self._socket is not None:
            # The shutdown of socket.socket, because SSLSocket's is not safe while another thread reads.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def extend(self, deadline_s: float) -> None:
        """Allow *deadline_s* more seconds from now, because the body makes progress."""
        self.deadline = time.monotonic() + deadline_s

    def parts(self, *, decode: bool = True) -> Iterator[bytes]:
        """
        Yield the body, part by part.

        Args:
            decode: Whether to unpack a compressed body.

        Raises:
            RetryableError: The body broke off, or was not whole in time.
            StoppedError: A stop was asked for.
        """
        with self._host.explaining(self):
            yield from self.response.stream(65_536, decode_content=decode)
            # When the answer does not tell its length, a shut socket looks like the body's ordinary end.
            self.check_in_time()

    def body(self, limit: int) -> bytes:
        """
        Return the whole body.

        Args:
            limit: The largest body that is accepted, in bytes.

        Raises:
            RetryableError: The body broke off, was not whole in time, or is longer than *limit* bytes.
            StoppedError: A stop was asked for.
        """
        parts, size = [], 0
        for part in self.parts():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise RetryableError(f"{self._host.end} at {self._host.address} sent over {limit} bytes.")
        return b"".join(parts)

    def quoted(self, text: str) -> str:
        """Return *text*, made fit for a message by `Host.quoted`."""
        return self._host.quoted(text)

    def check_in_time(self) -> None:
        """
        Return, unless the request must end.

        Raises:
            RetryableError: The request is past its deadline.
            StoppedError: A stop was asked for.
        """
        self._host.stop.check()
        if self.deadline <= time.monotonic():
            raise RetryableError(f"{self._host.end} at {self._host.address} sent no whole answer in time.")


class Host:
    """
    Make requests to one host, through pooled connections. Several threads may use it at once.

    Args:
        base_url: Scheme and host, perhaps with a path; without a slash at the end.
        credentials: Sent with every request.
        end: The end's name for messages: `Gladly` or `Segment`.
        stop: Ends the requests under way when it is set.
        connections: How many connections are kept open for further requests.

    Attributes:
        address: The host's name, and the port if the URL has one.
        answers: The number of requests by status. The status is `none` when no answer came.
        end, stop: As given.
    """

    def __init__(
        self, base_url: str, credentials: Credentials, *, end: str, stop: Stop, connections: int = 1
    ) -> None:
        self.end = end
        self.address = urlsplit(base_url).netloc
        self.stop = stop
        self.answers: Counter[str] = Counter()
        self._log = structlog.get_logger().bind(end=end.lower())
        self._secrets = credentials.secrets()
        self._connections = Connections(
            base_url, credentials.authorization(), size=connections, on_socket=self._note_socket
        )
        self._beginning = threading.local()  # .exchange: whose request this thread is about to send
        self._exchanges: set[Exchange] = set()
        self._lock = threading.Condition()
        self._watchdog: threading.Thread | None = None
        self._watchdog_rests = False
        self._closed = False
        stop.on_set(self._shut_all)

    def close(self) -> None:
        """Close the pooled connections and end the watchdog."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._connections.close()

    @property
    def request_count(self) -> int:
        """Return the number of requests made so far."""
        return self.answers.total()

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        deadline_s: float,
        params: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        silence_s: float = READ_TIMEOUT_S,
    ) -> Iterator[Exchange]:
        """
        Make one request. Yield the exchange when the head of the answer has arrived, whatever its status.

        Args:
            method: `GET`, `POST` or `OPTIONS`.
            path: The part after the base URL, with the slash.
            deadline_s: Seconds for the whole exchange, the answer's body included. `Exchange.extend` gives a
                long body more time.
            params: The query, in this order.
            body: The body of the request.
            headers: Further headers. They replace the headers of the same name that every request has.
            silence_s: The longest time without a byte, in seconds.

        Raises:
            RetryableError: The host could not be reached or did not answer in time.
            StoppedError: A stop was asked for.
        """
        self.stop.check()
        exchange = Exchange(self, deadline_s)
        self._watch_over(exchange)
        status, began, request_id = "none", time.monotonic(), None
        try:
            with self.explaining(exchange):
                self._beginning.exchange = exchange
                exchange.response = response = self._connections.send(
                    method, path, params=params, body=body, headers=headers, silence_s=silence_s
                )
            status = str(response.status)
            request_id = response.headers.get("X-Request-Id")
            try:
                yield exchange
            finally:
                response.close()  # a connection whose answer was read to its end is in the pool already
        finally:
            with self._lock:
                self.answers[status] += 1
                self._exchanges.discard(exchange)
            self._log.debug(
                "request",
                method=method,
                path=path,
                status=status,
                milliseconds=round(1_000 * (time.monotonic() - began), 1),
                request_id=request_id and self.quoted(request_id),
            )

    @contextlib.contextmanager
    def explaining(self, exchange: Exchange) -> Iterator[None]:
        """
        Turn every failure of the connection of *exchange* into one kind of error.

        Raises:
            RetryableError: The connection failed, or the request is past its deadline.
            StoppedError: A stop was asked for.
        """
        try:
            yield
        except CONNECTION_ERRORS as error:
            exchange.check_in_time()
            raise RetryableError(
                f"{self.end} could not be reached at {self.address}: {reason(error)}."
            ) from error

    def quoted(self, text: str) -> str:
        """
        Return the host's words on one line, cut to `QUOTED_CHARACTERS`.

        Our credentials are removed, because a gateway may repeat them.

        Args:
            text: What the host said.
        """
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return " ".join(printable(" ".join(text.split())).split())[:QUOTED_CHARACTERS]

    def _note_socket(self, connection: socket.socket) -> None:
        self._beginning.exchange.use(connection)

    def _watch_over(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchanges.add(exchange)
            if self._watchdog_rests:
                self._lock.notify()
            if self._watchdog is None:
                self._watchdog = threading.Thread(
                    target=self._watch, name=f"{self.end} watchdog", daemon=True
                )
                self._watchdog.start()

    def _watch(self) -> None:
        """Shut the socket of every request past its deadline, until the host is closed."""
        with self._lock:
            while not self._closed:
                now = time.monotonic()
                for exchange in self._exchanges:
                    # At a stop too: the signal may arrive just before a request's socket is noted.
                    if exchange.deadline <= now or self.stop.is_set():
                        exchange.shut()
                self._watchdog_rests = not self._exchanges
                self._lock.wait(None if self._watchdog_rests else _WATCH_EVERY_S)

    def _shut_all(self) -> None:
        for exchange in list(self._exchanges):
            exchange.shut()
