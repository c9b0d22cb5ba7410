"""
The resolver: from a host's name to its addresses, within a time that is given.

`getaddrinfo` cannot be interrupted, neither by a deadline nor by a signal. With a name server that never
answers it takes 10 s or more. So it runs in a thread of its own, which nobody has to wait for (faults H2.6).
"""

import socket
import threading
import time

from urllib3.util.connection import allowed_gai_family

# An answer serves those who ask within this many seconds: also the next attempt, when the first one had
# given up waiting.
_FRESH_S = 10.0


class Resolver:
    """Look names up. Safe to use from several threads. One thread at a time looks up a name."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lookups: dict[tuple[str, int], _NameLookup] = {}

    def addresses(self, host: str, port: int, within_s: float) -> list[str]:
        """
        Return the IP addresses of *host*, in the order in which to try them.

        Args:
            host: A name or an address.
            port: The port to connect to.
            within_s: Wait no longer than this for an answer, in seconds. An answer that comes later serves
                the next call.

        Raises:
            OSError: The name cannot be resolved, or there is no answer in time.
            UnicodeError: The name can be no host's name.
        """
        if ":" in host or host.replace(".", "").isdecimal():
            return [host]  # it is an address already
        with self._lock:
            lookup = self._lookups.get((host, port))
            if lookup is None or not lookup.is_usable:
                lookup = self._lookups[host, port] = _NameLookup(host, port)
        return lookup.wait(within_s)


class _NameLookup:
    """One look-up of a name, which begins at once in a thread of its own."""

    def __init__(self, host: str, port: int) -> None:
        self._addresses: list[str] = []
        self._error: Exception | None = None
        self._answered_at = 0.0  # monotonic
        self._answered = threading.Event()
        threading.Thread(target=self._run, args=(host, port), name="resolver", daemon=True).start()

    def _run(self, host: str, port: int) -> None:
        try:
            found = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
            self._addresses = [str(address[0]) for *_, address in found]
        except (OSError, UnicodeError) as error:
            self._error = error
        self._answered_at = time.monotonic()
        self._answered.set()

    @property
    def is_usable(self) -> bool:
        """Whether the answer is still to come, or is good and fresh."""
        if not self._answered.is_set():
            return True
        return self._error is None and time.monotonic() - self._answered_at < _FRESH_S

    def wait(self, within_s: float) -> list[str]:
        """Return the answer, or raise what it is not there for."""
        if not self._answered.wait(within_s):
            raise socket.gaierror(socket.EAI_AGAIN, "no name server answered in time")
        if self._error is not None:
            raise self._error
        return self._addresses
