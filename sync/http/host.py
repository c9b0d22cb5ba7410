"""
One host and the pooled connections to it, as both clients use them (`requests`, and `tenacity` for retries).

requests prepares once: credentials, headers, proxies, certificates, the pool of connections. A call then goes
straight to the pool, at half the cost of `Session.request` (bench/PROFILE.md). What is added, each for a
reason:

* Credentials go to the configured host only: redirects are never followed, and `.netrc` never replaces them
  (semantics 5.5). Proxy and CA variables of the environment are honoured, except towards loopback.
* A call has a deadline for the whole of it. `timeout=` alone bounds the silence between two bytes, so a host
  that drips a byte now and then would hold a cycle for ever: a watchdog shuts the socket.
* A stop request shuts the sockets in use, so that SIGTERM ends a hanging call at once.
* Every network failure becomes one `RetryableError` that names the host and never the credentials.
"""

import contextlib
import email.utils
import math
import os
import random
import socket
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
import structlog
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3 import BaseHTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from state.failpoints import failpoint
from sync.errors import RetryableError
from sync.http.addresses import is_loopback
from sync.printable import printable
from sync.stop import Stop

if TYPE_CHECKING:
    import tenacity

T = TypeVar("T")

CONNECT_TIMEOUT_S = 4.0
READ_TIMEOUT_S = 15.0  # between two bytes

# A call is tried again this often, and for this long from its first failure: together with the other end's
# as much again, a cycle whose ends are both down is over within 20 seconds (interface 2).
MAX_ATTEMPTS = 5
PATIENCE_S = 8.0

# An error answer is quoted up to this.
QUOTED_CHARACTERS = 200

# No host is believed about a wait longer than this.
LONGEST_RETRY_AFTER_S = 900.0

# The socket that a thread's call uses, noted by the connection for the watchdog.
_sockets: dict[int, socket.socket] = {}


class _HTTPConnection(HTTPConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        _sockets[threading.get_ident()] = self.sock


class _HTTPSConnection(HTTPSConnection):
    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)
        _sockets[threading.get_ident()] = self.sock


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """requests' own, with the connections above, to the host itself and through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class Exchange:
    """
    A call under way: its answer, the body still to be read.

    Attributes:
        response: As urllib3 has it; its body is read through `parts` or `body` only.
    """

    response: BaseHTTPResponse

    def __init__(self, edge: "Edge", deadline_s: float) -> None:
        self._edge = edge
        self._thread = threading.get_ident()
        self._socket: socket.socket | None = None
        self.deadline = time.monotonic() + deadline_s

    def begin(self, response: BaseHTTPResponse) -> None:
        """The answer's head has arrived."""
        self.response = response
        self._socket = _sockets.pop(self._thread, None)

    def shut(self) -> None:
        """Shut the socket, from another thread: whoever waits for it finds an error or an end."""
        connection = self._socket or _sockets.get(self._thread)
        if connection is not None:
            # socket.socket's own: SSLSocket's shutdown is not made for another thread that reads meanwhile.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def extend(self, deadline_s: float) -> None:
        """Allow *deadline_s* more seconds from now: the body makes progress."""
        self.deadline = time.monotonic() + deadline_s

    def parts(self, *, decode: bool = True) -> Iterator[bytes]:
        """
        The body, part by part.

        Raises:
            RetryableError: It broke off, or was not whole in time.
            StoppedError: A stop was asked for.
        """
        with self._edge.explaining(self):
            yield from self.response.stream(65_536, decode_content=decode)
            # A shut socket looks like an ordinary end where the answer does not say how long it is.
            self.check_in_time()

    def body(self, limit: int) -> bytes:
        """
        The whole body.

        Raises:
            RetryableError: It broke off, was not whole in time, or is longer than *limit* bytes.
            StoppedError: A stop was asked for.
        """
        parts, size = [], 0
        for part in self.parts():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise RetryableError(f"{self._edge.name} at {self._edge.host} sent over {limit} bytes.")
        return b"".join(parts)

    def quoted(self, text: str) -> str:
        """See `Edge.quoted`."""
        return self._edge.quoted(text)

    def check_in_time(self) -> None:
        """
        Raises:
            RetryableError: The call is past its deadline.
            StoppedError: A stop was asked for.
        """
        self._edge.stop.check()
        if self.deadline <= time.monotonic():
            raise RetryableError(f"{self._edge.name} at {self._edge.host} sent no whole answer in time.")


class Edge:
    """
    One host. Safe to use from several threads.

    Args:
        base_url: Scheme and host, perhaps a path; without a slash at the end.
        auth: User name and password, sent as HTTP Basic with every call.
        name: Who is there, for messages: `Gladly`, `Segment`.
        stop: Ends calls under way when set.
        connections: How many calls at once the pool has connections for.
    """

    def __init__(
        self, base_url: str, auth: tuple[str, str], *, name: str, stop: Stop, connections: int = 1
    ) -> None:
        self.base_url = base_url
        self.name = name
        self.host = urlsplit(base_url).netloc
        self.stop = stop
        self._log = structlog.get_logger().bind(end=name.lower())
        self.answers: Counter[str] = Counter()  # calls made, by status; "none" where no answer came
        self._exchanges: set[Exchange] = set()
        self._lock = threading.Condition()
        self._watchdog: threading.Thread | None = None
        self._watchdog_rests = False
        self._closed = False
        basic = b64encode(":".join(auth).encode()).decode()
        secret = auth[1] or auth[0]  # Segment's write key is the user name
        self._secrets = [s for s in (basic, basic.rstrip("="), secret, quote(secret, safe="")) if s]
        self._adapter = _Adapter(pool_maxsize=connections)
        self._prepared = requests.Request(
            "GET",
            base_url + "/",
            headers={**requests.utils.default_headers(), "User-Agent": "gladly-segment-sync"},
            auth=HTTPBasicAuth(auth[0].encode(), auth[1].encode()),
        ).prepare()
        self._headers = dict(self._prepared.headers)
        # No `Session`, so `.netrc` is not read, which would replace our credentials.
        self._proxies: dict[str, str] = {}
        self._verify: bool | str = True
        if not is_loopback(base_url):
            self._proxies = dict(requests.utils.get_environ_proxies(base_url))
            self._verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._way: tuple[HTTPConnectionPool, str] | None = None
        stop.call(self._shut_all)

    def close(self) -> None:
        """Close the pooled connections and end the watchdog."""
        with self._lock:
            self._closed = True
            self._lock.notify()
        self._adapter.close()

    @property
    def requests(self) -> int:
        """Calls made."""
        return self.answers.total()

    @contextlib.contextmanager
    def call(
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
        Make one call; what is handed out has an answer's head, whatever its status.

        Args:
            deadline_s: Seconds for the whole of it, body included; `Exchange.extend` gives a long body more.
            silence_s: Seconds that may pass without a byte.

        Raises:
            RetryableError: The host could not be reached or did not answer in time.
            StoppedError: A stop was asked for.
        """
        self.stop.check()
        exchange = Exchange(self, deadline_s)
        with self._lock:
            self._exchanges.add(exchange)
            if self._watchdog_rests:
                self._lock.notify()
            if self._watchdog is None:
                self._watchdog = threading.Thread(
                    target=self._watch, name=f"{self.name} watchdog", daemon=True
                )
                self._watchdog.start()
        answered, began, request_id = "none", time.monotonic(), None
        try:
            failpoint(f"{self.name.lower()}.request")
            with self.explaining(exchange):
                pool, prefix = self._way = self._way or self._find_the_way()
                response = pool.urlopen(
                    method,
                    f"{prefix}{path}?{urlencode(params)}" if params else prefix + path,
                    body=body,
                    headers={**self._headers, **headers} if headers else self._headers,
                    timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=silence_s),
                    retries=False,
                    redirect=False,
                    assert_same_host=False,
                    preload_content=False,
                    decode_content=False,
                )
            answered = str(response.status)
            request_id = response.headers.get("X-Request-Id")
            try:
                exchange.begin(response)
                failpoint(f"{self.name.lower()}.answer")
                yield exchange
            finally:
                response.close()  # only what has not been read to its end; what has is in the pool again
        finally:
            with self._lock:
                self.answers[answered] += 1
                self._exchanges.discard(exchange)
            self._log.debug(
                "request",
                method=method,
                path=path,
                status=answered,
                milliseconds=round(1_000 * (time.monotonic() - began), 1),
                request_id=request_id and self.quoted(request_id),
            )

    def _find_the_way(self) -> tuple[HTTPConnectionPool, str]:
        """The pool of connections, through a proxy where there is one, and what a path is put behind."""
        prepared, proxies = self._prepared, self._proxies
        pool: Any = self._adapter.get_connection_with_tls_context(prepared, self._verify, proxies=proxies)
        self._adapter.cert_verify(pool, prepared.url, self._verify, None)  # type: ignore[no-untyped-call]
        return pool, self._adapter.request_url(prepared, proxies).rstrip("/")

    @contextlib.contextmanager
    def explaining(self, exchange: Exchange) -> Iterator[None]:
        """Turn every way a connection can fail into one sentence."""
        try:
            yield
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            exchange.check_in_time()
            raise RetryableError(
                f"{self.name} could not be reached at {self.host}: {_reason(error)}."
            ) from error

    def quoted(self, text: str) -> str:
        """What the host said, on one line and cut, without our credentials, which a gateway may repeat."""
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return " ".join(printable(" ".join(text.split())).split())[:QUOTED_CHARACTERS]

    def _watch(self) -> None:
        """Shut the socket of every call past its deadline, until closed."""
        with self._lock:
            while not self._closed:
                now = time.monotonic()
                for exchange in self._exchanges:
                    # At a stop as well: its signal may come just before a socket is noted.
                    if exchange.deadline <= now or self.stop.is_set():
                        exchange.shut()
                self._watchdog_rests = not self._exchanges
                self._lock.wait(None if self._watchdog_rests else 0.25)

    def _shut_all(self) -> None:
        for exchange in list(self._exchanges):
            exchange.shut()


def _reason(error: BaseException) -> str:
    """The innermost cause, without addresses of objects and without the URL's query."""
    cause: Any = error
    while True:
        deeper = getattr(cause, "reason", None)
        if not isinstance(deeper, BaseException):
            deeper = next((a for a in getattr(cause, "args", ()) if isinstance(a, BaseException)), None)
        if deeper is None:
            break
        cause = deeper
    if isinstance(cause, urllib3.exceptions.NewConnectionError):
        return str(cause).rsplit(": ", 1)[-1].partition("] ")[2].removesuffix(")") or "no connection"
    if isinstance(cause, (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)):
        return "no answer in time"
    text = str(cause)
    return text.rsplit(">: ", 1)[-1].removeprefix("Failed to resolve ") if text else type(cause).__name__


def server_date(response: BaseHTTPResponse) -> datetime | None:
    """The host's own clock, from the `Date` header: whole seconds, cut; None where it says nothing."""
    try:
        return email.utils.parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError, OverflowError):
        return None


def retry_after_s(response: BaseHTTPResponse) -> float | None:
    """
    How long the host asks to wait: `Retry-After` as seconds or a date, else `X-RateLimit-Reset` as seconds.

    Returns: 0 to `LONGEST_RETRY_AFTER_S`; None where it asks for nothing that makes sense.
    """
    for name in ("Retry-After", "X-RateLimit-Reset"):
        text = response.headers.get(name, "").strip()
        try:
            seconds = float(text)
        except ValueError:
            try:
                then = email.utils.parsedate_to_datetime(text)
                seconds = (then - (server_date(response) or datetime.now(UTC))).total_seconds()
            except (ValueError, TypeError, OverflowError):
                continue
        if 0 <= seconds < math.inf:
            return min(seconds, LONGEST_RETRY_AFTER_S)
    return None


def retried(call: Callable[[], T], stop: Stop) -> T:
    """
    What *call* returns. The one retry policy: only a `RetryableError` has it made again, after an exponential
    back-off with jitter or what the host asks for, at most `MAX_ATTEMPTS` times within `PATIENCE_S`; a longer
    wait is left to the next cycle. A stop ends the wait.

    Raises: As *call* does, at last.
    """
    patient_until = time.monotonic() + PATIENCE_S
    failed: RetryableError | None
    try:
        return call()
    except RetryableError as error:
        failed = error
    # Only now is tenacity wanted, and given the failure as its first attempt: next to no call comes here, and
    # what it costs each time is a tenth of a call to a host that is near.
    import tenacity

    def attempt() -> T:
        nonlocal failed
        if failed is not None:
            first, failed = failed, None
            raise first
        return call()

    def is_enough(state: tenacity.RetryCallState) -> bool:
        is_last = state.attempt_number >= MAX_ATTEMPTS
        return is_last or time.monotonic() + state.upcoming_sleep >= patient_until

    policy = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RetryableError),
        stop=is_enough,
        wait=_wait_s,
        sleep=stop.sleep,
        reraise=True,
    )
    return policy(attempt)


def _wait_s(state: "tenacity.RetryCallState") -> float:
    backoff = backoff_s(state.attempt_number)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_s if isinstance(error, RetryableError) else None
    # A little over what was asked: hosts count whole seconds, and others wait for the same instant.
    return backoff if asked is None else asked + 0.1 * backoff


def backoff_s(attempt: int) -> float:
    """Seconds to wait after the n-th failed attempt: 0.5, 1, 2, 4 at the most, with jitter down to half."""
    return min(4.0, 0.5 * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)
