"""The record of the requests that a service answered."""

import threading
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RequestSeen:
    """
    A request that a service answered.

    Attributes:
        method: GET, POST, …
        path: The path without the query.
        query: The query as it was sent, still percent-encoded.
        status: The status of the answer; 0 when there was no answer.
        at: `time.monotonic()` when the request came in.
        world_at: The world's time when the request came in.
        user: The user name of Basic authentication, right or wrong; None when the request has none.
        body_bytes: The length of the request's body as it was sent.
        headers: The request's headers, names in lower case.
        body: The request's body as it was sent, when the answer was not 2xx. It is empty when the answer was
            2xx, because the inbox keeps what was accepted.
    """

    method: str
    path: str
    query: str
    status: int
    at: float
    world_at: datetime
    user: str | None
    body_bytes: int
    headers: dict[str, str]
    body: bytes


class RequestLog:
    """The requests of one service, oldest first. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: list[RequestSeen] = []

    def note(self, request: RequestSeen) -> None:
        """Append *request*."""
        with self._lock:
            self._seen.append(request)

    def seen(self) -> list[RequestSeen]:
        """Return a copy of the list so far."""
        with self._lock:
            return list(self._seen)
