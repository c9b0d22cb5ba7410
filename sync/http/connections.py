"""
Keep the pooled connections to one host. They are used directly, in place of `requests.Session`.

requests prepares TLS, the pool, the proxy and the CA certificates that the environment names. A request then
goes straight to the pool (`urlopen`). A poll of 10,000 changes takes 2.5 s of CPU this way, and 4.1 s through
`Session.request`. With a `Session` the sync would be 1.6 times as fast as a dlt pipeline; bench/PROFILE.md
requires 2.5 times.

Two further reasons not to use a `Session`:

* It reads `.netrc`, which would replace our credentials (semantics 5.5).
* It does not show which socket a request uses. Enforcing a deadline means shutting that socket.
"""

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import HTTPConnectionPool

from sync.http.addresses import is_loopback
from sync.http.resolver import Resolver

CONNECT_TIMEOUT_S = 4.0

# Every failure of a connection is an instance of one of these.
CONNECTION_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Connections:
    """
    Keep the connections to one host. Several threads may use them at once.

    Args:
        base_url: Scheme and host, perhaps with a path; without a slash at the end.
        authorization: The value of the `Authorization` header of every request.
        size: How many connections are kept open for further requests.
        on_socket: Called with the socket of each request, in the thread that makes the request, once the
            request has been sent.
    """

    def __init__(
        self, base_url: str, authorization: str, *, size: int, on_socket: Callable[[socket.socket], None]
    ) -> None:
        self._on_socket = on_socket
        self._resolver = Resolver()
        self._adapter = HTTPAdapter(pool_maxsize=size)
        self._prepared = requests.Request("GET", base_url + "/").prepare()
        self._headers = {
            **requests.utils.default_headers(),
            "User-Agent": "gladly-segment-sync",
            "Authorization": authorization,
        }
        # Proxy and CA variables of the environment are honoured, except towards loopback.
        self._proxies: dict[str, str] = {}
        self._verify: bool | str = True
        if not is_loopback(base_url):
            self._proxies = dict(requests.utils.get_environ_proxies(base_url))
            self._verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
        self._way: tuple[HTTPConnectionPool, str] | None = None

    def close(self) -> None:
        """Close the connections."""
        self._adapter.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        params: list[tuple[str, str]] | None,
        body: bytes | None,
        headers: Mapping[str, str] | None,
        silence_s: float,
    ) -> BaseHTTPResponse:
        """
        Send one request and return its answer. The caller reads the body. Redirects are never followed.

        Args:
            method: `GET` or `POST`.
            path: The part after the base URL, with the slash.
            params: The query, in this order.
            body: The body of the request.
            headers: Further headers. They replace the headers of the same name that every request has.
            silence_s: The longest time without a byte, in seconds.

        Raises: One of `CONNECTION_ERRORS`.
        """
        pool, prefix = self._way = self._way or self._find_the_way()
        return pool.urlopen(
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

    def _find_the_way(self) -> tuple[HTTPConnectionPool, str]:
        """Return the pool, which uses a proxy if the environment names one, and the prefix of each path."""
        prepared, proxies, on_socket = self._prepared, self._proxies, self._on_socket
        resolver = self._resolver
        pool: Any = self._adapter.get_connection_with_tls_context(prepared, self._verify, proxies=proxies)
        self._adapter.cert_verify(pool, prepared.url, self._verify, None)  # type: ignore[no-untyped-call]

        class Connection(pool.ConnectionCls):  # type: ignore[misc]  # HTTP or HTTPS, as the pool has it
            _dns_host: str

            def request(self, *args: Any, **kwargs: Any) -> None:
                super().request(*args, **kwargs)
                on_socket(self.sock)

            def _new_conn(self) -> socket.socket:
                """Connect to the first address that takes it. urllib3 would wait for its name for ever."""
                name = self._dns_host
                failed: Exception | None = None
                for address in self._addresses(name):
                    self._dns_host = address
                    try:
                        connected: socket.socket = super()._new_conn()
                    except urllib3.exceptions.HTTPError as error:
                        failed = error
                    else:
                        return connected
                    finally:
                        self._dns_host = name  # the certificate is checked against the name
                assert failed is not None
                raise failed

            def _addresses(self, name: str) -> list[str]:
                try:
                    return resolver.addresses(name, self.port, CONNECT_TIMEOUT_S)
                except socket.gaierror as error:
                    raise urllib3.exceptions.NameResolutionError(name, self, error) from error
                except UnicodeError:
                    return [name]  # urllib3 says what is wrong with it

        pool.ConnectionCls = Connection
        return pool, self._adapter.request_url(prepared, proxies).rstrip("/")


def reason(error: BaseException) -> str:
    """
    Return why a connection failed, in a few words.

    The words are those of the innermost cause, without addresses of objects and without the URL's query.
    """
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
