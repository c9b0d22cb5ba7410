"""
Send the heartbeat: a GET request to a URL after each good cycle.

A monitor elsewhere (Healthchecks, Uptime Kuma, Cronitor) notices when the requests cease for any
reason, even when this machine has died. The request has a thread of its own. It can neither fail nor delay a
cycle, and only the end of `once` waits for it. Anyone who has the URL can send heartbeats, so no message
names it.
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

# At its end, `once` looks this often whether the heartbeat has ended, in seconds.
_LOOK_S = 0.02


class Heartbeat:
    """
    Send heartbeats.

    Args:
        url: Where they go: one attempt each, without credentials, and no redirect is followed. None sends
            nothing.
        stop: Ends the wait for an answer.
    """

    def __init__(self, url: str | None, stop: Stop) -> None:
        self._url = url
        self._stop = stop
        self._beating: threading.Thread | None = None
        self._since = 0.0  # monotonic
        self._reason: str | None = None  # why the last one failed

    def beat(self) -> None:
        """Send a heartbeat, and do not wait for the answer. Send none while an earlier one hangs."""
        if self._url is None or self._stop.is_set():
            return
        if self._is_under_way():
            if time.monotonic() - self._since > TIMEOUT_S:
                self._tell("no answer in time")
            return
        # The thread runs in a copy of this context, so that its log lines carry the cycle's id.
        work = contextvars.copy_context().run
        self._beating = threading.Thread(target=work, args=(self._request,), name="heartbeat", daemon=True)
        self._since = time.monotonic()
        self._beating.start()

    def wait(self) -> None:
        """Wait for the heartbeat under way, until its time-out or a stop."""
        while self._is_under_way() and not self._stop.wait(_LOOK_S):
            if time.monotonic() - self._since > TIMEOUT_S:
                self._tell("no answer in time")
                return

    def _is_under_way(self) -> bool:
        return self._beating is not None and self._beating.is_alive()

    def _request(self) -> None:
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
        """Log a failure when it is a new one, and log its end."""
        before, self._reason = self._reason, reason
        if reason is not None and reason != before:
            log.warning("heartbeat.failed", reason=reason)
        elif reason is None and before is not None:
            log.info("heartbeat.recovered")
