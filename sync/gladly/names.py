"""The names of agents, or of topics, by id: one list, kept for a while."""

import time
from collections.abc import Callable

from sync.gladly.limits import GladlyLimits


class KeptNames:
    """
    One list of names, read again when it is old, and when an unknown id appears.

    Args:
        limits: How long the list is kept.
        read: Returns the whole list, by id.
        read_one: Returns one name by its id; None where Gladly offers no such request.
    """

    def __init__(
        self,
        limits: GladlyLimits,
        read: Callable[[], dict[str, str]],
        read_one: Callable[[str], str | None] | None = None,
    ) -> None:
        self._limits = limits
        self._read, self._read_one = read, read_one
        self._names: dict[str, str | None] = {}  # None: Gladly knows none by that id
        self._read_at: float | None = None  # monotonic

    def name_of(self, id_: str) -> str | None:
        """Return the name. Return None when Gladly knows none."""
        age_s = time.monotonic() - self._read_at if self._read_at is not None else None
        is_unknown = id_ not in self._names
        if (
            age_s is None
            or age_s > self._limits.names_fresh_s
            or (is_unknown and age_s > self._limits.names_unknown_s)
        ):
            self._names = dict(self._read())
            self._read_at = time.monotonic()
            self._names.setdefault(id_, None)
        elif is_unknown and self._read_one is not None:  # came within the minute, or went long ago
            self._names[id_] = self._read_one(id_)
        return self._names.get(id_)
