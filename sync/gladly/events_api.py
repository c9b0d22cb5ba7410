"""
Read the Events API: what Gladly recorded since an instant, in chunks of changes.

`GET /events` is JSON Lines, streamed, ascending and up to 15 seconds late (Gladly REST API, Events). The
watermark that goes with a chunk is held back by the overlap. It stays behind Gladly's own clock, as far as
that is believed (`GladlyClock`), so that what becomes visible late is still read. It stays behind the last
change of a stream that has not come to its end, so that what stands a little out of order is still read, too
(semantics 3.2, 3.3).
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta

import structlog
from urllib3 import BaseHTTPResponse

from state.instants import to_text
from state.records import QUARANTINED_LINE_BYTES, BadLine
from sync.errors import RetryableError, UnexpectedAnswerError, UnknownEntityError
from sync.events.changes import OF_A_CONVERSATION, Change, ChangeType, Chunk
from sync.gladly.client import GladlyClient
from sync.gladly.clock import GladlyClock, Moment
from sync.gladly.event_lines import LineKind, UnendedLine, is_cut_object, kind_of, lines_of, read_change
from sync.gladly.limits import GladlyLimits
from sync.http.host import Exchange

log = structlog.get_logger()

KnownBadLines = Callable[[list[BadLine]], Collection[str]]

ENTITIES = ("CONVERSATION", "CUSTOMER")

# A recent one, which a Gladly may not know (semantics 3.8).
PROFILES = "CUSTOMER_PROFILE"


def none_known(_lines: list[BadLine]) -> Collection[str]:
    """Return no ids: nothing is in quarantine."""
    return ()


class EventsApi:
    """
    Read the Events API as a stream of changes.

    Args:
        client: Makes the requests.
        overlap: How far the watermark stays behind what has been read.
        known_bad_lines: Returns the ids of the lines that are in quarantine already.

    Attributes:
        shows_profiles: Whether the feed tells when a profile changes or goes; False once Gladly has refused
            the entity. No copy of a profile is known to be current then.
    """

    def __init__(
        self, client: GladlyClient, overlap: timedelta, known_bad_lines: KnownBadLines = none_known
    ) -> None:
        self._known_bad_lines = known_bad_lines
        self.shows_profiles = True
        self._client = client
        self._limits = client.limits
        self._overlap = overlap

    def read(self, position: datetime, until: datetime | None = None) -> Iterator[Chunk]:
        """
        Yield every change recorded from *position* to *until*, in whole chunks, the last one perhaps empty.

        A stream that breaks off is requested again from the last whole change, as long as the attempts get
        further.

        Args:
            position: Aware UTC, inclusive.
            until: Aware UTC, inclusive; None is now.

        Raises:
            TooOldError: *position* is over 24 hours ago by Gladly's clock.
            RetryableError: Gladly cannot be reached, or breaks off again and again. The chunks already
                yielded are whole.
            CredentialsRefusedError, UnexpectedAnswerError, StoppedError: As the client's.
        """
        furthest, stuck = position, 0
        begun: datetime | None = None  # what Gladly records from here on is no progress with this window
        while True:
            stream = EventStream(
                position,
                self._overlap,
                self._limits,
                self._client.host.quoted,
                self._client.gladly_clock,
                self._known_bad_lines,
            )
            try:
                yield from self._read_stream(stream, until)
            except RetryableError:
                begun = begun or stream.opened_at
                is_further = stream.high_water > furthest and (begun is None or furthest < begun)
                stuck = 0 if is_further else stuck + 1
                if not stream.is_open or stuck >= self._client.retry.max_attempts:
                    raise
            else:
                return
            furthest = max(furthest, stream.high_water)
            position = stream.position
            self._client.stop.sleep(self._client.retry.backoff_s(stuck + 1))

    def ask_for_profiles(self) -> bool:
        """
        Ask for nothing but the present, and return whether the feed shows profiles.

        Raises: As `read`.
        """
        now = self._client.gladly_clock.heard or self._client.clock()
        with contextlib.ExitStack() as stack:
            self._client.retried(lambda: stack.enter_context(self._asked(now, None)))
        return self.shows_profiles

    def _read_stream(self, stream: "EventStream", until: datetime | None) -> Iterator[Chunk]:
        with contextlib.ExitStack() as stack:
            exchange = self._client.retried(lambda: stack.enter_context(self._asked(stream.position, until)))
            stream.begin(exchange.response)
            try:
                for line in lines_of(exchange, self._limits):
                    stream.take(line)
                    if stream.is_full:
                        yield stream.chunk()
                        exchange.extend(self._limits.events_line_deadline_s)
                stream.check_whole()
            except RetryableError:
                if stream.changes or stream.bad_lines:
                    yield stream.chunk()
                raise
            yield stream.chunk(is_last=True)

    @contextlib.contextmanager
    def _asked(self, position: datetime, until: datetime | None) -> Iterator[Exchange]:
        """Make the request, without the profiles where Gladly does not know them."""
        with contextlib.ExitStack() as stack:
            try:
                exchange = stack.enter_context(self._open(position, until))
            except UnknownEntityError as error:
                if not self.shows_profiles:
                    raise
                self.shows_profiles = False
                log.warning("profiles.unknown", error=str(error))
                exchange = stack.enter_context(self._open(position, until))
            yield exchange

    @contextlib.contextmanager
    def _open(self, position: datetime, until: datetime | None) -> Iterator[Exchange]:
        entities = (*ENTITIES, PROFILES) if self.shows_profiles else ENTITIES
        params = [("startAt", to_text(position)), *(("entities", entity) for entity in entities)]
        if until is not None:
            params.append(("endAt", to_text(until)))
        # Uncompressed: a gzip stream that is cut off raises nothing in requests.
        # A cache's answer would be old, and its `Date` with it.
        headers = {
            "Accept": "application/x-jsonlines",
            "Accept-Encoding": "identity",
            "Cache-Control": "no-cache",
        }
        with self._client.request(
            "GET",
            "/events",
            deadline_s=self._limits.events_head_deadline_s,
            params=params,
            headers=headers,
        ) as exchange:
            response = exchange.response
            host, media_type = self._client.host.address, _media_type(response)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise UnexpectedAnswerError(
                    f"{host} compresses the events although asked not to: a cut answer would look complete."
                )
            if "html" in media_type or "xml" in media_type:
                raise UnexpectedAnswerError(
                    f"{host} answered the request for events with a page ({media_type}), not with events. "
                    "Check gladly.organization, and any proxy between here and Gladly."
                )
            yield exchange


class EventStream:
    """
    Hold one answer of the Events API while it is read: the changes so far, and how far they reach.

    A line that is not an event is held until an event follows. Without one, the line is where the stream
    failed, and no bad line (semantics 3.3).

    Args:
        position: The instant from which changes were requested.
        overlap: How far the watermark stays behind what has been read.
        limits: How much makes a chunk, and how long a line may be.
        quoted: Makes what the host said fit for an error (`Host.quoted`).
        clock: Says what is believed of Gladly's clock.
        known_bad_lines: Returns the ids of the lines that are in quarantine already.

    Attributes:
        position: The watermark that goes with the chunks so far.
        high_water: The instant of the newest change of this answer.
        is_open: Whether the answer's head has arrived.
        changes, bad_lines: What has been read since the last chunk.
    """

    def __init__(
        self,
        position: datetime,
        overlap: timedelta,
        limits: GladlyLimits,
        quoted: Callable[[str], str],
        clock: GladlyClock,
        known_bad_lines: KnownBadLines = none_known,
    ) -> None:
        self._known_bad_lines = known_bad_lines
        self._limits = limits
        self._quoted = quoted
        self.position = position
        self.high_water = position
        self.is_open = False
        self.changes: list[Change] = []
        self.bad_lines: list[BadLine] = []
        self._overlap = overlap
        self._transitions = 0
        self._clock = clock
        self._moment: Moment | None = None
        self._tells_its_end = False
        self._is_json_lines = False
        self._events = 0  # the lines that were events
        self._is_understood = False  # whether one of them means something here
        self._held: list[tuple[BadLine, LineKind]] = []
        self._held_from = position  # the watermark stays the overlap behind this while lines are held

    def begin(self, response: BaseHTTPResponse) -> None:
        """Note what the answer's head says: Gladly's clock, and whether the body tells its end."""
        self.is_open = True
        self._moment = self._clock.hear(response.headers)
        self._tells_its_end = (
            "Content-Length" in response.headers
            or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        )
        self._is_json_lines = "jsonl" in _media_type(response) or "ndjson" in _media_type(response)

    @property
    def opened_at(self) -> datetime | None:
        """When the answer's head arrived, by Gladly's clock if it said; None before that."""
        return None if self._moment is None else self._moment.date or self._moment.ours

    @property
    def is_full(self) -> bool:
        """Return whether what has been read fills a chunk."""
        return (
            self._transitions >= self._limits.chunk_transitions
            or len(self.changes) >= self._limits.chunk_changes
            or len(self.bad_lines) >= self._limits.chunk_transitions
        )

    def take(self, line: bytes) -> None:
        """
        Read one line.

        Raises:
            UnexpectedAnswerError: This is no answer of the Events API, or nothing of it can be read.
            RetryableError: The line shows that the stream failed.
        """
        try:
            if len(line) > self._limits.line_max_bytes:
                raise ValueError(f"a line of over {self._limits.line_max_bytes} bytes")
            change = read_change(line)
        except ValueError as error:
            if isinstance(line, UnendedLine) and (self._events or is_cut_object(line)):
                raise RetryableError("Gladly's answer broke off in the middle of a line.") from None
            self._hold(line, str(error))
            return
        self.changes.append(change)
        self.high_water = max(self.high_water, change.recorded_at)
        self._transitions += change.type in OF_A_CONVERSATION
        self._events += 1
        self._is_understood = self._is_understood or change.type is not ChangeType.OTHER
        if self._held:
            self._let_go()

    def _hold(self, line: bytes, reason: str) -> None:
        """
        Keep a line that could not be read until it is known whether it is a bad line.

        Raises: As `take`.
        """
        kind, details = kind_of(line)
        details = self._quoted(details)
        if kind is LineKind.ERROR:
            if self._events:
                raise RetryableError(f"Gladly broke off the events with an error: {details}.")
            raise _something_else(details)
        if not self._held:
            self._held_from = self.high_water
        if kind is LineKind.UNREADABLE_EVENT and not self._is_understood:
            self._held_from = self.position
        self._held.append((BadLine("events", reason, line[:QUARANTINED_LINE_BYTES]), kind))
        if kind is not LineKind.NO_EVENT:
            self._let_go()
        if len(self._held) >= self._limits.chunk_transitions:
            self.check_whole()

    def _let_go(self) -> None:
        """Turn the lines held into bad lines, since an event stands behind them."""
        kept: list[tuple[BadLine, LineKind]] = []
        for bad_line, kind in self._held:
            if kind is LineKind.UNREADABLE_EVENT and not self._is_understood:
                kept.append((bad_line, kind))
            else:
                self.bad_lines.append(bad_line)
        self._held = kept

    def check_whole(self) -> None:
        """
        Check, at the end of the body, that the end is one.

        Raises:
            UnexpectedAnswerError: This was no answer of the Events API, or nothing of it could be read.
            RetryableError: The stream failed at its last line.
        """
        if not self._held:
            if not self._events and not self.bad_lines and not self._is_json_lines:
                raise UnexpectedAnswerError(
                    "Gladly answered the request for events with an empty answer whose Content-Type is not "
                    "that of events. The watermark has not moved. Check what stands between here and Gladly."
                )
            return
        unreadable = [line for line, kind in self._held if kind is LineKind.UNREADABLE_EVENT]
        known = self._known_bad_lines(unreadable) if unreadable else ()
        new = [line for line in unreadable if line.id not in known]
        if new:
            reason = self._quoted(new[0].reason)
            raise UnexpectedAnswerError(
                f"None of Gladly's events can be read; the first says: {reason}. The watermark has not "
                "moved. If this goes on, Gladly has changed its events: look for a newer release."
            )
        if unreadable:  # and in quarantine: these are lines of the overlap, read once more
            self._is_understood = True
            self._let_go()
            return
        if not self._events:
            raise _something_else("")
        raise RetryableError("Gladly broke off the events: the last line is not an event.")

    def chunk(self, *, is_last: bool = False) -> Chunk:
        """
        Return what has been read since the last chunk, and the watermark that goes with it.

        At the end of the answer, the watermark is the overlap behind Gladly's clock, as far as that is
        believed. Before the end, and where the answer does not tell its end from a cut or is no witness of
        the time, it is the overlap behind the newest change.
        """
        reaches, read_until = [], None
        if self._moment is not None:
            if self.changes:
                self._clock.prove(self.high_water, self._moment)
            reaches.append(self._clock.believed(self._moment))
            if self._moment.date is not None:
                read_until = reaches[0]
        if not is_last or read_until is None or not self._tells_its_end:
            reaches.append(self.high_water)
        if self._held:
            reaches.append(self._held_from)
        self.position = max(self.position, min(reaches) - self._overlap)
        chunk = Chunk(self.changes, self.position, self.bad_lines, read_until)
        self.changes, self.bad_lines, self._transitions = [], [], 0
        return chunk


def _something_else(details: str) -> UnexpectedAnswerError:
    """Return the error for a page, an error or anything else that was answered with 200 (faults A13)."""
    return UnexpectedAnswerError(
        "Gladly answered the request for events with something else"
        + (f": {details}." if details else " (a page, or an error).")
        + " The watermark has not moved."
    )


def _media_type(response: BaseHTTPResponse) -> str:
    media_type: str = response.headers.get("Content-Type", "")
    return media_type.lower()
