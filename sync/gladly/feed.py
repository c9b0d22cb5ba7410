"""
Read the change feed: what Gladly recorded since an instant, as one stream of changes.

The Events API reaches back 24 hours. Older changes are read from the report first.
"""

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta

from sync.errors import TooOldError
from sync.events.changes import Chunk
from sync.gladly.client import GladlyClient
from sync.gladly.events_api import EventsApi
from sync.gladly.report import Report


class ChangeFeed:
    """
    Read the changes of both sources, oldest first.

    Args:
        client: Makes the requests.
        overlap: How far the watermark stays behind what has been read.

    Both methods raise:
        RetryableError: Gladly cannot be reached, or breaks off again and again. The chunks already yielded
            are whole.
        CredentialsRefusedError, UnexpectedAnswerError, StoppedError: As the client's.
    """

    def __init__(self, client: GladlyClient, overlap: timedelta) -> None:
        self._client = client
        self._events = EventsApi(client, overlap)
        self._report = Report(client)

    def since(self, position: datetime) -> Iterator[Chunk]:
        """
        Yield every change recorded at or after *position*, in whole chunks, the last one perhaps empty.

        Args:
            position: Aware UTC, inclusive, of any age.
        """
        try:
            yield from self._events.read(position)
        except TooOldError:  # only Gladly's clock says what is too old, so the Events API is asked first
            position = yield from self._catch_up(position, None)
            yield from self._events.read(position)

    def between(self, since: datetime, until: datetime) -> Iterator[Chunk]:
        """
        Yield every change recorded from *since* to *until*, in whole chunks.

        Args:
            since, until: Aware UTC, inclusive, of any age.
        """
        since = yield from self._catch_up(since, until)
        if since < until:
            yield from self._events.read(since, until)

    def _catch_up(self, position: datetime, until: datetime | None) -> Generator[Chunk, None, datetime]:
        """
        Read the report up to where the Events API begins. The report may not be complete after that.

        Returns: the instant from which to go on.
        """
        reach = self._client.clock() - self._client.limits.events_reach
        end = min(reach, until) if until is not None else reach
        if position < end:
            yield from self._report.between(position, end)
        return max(position, end)
