"""
Read the Events API: what Gladly recorded since an instant, in chunks of changes.

`GET /events` is JSON Lines, streamed, ascending and up to 15 seconds late (Gladly REST API, Events). The
watermark of a chunk stays behind Gladly's own clock by the overlap, so that a change that becomes visible
late is still read. Until the stream has ended, the watermark also stays behind the newest change by the
overlap, so that a change slightly out of order is still read (semantics 3.2, 3.3).
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import msgspec
from urllib3 import BaseHTTPResponse

from state.instants import from_text, to_text
from state.records import QUARANTINED_LINE_BYTES, BadLine
from sync.errors import RetryableError, UnexpectedAnswerError
from sync.events.changes import OF_A_CONVERSATION, OF_TOPICS, TYPES, Change, ChangeType, Chunk, checked_id
from sync.gladly.client import GladlyClient
from sync.gladly.limits import GladlyLimits
from sync.gladly.models import Content, Errors, FeedEvent
from sync.http.headers import server_date
from sync.http.host import Exchange

ENTITIES = ("CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE")


class EventsApi:
    """
    Read the Events API as a stream of changes.

    Args:
        client: Makes the requests.
        overlap: How far the watermark stays behind what has been read.
    """

    def __init__(self, client: GladlyClient, overlap: timedelta) -> None:
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
        while True:
            stream = EventStream(position, self._overlap, self._limits, self._client.host.quoted)
            try:
                yield from self._read_stream(stream, until)
            except RetryableError:
                stuck = 0 if stream.high_water > furthest else stuck + 1
                if not stream.is_open or stuck >= self._client.retry.max_attempts:
                    raise
            else:
                return
            furthest = max(furthest, stream.high_water)
            position = stream.position
            self._client.stop.sleep(self._client.retry.backoff_s(stuck + 1))

    def _read_stream(self, stream: "EventStream", until: datetime | None) -> Iterator[Chunk]:
        with contextlib.ExitStack() as stack:
            exchange = self._client.retried(lambda: stack.enter_context(self._open(stream.position, until)))
            stream.begin(exchange.response)
            try:
                for line in lines_of(exchange, self._limits):
                    stream.take(line)
                    if stream.is_full:
                        yield stream.chunk()
                        exchange.extend(self._limits.events_line_deadline_s)
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
        with self._client.request(
            "GET",
            "/events",
            deadline_s=self._limits.events_head_deadline_s,
            params=params,
            headers=headers,
        ) as exchange:
            response = exchange.response
            host, media_type = self._client.host.address, response.headers.get("Content-Type", "").lower()
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

    Args:
        position: The instant from which changes were requested.
        overlap: How far the watermark stays behind what has been read.
        limits: How much fills a chunk, and how long a line may be.
        quoted: Prepares the host's words for an error message (`Host.quoted`).

    Attributes:
        position: The watermark that goes with the chunks so far.
        high_water: The instant of the newest change of this answer.
        is_open: Whether the answer's head has arrived.
        changes, bad_lines: What has been read since the last chunk.
    """

    def __init__(
        self, position: datetime, overlap: timedelta, limits: GladlyLimits, quoted: Callable[[str], str]
    ) -> None:
        self._limits = limits
        self._quoted = quoted
        self.position = position
        self.high_water = position
        self.is_open = False
        self.changes: list[Change] = []
        self.bad_lines: list[BadLine] = []
        self._overlap = overlap
        self._transitions = 0
        self._lines = 0
        self._read_until: datetime | None = None
        self._tells_its_end = False

    def begin(self, response: BaseHTTPResponse) -> None:
        """Note what the answer's head says: Gladly's clock, and whether the body tells its end."""
        self.is_open = True
        self._read_until = server_date(response.headers)
        self._tells_its_end = (
            "Content-Length" in response.headers
            or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        )

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
            UnexpectedAnswerError: The first line shows that this is no answer of the Events API.
        """
        try:
            if len(line) > self._limits.line_max_bytes:
                raise ValueError(f"a line of over {self._limits.line_max_bytes} bytes")
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
        Return what has been read since the last chunk, and the watermark that goes with it.

        At the end of the answer, the watermark is Gladly's clock minus the overlap. Before the end, and when
        a cut would look like the end, it is no later than the newest change minus the overlap.
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
        ValueError: The line is not an event. The message says why.
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
        )
    change = Change(event.id, type_, recorded_at, customer_id=checked_id(content.customer_id, "customerId"))
    if type_ in OF_A_CONVERSATION:
        change.conversation_id = checked_id(content.conversation_id, "conversationId")
        if content.context and content.context.assignee:
            change.agent_id = content.context.assignee.agent_id or ""
    elif type_ in OF_TOPICS:
        change.conversation_id = checked_id(content.conversation_id, "conversationId")
        change.topic_id = checked_id(content.topic_id, "topicId")
    return change


def _refuse_an_answer_of_another_kind(line: bytes, quoted: Callable[[str], str]) -> None:
    """
    Refuse a page, an error object or another wrong answer with status 200: it does not mean "no events"
    (faults A13).

    Raises:
        UnexpectedAnswerError: *line*, the first line of the answer, is not even a damaged event.
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


def lines_of(exchange: Exchange, limits: GladlyLimits) -> Iterator[bytes]:
    """
    Yield the whole lines of a body, without blank lines.

    The body is split at newline bytes: decoded text has more kinds of line ends than JSON Lines has. A last
    line without a newline counts if the answer tells its end. Otherwise the line was cut.

    Args:
        exchange: The exchange whose body is read. Every line extends its deadline.
        limits: How long a line may be, and how long to wait for one.

    Raises:
        RetryableError: The body broke off, perhaps in the middle of a line.
    """
    held: list[bytes] = []  # the beginning of a line whose end is not here yet
    size = 0
    for part in exchange.parts(decode=False):
        *ends, beginning = part.split(b"\n")
        if ends:
            exchange.extend(limits.events_line_deadline_s)
        for end in ends:
            line = b"".join(held) + end if held else end
            held, size = [], 0
            if line := line.strip():
                yield line
        if size <= limits.line_max_bytes:
            held.append(beginning)  # a line that is too long is kept only until that shows
        size += len(beginning)
        if size > limits.line_skip_bytes:
            raise RetryableError(f"Gladly sent a line of over {limits.line_skip_bytes} bytes without an end.")
    if line := b"".join(held).strip():
        response = exchange.response
        if "Content-Length" not in response.headers and "Transfer-Encoding" not in response.headers:
            raise RetryableError("Gladly's answer broke off in the middle of a line.")
        yield line
