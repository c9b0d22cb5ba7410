"""The inboxes whose conversations are sent (`sync.inboxes`), named by their ids or their names."""

from collections.abc import Mapping, Sequence

import structlog

from sync.errors import SettingsError
from sync.gladly.client import GladlyClient
from sync.gladly.objects.lookups import Lookups
from sync.gladly.objects.names import Failed
from sync.gladly.objects.objects_api import ObjectsApi

log = structlog.get_logger()


class WantedInboxes:
    """
    Tell which inboxes a person has asked for.

    Args:
        wanted: Their ids or names. A name's case does not count.
        lookups: Knows the names of inboxes. It is asked only for an inbox that *wanted* does not name by id.
    """

    def __init__(self, wanted: Sequence[str], lookups: Lookups) -> None:
        self._wanted = wanted
        self._names = {_folded(name) for name in wanted}
        self._lookups = lookups
        self._unknown: list[str] = []

    def has(self, inbox_id: str | None) -> bool | Failed:
        """Return whether the inbox is one of them. Return `Failed` where Gladly does not tell its name."""
        if not inbox_id:
            return False
        if inbox_id in self._wanted:
            return True
        name = self._lookups.inbox_name(inbox_id)
        if isinstance(name, Failed):
            return name
        if name is not None and _folded(name) in self._names:
            return True
        self._warn_of_unknown_ones()
        return False

    def _warn_of_unknown_ones(self) -> None:
        """Log once what no inbox of Gladly's is called, because somebody may have renamed one."""
        unknown = unknown_inboxes(self._wanted, self._lookups.inboxes)
        if unknown and unknown != self._unknown:
            log.warning("inbox.unknown", inboxes=unknown, note="nothing of it is sent: gladly-segment check")
        self._unknown = unknown


def find_inboxes(client: GladlyClient, wanted: Sequence[str]) -> str:
    """
    Return a sentence that says which inboxes were found at Gladly.

    Args:
        client: Makes the request.
        wanted: Their ids or names.

    Raises:
        SettingsError: There is no inbox of that id or name. The error names all inboxes.
        GladlySegmentError: Gladly did not tell its inboxes.
    """
    inboxes = ObjectsApi(client).inboxes()
    unknown = unknown_inboxes(wanted, inboxes)
    if unknown:
        listed = ", ".join(sorted(name for name in inboxes.values() if name))
        raise SettingsError(
            f"sync.inboxes: Gladly has no inbox {', '.join(map(repr, unknown))}. Its inboxes are {listed}."
        )
    folded = {_folded(name) for name in wanted}
    found = sorted(name or id_ for id_, name in inboxes.items() if id_ in wanted or _folded(name) in folded)
    return f"only conversations of these are sent: {', '.join(found)}"


def unknown_inboxes(wanted: Sequence[str], inboxes: Mapping[str, str]) -> list[str]:
    """Return which of *wanted* is neither an id nor a name of *inboxes*, which are names by id."""
    names = {_folded(name) for name in inboxes.values() if name}
    return [each for each in wanted if each not in inboxes and _folded(each) not in names]


def _folded(name: str) -> str:
    """Return a name in a form in which case and outer spaces do not count."""
    return name.strip().casefold()
