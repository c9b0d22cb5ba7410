"""The world's time. It may run faster than real time, stand still, or jump when a test says so."""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """
    World time as aware UTC datetimes. The world uses it, and both services show it as `Date`.

    Args:
        start: The first reading, an aware datetime; None means the real time now.
        pace: World seconds per real second. 1 is real time; at 0 time stands still until `advance` or `set`.
    Raises:
        ValueError: *start* is not aware, or *pace* is below 0.
    """

    def __init__(self, start: datetime | None = None, pace: float = 1.0) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("start must be an aware datetime, like datetime(2026, 11, 2, tzinfo=UTC)")
        if pace < 0:
            raise ValueError("pace must be 0 or more: time does not run backwards")
        self._lock = threading.Lock()
        self._world = (start or datetime.now(UTC)).astimezone(UTC)
        self._real = time.monotonic()
        self.pace = pace

    def now(self) -> datetime:
        """Return the world's present time, to the microsecond."""
        with self._lock:
            return self._reading()

    def advance(self, seconds: float) -> None:
        """Jump by *seconds*. A negative number sets the clock back, as correcting a server's clock does."""
        with self._lock:
            self._restart(self._reading() + timedelta(seconds=seconds))

    def set(self, instant: datetime) -> None:
        """Jump to *instant*, an aware datetime, and run on from there at the same pace."""
        if instant.tzinfo is None:
            raise ValueError("instant must be an aware datetime, like datetime(2026, 11, 2, tzinfo=UTC)")
        with self._lock:
            self._restart(instant.astimezone(UTC))

    def _reading(self) -> datetime:
        return self._world + timedelta(seconds=(time.monotonic() - self._real) * self.pace)

    def _restart(self, instant: datetime) -> None:
        self._world, self._real = instant, time.monotonic()
