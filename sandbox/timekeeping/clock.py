"""The world's time. It may run faster than ours, stand still, or jump when a test says so."""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """
    World time as aware UTC datetimes, shared by the world and by both services' `Date` headers.

    Args:
        start: The first reading; None means the real time of construction.
        pace: World seconds per real second. 1 is real time, 0 stands still until `advance` or `set`.
    """

    def __init__(self, start: datetime | None = None, pace: float = 1.0) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("the clock starts at an aware datetime, e.g. datetime(2026, 11, 2, tzinfo=UTC)")
        if pace < 0:
            raise ValueError("time does not run backwards: pace is 0 or more")
        self._lock = threading.Lock()
        self._world = (start or datetime.now(UTC)).astimezone(UTC)
        self._real = time.monotonic()
        self.pace = pace

    def now(self) -> datetime:
        """Return the present moment of the world, to the microsecond."""
        with self._lock:
            return self._reading()

    def advance(self, seconds: float) -> None:
        """Jump by *seconds*; negative ones put the clock back, as a mended server clock would."""
        with self._lock:
            self._restart(self._reading() + timedelta(seconds=seconds))

    def set(self, instant: datetime) -> None:
        """Jump to *instant* (aware) and run on from there at the same pace."""
        if instant.tzinfo is None:
            raise ValueError("the clock is set to an aware datetime")
        with self._lock:
            self._restart(instant.astimezone(UTC))

    def _reading(self) -> datetime:
        return self._world + timedelta(seconds=(time.monotonic() - self._real) * self.pace)

    def _restart(self, instant: datetime) -> None:
        self._world, self._real = instant, time.monotonic()
