"""
The heartbeat: a GET of a URL after each good cycle, so that a monitor elsewhere (Healthchecks, Uptime Kuma,
Cronitor) notices when they cease, for whatever reason, this machine's end included.

It has a thread of its own: nothing waits for it but the end of `once`, and it can fail or hold up no cycle.
The URL is a capability, so no message names it.
"""

import contextvars
import os
import threading
import time

import requests
import structlog

from sync.http.addresses import is_loopback
from sync.stop import Stop

log = structlog.get_logger()

TIMEOUT_S = 5.0

# How often the end of `once` looks whether the heartbeat is through.
_LOOK_S = 0.02


class Heartbeat:
    """
    Args:
        url: Called as it is: one attempt, no credentials, no redirect followed. None calls nothing.
        stop: Ends the wait for it.
    """

    def __init__(self, url: str | None, stop: Stop) -> None:
        self._url = url
        self._stop = stop
        self._beating: threading.Thread | None = None
        self._since = 0.0  # monotonic
        self._reason: str | None = None  # why the last one failed

    def beat(self) -> None:
        """Call the URL, not waiting for the answer; not while an earlier call hangs."""
        if self._url is None or self._stop.is_set():
            return
        if self._is_under_way():
            if time.monotonic() - self._since > TIMEOUT_S:
                self._tell("no answer in time")
            return
        # Its context: a line about it carries the cycle's id.
        work = contextvars.copy_context().run
        self._beating = threading.Thread(target=work, args=(self._call,), name="heartbeat", daemon=True)
        self._since = time.monotonic()
        self._beating.start()

    def wait(self) -> None:
        """Wait for the call under way, until its time-out or a stop."""
        while self._is_under_way() and not self._stop.wait(_LOOK_S):
            if time.monotonic() - self._since > TIMEOUT_S:
                self._tell("no answer in time")
                return

    def _is_under_way(self) -> bool:
        return self._beating is not None and self._beating.is_alive()

    def _call(self) -> None:
        assert self._url is not None
        try:
            with requests.Session() as session:
                session.trust_env = False  # `.netrc` would add credentials
                if not is_loopback(self._url):
                    session.proxies = dict(requests.utils.get_environ_proxies(self._url))
                    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
                    session.verify = bundle or True
                session.headers["User-Agent"] = "gladly-segment-sync"
                answer = session.get(self._url, timeout=TIMEOUT_S, allow_redirects=False, stream=True)
                status = answer.status_code
        except requests.Timeout:
            self._tell("no answer in time")
        except requests.exceptions.SSLError:
            self._tell("no TLS that can be trusted")
        except requests.ConnectionError:
            self._tell("could not be reached")
        except (requests.RequestException, OSError, ValueError) as error:
            self._tell(type(error).__name__)  # its text may hold the URL
        else:
            redirects = ", a redirect, which is not followed" if 300 <= status < 400 else ""
            self._tell(None if 200 <= status < 300 else f"answered {status}{redirects}")

    def _tell(self, reason: str | None) -> None:
        """Log a failure when it is new, and its end."""
        before, self._reason = self._reason, reason
        if reason is not None and reason != before:
            log.warning("heartbeat.failed", reason=reason)
        elif reason is None and before is not None:
            log.info("heartbeat.recovered")
