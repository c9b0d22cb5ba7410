"""
Tell systemd how the daemon is (`Type=notify`, sd_notify(3)): datagrams to the socket that systemd names.

No library is used: the protocol is one datagram, and a library is larger than the code that it saves.

READY=1 is sent when the first cycle begins. The settings, the state file and the metrics' port are good by
then, and nothing else can make a start fail. It does not wait for that cycle to end. A first cycle may read a
gap of days, and a first cycle with an end that is down fails and is followed by the next. systemd would take
both for a start that hangs (`TimeoutStartSec`), and kill a daemon that would have gone on by itself.
"""

import os
import socket
import time
from contextlib import suppress

from sync.printable import printable

# systemd reads at once. A reader that does not must not hold up the daemon for longer than this, in seconds.
_SEND_TIMEOUT_S = 1.0

# A start that waits asks for so many more seconds, and asks again this often.
_STARTING_S = 30
_STARTING_EVERY_S = 5.0

# `systemctl status` shows one line.
_STATUS_CHARACTERS = 300


class Notifier:
    """
    Tell systemd how the daemon is. Without systemd, do nothing.

    Attributes:
        watchdog_s: How often systemd wants to hear `alive`, in seconds, halved as sd_watchdog_enabled(3)
            advises. It is None when systemd does not ask, or asks another process.
    """

    def __init__(self) -> None:
        name = os.environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + name[1:] if name.startswith("@") else name  # an abstract name
        self.watchdog_s: float | None = None
        self._started_at = -_STARTING_EVERY_S  # monotonic: when systemd last heard `starting`
        microseconds = os.environ.get("WATCHDOG_USEC", "")
        asked = os.environ.get("WATCHDOG_PID", str(os.getpid()))
        if self._address and microseconds.isdecimal() and int(microseconds) and asked == str(os.getpid()):
            self.watchdog_s = int(microseconds) / 2_000_000

    def starting(self) -> None:
        """
        Say that the start gets on, and needs half a minute more.

        A daemon that waits for its turn on the state file is not ready yet. systemd would end it after
        `TimeoutStartSec`. Called often, this says so every few seconds (faults H2.13).
        """
        if time.monotonic() - self._started_at >= _STARTING_EVERY_S:
            self._started_at = time.monotonic()
            self._send(f"EXTEND_TIMEOUT_USEC={_STARTING_S}000000")

    def ready(self) -> None:
        """Say that the first cycle begins."""
        self._send("READY=1")

    def alive(self) -> None:
        """Say that the daemon is not hung."""
        self._send("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """Say how the daemon is, on one line."""
        self._send("STATUS=" + printable(sentence)[:_STATUS_CHARACTERS])

    def stopping(self) -> None:
        """Say that the daemon was asked to stop, and is stopping."""
        self._send("STOPPING=1")

    def _send(self, assignment: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.settimeout(_SEND_TIMEOUT_S)
            sending.sendto(assignment.encode(), self._address)
