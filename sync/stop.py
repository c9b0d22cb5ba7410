"""Ask the process to end: a signal sets a `Stop` once, and everything that waits or hangs obeys it."""

import math
import os
import select
import signal
import time
from collections.abc import Callable

from sync.errors import StoppedError

# poll(2) takes no more than 24 days, in milliseconds. A longer wait is made of several.
_LONGEST_POLL_S = 86_400.0


class Stop:
    """
    Hold the request to end, for all threads.

    The class uses a pipe and no lock, because `set` is called from a signal handler. The handler may have
    interrupted this very thread at any instruction.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._on_set: list[Callable[[], None]] = []

    def __del__(self) -> None:
        os.close(self._read_fd)
        os.close(self._write_fd)

    def set(self) -> None:
        """Ask everything to end: waits return, and sockets in use are shut."""
        if not self._is_set:
            self._is_set = True
            os.write(self._write_fd, b"!")  # it is never read, so every later wait returns at once
            for callback in self._on_set:
                callback()

    def is_set(self) -> bool:
        """Return whether the process was asked to end."""
        return self._is_set

    def wait(self, seconds: float | None = None) -> bool:
        """
        Wait until the process is asked to end. Return whether it was asked.

        Args:
            seconds: The longest wait, in seconds; None waits without a limit.
        """
        poll = select.poll()
        poll.register(self._read_fd, select.POLLIN)
        until = None if seconds is None else time.monotonic() + seconds
        while not self._is_set:
            left_s = math.inf if until is None else max(0.0, until - time.monotonic())
            poll.poll(min(left_s, _LONGEST_POLL_S) * 1000)
            if left_s <= _LONGEST_POLL_S:
                break
        return self._is_set

    def sleep(self, seconds: float) -> None:
        """
        Wait for *seconds*.

        Raises:
            StoppedError: The process was asked to end, before or during the wait.
        """
        self.wait(seconds)
        self.check()

    def check(self) -> None:
        """
        Return, unless the process was asked to end.

        Raises:
            StoppedError: The process was asked to end.
        """
        if self._is_set:
            raise StoppedError("Stopped; what was not committed is read again by the next cycle.")

    def on_set(self, callback: Callable[[], None]) -> None:
        """Call *callback* when the process is asked to end. The callback must take no lock."""
        self._on_set.append(callback)


def stop_on_signals(stop: Stop) -> None:
    """Let SIGTERM and SIGINT set *stop*. A second signal ends the process at once."""

    def ask(number: int, frame: object) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)


class Hangup:
    """
    SIGHUP, which asks a daemon to read its settings again and does not end it.

    The handler does nothing but note it: a signal may interrupt a thread in the middle of a log line.
    """

    def __init__(self) -> None:
        self._came = False

    def listen(self) -> None:
        """Note SIGHUP from now on."""
        signal.signal(signal.SIGHUP, self._note)

    def came(self) -> bool:
        """Return whether SIGHUP came since the last call."""
        came, self._came = self._came, False
        return came

    def _note(self, number: int, frame: object) -> None:
        self._came = True
