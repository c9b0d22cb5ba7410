"""What can be read from a world: the feed, and the truth with which a checker compares a reader."""

import bisect
from collections.abc import Iterable
from datetime import datetime

from sandbox.world.history import WorldHistory, locked, timestamp_of
from sandbox.world.records import TRANSITIONS, Change, Truth, Wire


class Readings(WorldHistory):
    """The readings of a world's history. None of them changes it."""

    @locked
    def truth(self) -> list[Truth]:
        """Return every created, closed and reopened transition until now, oldest first, visible or not."""
        return [self._true(change) for change in self.changes if change.type in TRANSITIONS]

    @locked
    def feed(
        self, start: datetime, end: datetime, entities: Iterable[str], *, now: datetime | None = None
    ) -> list[Change]:
        """
        Return the changes that `GET /events` shows, oldest first.

        Args:
            start: The earliest timestamp, included.
            end: The latest timestamp, included.
            entities: The values of Gladly's `entities` parameter.
            now: Changes that become visible later than this are left out; None means the clock's reading.
        """
        first = bisect.bisect_left(self.changes, start, key=timestamp_of)
        last = bisect.bisect_right(self.changes, end, key=timestamp_of)
        wanted, seen_at = frozenset(entities), now or self.clock.now()
        window = self.changes[first:last]
        return [change for change in window if change.visible_at <= seen_at and change.entity in wanted]

    @locked
    def between(self, start: datetime, end: datetime) -> list[Change]:
        """Return every change recorded from *start*, included, until *end*, excluded, visible or not."""
        first = bisect.bisect_left(self.changes, start, key=timestamp_of)
        last = bisect.bisect_left(self.changes, end, key=timestamp_of)
        return self.changes[first:last]

    @locked
    def conversation_versions(self, id: str) -> list[tuple[datetime, Wire]]:
        """Return every state of a conversation, oldest first: when it began, and what `GET` showed then."""
        conversation = self.conversations[id]
        return [(version.at, conversation.wire(version)) for version in conversation.versions]

    @locked
    def profile_versions(self, customer_id: str) -> list[tuple[datetime, Wire]]:
        """Return every state of a profile, oldest first: when it began, and what `GET` showed then."""
        return [(at, dict(profile)) for at, profile in self.customers[customer_id].versions]

    def _true(self, change: Change) -> Truth:
        assert change.conversation_id is not None
        assert change.customer_id is not None
        assert change.before is not None
        return Truth(
            TRANSITIONS[change.type],
            change.timestamp,
            change.visible_at,
            change.conversation_id,
            change.customer_id,
            self.conversations[change.conversation_id].created_at,
            change.id,
            change.before,
        )
