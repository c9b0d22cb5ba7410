"""The wish to end: set once, by a signal, and heeded by everything that waits or hangs."""

import os
import select
import signal
from collections.abc import Callable

from sync.errors import StoppedError


class Stop:
    """
    The wish to end, shared by all threads.

    It uses a pipe and no lock, because `set` is called from a signal handler, which may have interrupted this
    thread anywhere.
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
            os.write(self._write_fd, b"!")  # never read: whoever waits from now on finds it
            for callback in self._on_set:
                callback()

    def is_set(self) -> bool:
        """Return whether an end was asked for."""
        return self._is_set

    def wait(self, seconds: float | None = None) -> bool:
        """
        Wait until an end is asked for. Return whether it was.

        Args:
            seconds: Wait no longer than this; None waits without a limit.
        """
        poll = select.poll()
        poll.register(self._read_fd, select.POLLIN)
        poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
        return self._is_set

    def sleep(self, seconds: float) -> None:
        """
        Wait for *seconds*.

        Raises:
            StoppedError: An end was asked for, before or meanwhile.
        """
        self.wait(seconds)
        self.check()

    def check(self) -> None:
        """
        Go on, unless an end was asked for.

        Raises:
            StoppedError: An end was asked for.
        """
        if self._is_set:
            raise StoppedError("Stopped; what was not committed is read again by the next cycle.")

    def on_set(self, callback: Callable[[], None]) -> None:
        """Have *callback* called when an end is asked for. It must take no lock."""
        self._on_set.append(callback)


def stop_on_signals(stop: Stop) -> None:
    """Have SIGTERM and SIGINT set *stop*. A second signal ends the process at once."""

    def ask(number: int, frame: object) -> None:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
