"""Actions of a proxy that answer in place of the server."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any


def answering(body: Callable[[], Iterator[bytes]], *headers: str) -> Callable[[Any], bool | None]:
    """Return an action that answers 200 with these headers, and writes the body while it is made."""

    def action(exchange: Any) -> bool | None:
        exchange.send_head(200, "OK", [tuple(h.split(": ", 1)) for h in (date_header(), *headers)])
        with contextlib.suppress(OSError):
            for part in body():
                exchange.sock.sendall(part)
                if exchange.closing.is_set():
                    break
        return None

    return action


def date_header(offset_s: float = 0) -> str:
    """Return a `Date` header of now, or of *offset_s* seconds later."""
    return "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + offset_s))
