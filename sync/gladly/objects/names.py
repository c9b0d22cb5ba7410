"""One list of names: of agents, of topics or of inboxes."""

import time
from collections.abc import Callable
from typing import NamedTuple

from sync.errors import CredentialsRefusedError, GladlySegmentError, RateLimitedError, StoppedError
from sync.gladly.limits import GladlyLimits


class Failed(NamedTuple):
    """
    Say that Gladly did not answer a look-up well.

    Attributes:
        path: What was asked for.
        reason: What was wrong, as a sentence.
        was_slow: Whether it took long to fail.
    """

    path: str
    reason: str
    was_slow: bool = False


class KeptNames:
    """
    Keep one list of names. Read it again when it is old, and when an unknown id appears.

    A list that does not come is asked for again after growing waits. Meanwhile names are asked for one by
    one, where Gladly offers that.

    Args:
        path: Where the list is, for messages.
        limits: How long the list is kept.
        read: Returns the whole list, by id.
        read_one: Returns one name by its id; None where Gladly offers no such request.
    """

    def __init__(
        self,
        path: str,
        limits: GladlyLimits,
        read: Callable[[], dict[str, str]],
        read_one: Callable[[str], str | None] | None = None,
    ) -> None:
        self.path = path
        self._limits = limits
        self._read, self._read_one = read, read_one
        self._names: dict[str, str | None] = {}  # None: Gladly knows none by that id
        self._read_at: float | None = None  # monotonic
        self._failures = 0
        self._not_before = 0.0  # monotonic
        self._reason = ""

    @property
    def names(self) -> dict[str, str]:
        """Return the names by id, as they were read last."""
        return {id_: name for id_, name in self._names.items() if name is not None}

    def name_of(self, id_: str) -> str | Failed | None:
        """
        Return the name. Return None when Gladly knows none.

        Raises:
            CredentialsRefusedError, RateLimitedError, StoppedError: As `ObjectsApi` does.
        """
        age_s = time.monotonic() - self._read_at if self._read_at is not None else None
        is_unknown = id_ not in self._names
        if (
            age_s is None
            or age_s > self._limits.names_fresh_s
            or (is_unknown and age_s > self._limits.names_unknown_s)
        ):
            self._read_list()
        if id_ in self._names:
            return self._names[id_]
        if self._read_one is None:
            if self._read_at is None or self._failures:
                return Failed(self.path, self._reason)
            self._names[id_] = None
            return None
        try:
            self._names[id_] = self._read_one(id_)
        except (CredentialsRefusedError, RateLimitedError, StoppedError):
            raise
        except GladlySegmentError as error:
            return Failed(self.path, self._reason or str(error))
        return self._names[id_]

    def _read_list(self) -> None:
        """Read the list, unless it failed a short while ago. Keep the old names if it does not come."""
        if time.monotonic() < self._not_before:
            return
        try:
            names = self._read()
        except (CredentialsRefusedError, RateLimitedError, StoppedError):
            raise
        except GladlySegmentError as error:
            self._failures += 1
            self._reason = str(error)
            wait_s = min(self._limits.names_fresh_s, 2.0 ** min(self._failures, 12))
            self._not_before = time.monotonic() + wait_s
            return
        self._names = dict(names)
        self._read_at = time.monotonic()
        self._failures, self._reason = 0, ""
