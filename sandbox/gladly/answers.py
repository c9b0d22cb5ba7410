"""Answers in the form in which Gladly gives them: JSON, its error bodies, and streams."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from sandbox.world.records import Wire

# A stream is sent in chunks of this size: large enough to be fast, small enough to need little memory.
CHUNK_BYTES = 128 * 1024


async def in_chunks(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Yield *lines* joined into chunks of about `CHUNK_BYTES`."""
    chunk, size = [], 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
    if chunk:
        yield b"".join(chunk)


def with_byte_order_mark(lines: Iterable[bytes]) -> Iterable[bytes]:
    """Yield a UTF-8 byte order mark, then *lines*."""
    yield b"\xef\xbb\xbf"
    yield from lines


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return *content* as a JSON answer."""
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


def error_answer(
    status: int, attr: str, code: str, detail: str, *, meta: Wire | None = None, as_list: bool = True
) -> Response:
    """
    Return an answer with Gladly's error body.

    Args:
        status: The HTTP status.
        attr: The parameter that is wrong, or an empty text.
        code: Gladly's code for what is wrong with it.
        detail: A sentence for people.
        meta: The error's `meta` object; None leaves it out.
        as_list: False puts one object where a list is expected, as Gladly does in some of its answers.
    """
    error: Wire = {"attr": attr, "code": code, "detail": detail}
    if meta is not None:
        error["meta"] = meta
    return json_answer({"errors": [error] if as_list else error}, status)


async def no_such_call(_: Request, exc: Exception) -> Response:
    """Answer a request for a path or method that Gladly does not have."""
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return error_answer(status, "", "not_exist", "no such call", as_list=status != 404)
