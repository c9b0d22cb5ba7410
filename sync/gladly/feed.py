"""
Read the change feed: what Gladly recorded since an instant, as one stream of changes.

The Events API reaches back 24 hours. Older changes are read from the report first.
"""

from collections.abc import Generator, Iterator
from datetime import UTC, date, datetime, timedelta

import structlog

from state.instants import to_text, utc_now
from sync.errors import GladlySegmentError, TooOldError, UnexpectedAnswerError
from sync.events.changes import Chunk
from sync.gladly.client import GladlyClient
from sync.gladly.clock import AGREEMENT
from sync.gladly.events_api import EventsApi, KnownBadLines, none_known
from sync.gladly.report import Report

log = structlog.get_logger()


class ChangeFeed:
    """
    Read the changes of both sources, oldest first.

    Args:
        client: Makes the requests.
        overlap: How far the watermark stays behind what has been read.
        known_bad_lines: Returns the ids of the lines that are in quarantine already.

    Every method raises:
        RetryableError: Gladly cannot be reached, or breaks off again and again. The chunks already yielded
            are whole.
        CredentialsRefusedError, UnexpectedAnswerError, StoppedError: As the client's.
    """

    def __init__(
        self, client: GladlyClient, overlap: timedelta, known_bad_lines: KnownBadLines = none_known
    ) -> None:
        self._client = client
        self._events = EventsApi(client, overlap, known_bad_lines)
        self._report = Report(client)

    @property
    def shows_profiles(self) -> bool:
        """Whether the feed tells when a profile changes or goes, as far as is known (semantics 3.8)."""
        return self._events.shows_profiles

    def ask_for_profiles(self) -> bool:
        """Ask Gladly whether the feed shows profiles."""
        return self._events.ask_for_profiles()

    def since(self, position: datetime) -> Iterator[Chunk]:
        """
        Yield every change recorded at or after *position*, in whole chunks, the last one perhaps empty.

        Args:
            position: Aware UTC, inclusive, of any age.
        """
        position = self._not_ahead(position)
        try:
            yield from self._read_on(position)
        except GladlySegmentError as error:
            behind = self._not_ahead(position, is_refused=isinstance(error, UnexpectedAnswerError))
            if behind == position:
                raise
        else:
            behind = self._not_ahead(position)
        if behind != position:
            yield from self._read_on(behind)

    def _read_on(self, position: datetime, until: datetime | None = None) -> Iterator[Chunk]:
        """
        Read the Events API, and the report before it where Gladly refuses *position*.

        Only Gladly's clock says what is too old. So the Events API is asked first, and each refusal proves
        how late it is at Gladly at least.
        """
        is_asked_again = False
        while True:
            try:
                for chunk in self._events.read(position, until):
                    chunk.shows_profiles = self._events.shows_profiles
                    yield chunk
            except TooOldError:
                self._client.gladly_clock.prove_now(position + timedelta(hours=24))
                reached = yield from self._catch_up(position, until, self._client.clock())
                if reached == position and is_asked_again:
                    raise
                is_asked_again = reached == position
                position = reached
                if until is not None and position >= until:
                    return
            else:
                return

    def _not_ahead(self, position: datetime, *, is_refused: bool = False) -> datetime:
        """
        Return *position*, or where to read again from when it lies in Gladly's future.

        A watermark was led there by a clock that was ahead. What was recorded meanwhile has not been read. It
        is read again as far as the Events API reaches back, and what is known is recognised. One answer is
        not enough to say so: Gladly is asked once more. Our own clock has to agree where *position* is
        further ahead than the Events API reaches back.

        Args:
            position: The watermark.
            is_refused: Gladly has refused it. Then what is believed of Gladly's clock counts, not what Gladly
                says of it.
        """
        clock = self._client.gladly_clock
        first = clock.heard
        if is_refused and position > (clock.now() or position) + AGREEMENT:
            now = self._client.clock()
        elif first is None or position <= first + AGREEMENT:
            return position
        else:
            self._client.clock()
            now = max(first, clock.heard or first)
        reach = self._client.limits.events_reach
        if position <= now + AGREEMENT or (position <= utc_now() and position - now > reach):
            return position
        log.warning("watermark.ahead", watermark=to_text(position), read_again_from=to_text(now - reach))
        return now - reach

    def between(self, since: datetime, until: datetime) -> Iterator[Chunk]:
        """
        Yield every change recorded from *since* to *until*, in whole chunks.

        Args:
            since, until: Aware UTC, inclusive, of any age. An *until* in Gladly's future means now.
        """
        now = self._client.clock()
        since = yield from self._catch_up(since, until, now)
        if since < until:
            # Without an end, Gladly shows what it has. It may refuse an end in its future.
            yield from self._read_on(since, until if until < now - AGREEMENT else None)

    @property
    def has_room_for_reports(self) -> bool:
        """Whether a report can be asked for that no poll needs, without delaying those that a poll needs."""
        return self._report.has_room

    def report_of(self, day: date) -> Iterator[Chunk]:
        """
        Yield what Gladly's report shows of a whole UTC day, in order. One request is made for it.

        What could not be read, and why the report may be incomplete, is among the bad lines.
        """
        start = datetime.combine(day, datetime.min.time(), UTC)
        for chunk in self._report.between(start, start + timedelta(days=1) - timedelta(microseconds=1)):
            chunk.shows_profiles = False
            yield chunk

    def _catch_up(
        self, position: datetime, until: datetime | None, now: datetime
    ) -> Generator[Chunk, None, datetime]:
        """
        Read the report up to where the Events API begins. The report may not be complete after that.

        Args:
            position, until: What is read.
            now: What is believed of Gladly's clock.

        Returns: where to go on.
        """
        reach = now - self._client.limits.events_reach
        end = min(reach, until) if until is not None else reach
        if position < end:
            for chunk in self._report.between(position, end):
                chunk.shows_profiles = False
                yield chunk
        return max(position, end)
