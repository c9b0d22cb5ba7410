"""The usual actions of a `Proxy`: answers that are cut, slow, wrongly framed, false, or never come."""

import gzip as gzip_codec
import http.client
from collections.abc import Callable, Mapping
from typing import Literal

from support.proxy import Action, Exchange, How, RawResponse
from support.raw_server import Headers

Framing = Literal["length", "chunked", "close"]


def cut(after_bytes: int, how: How = "close", framing: Framing = "length") -> Action:
    """
    Cut the answer off after some bytes of its body.

    Args:
        after_bytes: How many bytes of the body are sent.
        how: How the connection ends.
        framing: How the whole body was announced: with `Content-Length`; in chunks, of which the last is
            missing; or by the close alone, so that the client cannot tell that it came early.
    """

    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        head, body = _framed(answer, framing)
        exchange.send_head(answer.status, answer.reason, head)
        part = body(answer.body[:after_bytes])
        exchange.sock.sendall(part.removesuffix(_LAST_CHUNK) if framing == "chunked" else part)
        exchange.hang_up(how)

    return action


def reframe(framing: Framing) -> Action:
    """Send the whole answer with this *framing*. `close` is HTTP/1.0's: the close ends the body."""

    def action(exchange: Exchange) -> bool:
        answer = exchange.forward()
        head, body = _framed(answer, framing)
        exchange.send_head(answer.status, answer.reason, head)
        exchange.sock.sendall(body(answer.body))
        return framing != "close"

    return action


def wrong_length(by: int) -> Action:
    """Announce *by* bytes more than are sent (fewer when *by* is negative), then close."""

    def action(exchange: Exchange) -> None:
        answer = exchange.forward()
        head = [*answer.without("content-length"), ("content-length", str(len(answer.body) + by))]
        exchange.send_head(answer.status, answer.reason, head)
        exchange.sock.sendall(answer.body)

    return action


def stall(seconds: float, where: Literal["before", "after"] = "before", then: How | None = None) -> Action:
    """
    Pass the request on, then wait.

    Args:
        seconds: How long.
        where: Whether the wait comes before the answer's head, or between its head and its body.
        then: How the connection ends after the wait; None sends the rest of the answer.
    """

    def action(exchange: Exchange) -> bool | None:
        answer = exchange.forward()
        if where == "after":
            head = [*answer.without("content-length"), ("content-length", str(len(answer.body)))]
            exchange.send_head(answer.status, answer.reason, head)
        exchange.pause(seconds)
        if then is not None:
            exchange.hang_up(then)
            return None
        if where == "before":
            return exchange.send(answer)
        exchange.sock.sendall(answer.body)
        return True

    return action


def drip(bytes_per_s: float, piece_bytes: int = 1) -> Action:
    """Send the head at once and the body slowly: *bytes_per_s* bytes a second, *piece_bytes* at a time."""

    def action(exchange: Exchange) -> bool:
        answer = exchange.forward()
        head = [*answer.without("content-length"), ("content-length", str(len(answer.body)))]
        exchange.send_head(answer.status, answer.reason, head)
        for first in range(0, len(answer.body), piece_bytes):
            exchange.sock.sendall(answer.body[first : first + piece_bytes])
            exchange.pause(piece_bytes / bytes_per_s)
            if exchange.closing.is_set():
                return False
        return True

    return action


def gzip(variant: Literal["whole", "cut", "bad_crc", "plain"] = "whole") -> Action:
    """
    Send the body as gzip, whether or not the client asked for it.

    Args:
        variant: `whole` is correct. `cut` sends the first half and announces that half's length. `bad_crc`
            changes the checksum. `plain` announces gzip and sends the body as it is.
    """

    def action(exchange: Exchange) -> bool:
        answer = exchange.forward()
        packed = answer.body if variant == "plain" else gzip_codec.compress(answer.body)
        if variant == "cut":
            packed = packed[: len(packed) // 2]
        elif variant == "bad_crc":
            packed = packed[:-8] + bytes(byte ^ 0xFF for byte in packed[-8:-4]) + packed[-4:]
        headers = [*answer.without("content-encoding"), ("content-encoding", "gzip")]
        return exchange.send(RawResponse(answer.status, answer.reason, headers, packed))

    return action


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Action:
    """Answer with *status*, *headers* and *body*, without passing the request on."""

    def action(exchange: Exchange) -> bool:
        _ = exchange.request.body
        reason = http.client.responses.get(status, "")
        return exchange.send(RawResponse(status, reason, list((headers or {}).items()), body))

    return action


def redirect(to: str, status: int = 302) -> Action:
    """Redirect to the address *to*, without passing the request on."""
    return answer(status, {"Location": to})


def rewrite(change: Callable[[RawResponse], RawResponse]) -> Action:
    """Send what *change* returns for the answer."""
    return lambda exchange: exchange.send(change(exchange.forward()))


def swallow(how: How | Literal["never"] = "never") -> Action:
    """Pass the request on, so that it takes effect, and never answer: hang up, or let the client wait."""

    def action(exchange: Exchange) -> None:
        exchange.forward()
        if how == "never":
            exchange.closing.wait()
        else:
            exchange.hang_up(how)

    return action


def hang_up(after_bytes: int = 0, how: How = "reset") -> Action:
    """Read *after_bytes* bytes of the request's body, then end the connection. Nothing is passed on."""

    def action(exchange: Exchange) -> None:
        exchange.request.read_some(after_bytes)
        exchange.hang_up(how)

    return action


_LAST_CHUNK = b"0\r\n\r\n"


def _framed(answer: RawResponse, framing: Framing) -> tuple[Headers, Callable[[bytes], bytes]]:
    head = answer.without("content-length")
    if framing == "length":
        return [*head, ("content-length", str(len(answer.body)))], bytes
    if framing == "chunked":
        return [*head, ("transfer-encoding", "chunked")], _in_chunks
    return [*head, ("connection", "close")], bytes


def _in_chunks(body: bytes) -> bytes:
    pieces = (body[first : first + 4096] for first in range(0, len(body), 4096))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + _LAST_CHUNK
