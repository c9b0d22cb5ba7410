"""
The change feed: what Gladly recorded since an instant, as chunks of changes to take in together.

`GET /events` is JSON Lines, streamed, ascending and up to 15 seconds late (Gladly REST API, Events). The
watermark that goes with a chunk is held back by the overlap: behind Gladly's own clock, so that what becomes
visible late is still read, and behind the last change of a stream that has not come to its end, so that what
stands a little out of order is, too (semantics 3.2, 3.3).
"""

import contextlib
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta

import msgspec
from urllib3 import BaseHTTPResponse

from state.instants import from_text, to_text
from state.records import QUARANTINED_LINE_BYTES, BadLine
from sync.errors import RetryableError, TooOldError, UnexpectedAnswerError
from sync.events.changes import (
    CHUNK_CHANGES,
    CHUNK_TRANSITIONS,
    OF_A_CONVERSATION,
    TYPES,
    Change,
    ChangeType,
    Chunk,
    checked_id,
)
from sync.gladly.client import GladlyClient
from sync.gladly.models import Content, Errors, FeedEvent
from sync.gladly.report import Report
from sync.http.host import MAX_ATTEMPTS, Exchange, backoff_s, retried, server_date

ENTITIES = ("CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE")

# Gladly refuses a startAt older than 24 hours; the hour between covers a poll that takes long, and clocks.
REACH = timedelta(hours=23)

# Gladly's lines are under 1 KB. A longer one than this is kept cut, in quarantine; what goes on for longer
# than that without an end is no line, and the stream is broken.
LINE_MAX_BYTES = 1_000_000
LINE_SKIP_BYTES = 100_000_000

# The head of the answer may take long for a day's window; after it, whatever sends something in time lives.
HEAD_DEADLINE_S = 60.0
LINE_DEADLINE_S = 60.0


class ChangeFeed:
    """What happened, oldest first: from the report where the Events API does not reach, then from that."""

    def __init__(self, client: GladlyClient, overlap: timedelta) -> None:
        self._client = client
        self._overlap = overlap
        self._report = Report(client)

    def since(self, position: datetime) -> Iterator[Chunk]:
        """
        Yield every change recorded at or after *position*, in whole chunks, the last one perhaps empty.

        Args:
            position: Aware UTC, inclusive, of any age.

        Raises:
            RetryableError: Gladly cannot be reached or breaks off again and again; the chunks already
                yielded are whole.
            CredentialsRefusedError, UnexpectedAnswerError, StoppedError: As the client's.
        """
        try:
            yield from self._events(position, None)
        except TooOldError:  # only Gladly's clock says what is, so it is asked first
            position = yield from self._catch_up(position, None)
            yield from self._events(position, None)

    def between(self, since: datetime, until: datetime) -> Iterator[Chunk]:
        """As `since`, but only changes recorded up to *until* (inclusive)."""
        since = yield from self._catch_up(since, until)
        if since < until:
            yield from self._events(since, until)

    def _catch_up(self, position: datetime, until: datetime | None) -> Generator[Chunk, None, datetime]:
        """
        Read the report up to where the Events API begins, which is where the report may not be complete yet.

        Returns: where to go on.
        """
        reach = self._client.clock() - REACH
        end = min(reach, until) if until is not None else reach
        if position < end:
            yield from self._report.between(position, end)
        return max(position, end)

    def _events(self, position: datetime, until: datetime | None) -> Iterator[Chunk]:
        """
        Read the Events API. A stream that breaks off is asked for again from the last whole change, for as
        long as each attempt gets further.

        Raises:
            TooOldError: *position* is over 24 hours ago by Gladly's clock.
        """
        furthest, stuck = position, 0
        while True:
            stream = _Stream(position, self._overlap, self._client.edge.quoted)
            try:
                yield from self._read(stream, until)
            except RetryableError:
                stuck = 0 if stream.high_water > furthest else stuck + 1
                if not stream.is_open or stuck >= MAX_ATTEMPTS:
                    raise
            else:
                return
            furthest = max(furthest, stream.high_water)
            position = stream.position
            self._client.stop.sleep(backoff_s(stuck + 1))

    def _read(self, stream: "_Stream", until: datetime | None) -> Iterator[Chunk]:
        with contextlib.ExitStack() as stack:
            exchange = retried(
                lambda: stack.enter_context(self._open(stream.position, until)), self._client.stop
            )
            stream.begin(exchange.response)
            try:
                for line in _lines(exchange):
                    stream.take(line)
                    if stream.is_full:
                        yield stream.chunk()
                        exchange.extend(LINE_DEADLINE_S)
            except RetryableError:
                if stream.changes or stream.bad_lines:
                    yield stream.chunk()
                raise
            yield stream.chunk(is_last=True)

    @contextlib.contextmanager
    def _open(self, position: datetime, until: datetime | None) -> Iterator[Exchange]:
        params = [("startAt", to_text(position)), *(("entities", entity) for entity in ENTITIES)]
        if until is not None:
            params.append(("endAt", to_text(until)))
        # Uncompressed: a gzip stream that is cut off raises nothing in requests.
        headers = {"Accept": "application/x-jsonlines", "Accept-Encoding": "identity"}
        with self._client.call(
            "GET", "/events", deadline_s=HEAD_DEADLINE_S, params=params, headers=headers
        ) as exchange:
            response = exchange.response
            host, media_type = self._client.edge.host, response.headers.get("Content-Type", "").lower()
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise UnexpectedAnswerError(
                    f"{host} compresses the events although asked not to: a cut would look like an end."
                )
            if "html" in media_type or "xml" in media_type:
                raise UnexpectedAnswerError(
                    f"{host} answered the request for events with a page ({media_type}), not with events. "
                    "Check gladly.organization, and what stands between here and Gladly."
                )
            yield exchange


class _Stream:
    """One answer of the Events API as it is read: its changes so far, and how far they reach."""

    def __init__(self, position: datetime, overlap: timedelta, quoted: Callable[[str], str]) -> None:
        self._quoted = quoted
        self.position = position
        self.high_water = position  # the newest change of this answer
        self.is_open = False
        self.changes: list[Change] = []
        self.bad_lines: list[BadLine] = []
        self._overlap = overlap
        self._transitions = 0
        self._lines = 0
        self._read_until: datetime | None = None
        self._tells_its_end = False

    def begin(self, response: BaseHTTPResponse) -> None:
        """The answer's head is here."""
        self.is_open = True
        self._read_until = server_date(response)
        self._tells_its_end = (
            "Content-Length" in response.headers
            or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        )

    @property
    def is_full(self) -> bool:
        """Whether it is time to take in what there is."""
        return (
            self._transitions >= CHUNK_TRANSITIONS
            or len(self.changes) >= CHUNK_CHANGES
            or len(self.bad_lines) >= CHUNK_TRANSITIONS
        )

    def take(self, line: bytes) -> None:
        """
        Read one line.

        Raises:
            UnexpectedAnswerError: The first line shows that this is no answer of the Events API.
        """
        try:
            if len(line) > LINE_MAX_BYTES:
                raise ValueError(f"a line of over {LINE_MAX_BYTES} bytes")
            change = read_change(line)
        except ValueError as error:
            if not self._lines:
                _refuse_an_answer_of_another_kind(line, self._quoted)
            self.bad_lines.append(BadLine("events", str(error), line[:QUARANTINED_LINE_BYTES]))
        else:
            self.changes.append(change)
            self.high_water = max(self.high_water, change.recorded_at)
            self._transitions += change.type in OF_A_CONVERSATION
        self._lines += 1

    def chunk(self, *, is_last: bool = False) -> Chunk:
        """
        What has been read since the last chunk, and the watermark that goes with it.

        At the end of the answer that is the overlap behind Gladly's clock; before it, and where the answer
        does not tell its end from a cut, the overlap behind its newest change.
        """
        reaches = [at for at in [self._read_until] if at]
        if not is_last or not reaches or not self._tells_its_end:
            reaches.append(self.high_water)
        self.position = max(self.position, min(reaches) - self._overlap)
        chunk = Chunk(self.changes, self.position, self.bad_lines, self._read_until)
        self.changes, self.bad_lines, self._transitions = [], [], 0
        return chunk


_decode_event = msgspec.json.Decoder(FeedEvent).decode
_decode_content = msgspec.json.Decoder(Content).decode


def read_change(line: bytes) -> Change:
    """
    Read one line of the feed.

    Raises:
        ValueError: It is not an event; the message says why.
    """
    try:
        event = _decode_event(line)
        type_ = TYPES.get(event.type, ChangeType.OTHER)
        recorded_at = from_text(event.timestamp)
        if type_ is ChangeType.OTHER:
            return Change(event.id, type_, recorded_at)
        content = _decode_content(event.content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    # MsgspecError is a ValueError and says what is missing or malformed.
    if type_ is ChangeType.CUSTOMER_MERGED:
        return Change(
            event.id,
            type_,
            recorded_at,
            customer_id=checked_id(content.source_customer_id, "sourceCustomerId"),
            conversation_id=content.source_conversation_id or "",
            into_customer_id=checked_id(content.destination_customer_id, "destinationCustomerId"),
            into_conversation_id=content.destination_conversation_id or "",
        )
    change = Change(event.id, type_, recorded_at, customer_id=checked_id(content.customer_id, "customerId"))
    if type_ in OF_A_CONVERSATION:
        change.conversation_id = checked_id(content.conversation_id, "conversationId")
        if content.context and content.context.assignee:
            change.agent_id = content.context.assignee.agent_id or ""
    return change


def _refuse_an_answer_of_another_kind(line: bytes, quoted: Callable[[str], str]) -> None:
    """
    A page, an error object or whatever else was answered with 200 is not "no events" (faults A13).

    Raises:
        UnexpectedAnswerError: *line*, the first of an answer and no event, has nothing of an event either.
    """
    details = ""
    try:
        first = msgspec.json.decode(line)
        details = quoted("; ".join(e.detail for e in msgspec.convert(first, Errors).all if e.detail))
        is_of_an_event = isinstance(first, dict) and not first.keys().isdisjoint(("id", "type", "timestamp"))
    except (ValueError, RecursionError):
        # Broken JSON: a damaged line of the feed, or the first line of something else.
        is_of_an_event = line.lstrip().startswith(b"{") and len(line.strip()) > 1
    if details or not is_of_an_event:
        raise UnexpectedAnswerError(
            "Gladly answered the request for events with something else"
            + (f": {details}." if details else " (a page, or an error).")
            + " The watermark has not moved."
        )


def _lines(exchange: Exchange) -> Iterator[bytes]:
    """
    The whole lines of a body; blank ones are passed over. Split on newline bytes: decoded text has more kinds
    of line ends than JSON Lines has.

    A last line without its end counts where the answer tells its end, and is a cut otherwise.

    Raises:
        RetryableError: The body broke off, also in the middle of a line.
    """
    held: list[bytes] = []  # the beginning of a line whose end is not here yet
    size = 0
    for part in exchange.parts(decode=False):
        *ends, beginning = part.split(b"\n")
        if ends:
            exchange.extend(LINE_DEADLINE_S)
        for end in ends:
            line = b"".join(held) + end if held else end
            held, size = [], 0
            if line := line.strip():
                yield line
        if size <= LINE_MAX_BYTES:
            held.append(beginning)  # of a line too long, no more than shows that it is
        size += len(beginning)
        if size > LINE_SKIP_BYTES:
            raise RetryableError(f"Gladly sent a line of over {LINE_SKIP_BYTES} bytes without an end.")
    if line := b"".join(held).strip():
        response = exchange.response
        if "Content-Length" not in response.headers and "Transfer-Encoding" not in response.headers:
            raise RetryableError("Gladly's answer broke off in the middle of a line.")
        yield line
