"""Recognise the changes near the watermark, which every poll reads again (semantics 3.2)."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sync.events.changes import Change


class SeenChanges:
    """
    Recognise the changes near the watermark, which every poll reads again.

    Args:
        known: The ids of the changes already taken in there, and when they were recorded.
    """

    def __init__(self, known: Mapping[str, datetime] | None = None) -> None:
        self._known = dict(known or {})

    def unseen(self, changes: Iterable[Change]) -> list[Change]:
        """
        Return each change once, without those taken in before. A change of the report has no id to know it
        by.
        """
        here: set[str] = set()
        new = []
        for change in changes:
            if change.id not in self._known and change.id not in here:
                new.append(change)
                if change.id:
                    here.add(change.id)
        return new

    def remember(self, near: Mapping[str, datetime], since: datetime) -> None:
        """
        Remember these changes, and forget those recorded before *since*: a long window must not keep them
        all.
        """
        self._known |= near
        self._known = {id_: at for id_, at in self._known.items() if at >= since}
