"""
The lines of the Events API's answer, and what each of them is (Gladly REST API, Events).

The body is JSON Lines. A line is a change, an event that cannot be read, an error, or no event at all.
"""

from collections.abc import Iterator
from enum import Enum, auto

import msgspec

from state.instants import from_text
from sync.errors import RetryableError
from sync.events.changes import OF_A_CONVERSATION, OF_TOPICS, Change, ChangeType, change_type, checked_id
from sync.gladly.limits import GladlyLimits
from sync.gladly.models import Content, Errors, FeedEvent
from sync.http.host import Exchange

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
        type_ = change_type(event.type)
        recorded_at = from_text(event.timestamp)
        id_ = "" if event.id is None else checked_id(str(event.id), "id")
        if type_ is ChangeType.OTHER:
            return Change(id_, type_, recorded_at)
        content = _decode_content(event.content)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    # MsgspecError is a ValueError and says what is missing or malformed.
    if type_ is ChangeType.CUSTOMER_MERGED:
        return Change(
            id_,
            type_,
            recorded_at,
            customer_id=checked_id(content.source_customer_id, "sourceCustomerId"),
            conversation_id=_id_if_any(content.source_conversation_id, "sourceConversationId"),
            into_customer_id=checked_id(content.destination_customer_id, "destinationCustomerId"),
        )
    change = Change(id_, type_, recorded_at, customer_id=checked_id(content.customer_id, "customerId"))
    if type_ in OF_A_CONVERSATION:
        change.conversation_id = checked_id(content.conversation_id, "conversationId")
        if content.context and content.context.assignee:
            change.agent_id = _agent(content.context.assignee.agent_id)
    elif type_ in OF_TOPICS:
        change.conversation_id = checked_id(content.conversation_id, "conversationId")
        change.topic_id = checked_id(content.topic_id, "topicId")
    return change


def _id_if_any(value: str | None, name: str) -> str:
    """Return an id that may be missing, as `checked_id` does; empty when it is."""
    return checked_id(value, name) if value else ""


def _agent(value: str | None) -> str | None:
    """Return an agent's id, or None where it cannot be one: that costs no transition."""
    try:
        return _id_if_any(value, "agentId")
    except ValueError:
        return None


class LineKind(Enum):
    """Say what a line is that could not be read as a change."""

    UNREADABLE_EVENT = auto()  # an event that may mean something here
    OTHER_EVENT = auto()
    ERROR = auto()
    NO_EVENT = auto()


def kind_of(line: bytes) -> tuple[LineKind, str]:
    """
    Return what a line is that could not be read as a change, and the details that an error gives.

    Two of the three fields that every event has make an event: error objects have one of them at most, or say
    `error` as well.
    """
    try:
        found = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return LineKind.NO_EVENT, ""
    if not isinstance(found, dict):
        return LineKind.NO_EVENT, ""
    named = [name for name in ("id", "type", "timestamp") if name in found]
    error = found.get("errors") or found.get("error")
    if error and len(named) < 3:
        try:
            entries = msgspec.convert(found, Errors).all
        except ValueError:
            entries = []
        details = "; ".join(entry.detail for entry in entries if entry.detail)
        return LineKind.ERROR, details or (error if isinstance(error, str) else "")
    if len(named) < 2:
        return LineKind.NO_EVENT, ""
    type_ = found.get("type")
    is_known = not isinstance(type_, str) or change_type(type_) is not ChangeType.OTHER
    return (LineKind.UNREADABLE_EVENT if is_known else LineKind.OTHER_EVENT), ""


def is_cut_object(line: bytes) -> bool:
    """Return whether a line is the beginning of a JSON object, without its end."""
    if not line.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return True
    return False


class UnendedLine(bytes):
    """A last line without a newline: whole, or cut."""


def lines_of(exchange: Exchange, limits: GladlyLimits) -> Iterator[bytes]:
    """
    Yield the whole lines of a body, without blank lines.

    The body is split at newline bytes: decoded text has more kinds of line ends than JSON Lines has. A last
    line without a newline may be whole where the answer tells its end, and is yielded as an `UnendedLine`.
    Otherwise it was cut.

    Args:
        exchange: Given more time with every line.
        limits: How long a line may be, and how long one is waited for.

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
            held.append(beginning)  # of a line too long, no more than shows that it is
        size += len(beginning)
        if size > limits.line_skip_bytes:
            raise RetryableError(f"Gladly sent a line of over {limits.line_skip_bytes} bytes without an end.")
    if line := b"".join(held).strip():
        response = exchange.response
        if "Content-Length" not in response.headers and "Transfer-Encoding" not in response.headers:
            raise RetryableError("Gladly's answer broke off in the middle of a line.")
        yield UnendedLine(line)
