"""
Faults that a service can answer with at the level of HTTP messages.

Faults in the bytes themselves need a proxy: tests/support/proxy.py has one.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

End = Literal["gladly", "segment", "public_api"]
RewriteFeed = Callable[[list[bytes]], list[bytes]]
RewriteReport = Callable[[bytes], bytes]
Predicate = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Fault:
    """
    What happens to a request instead of its normal answer, or in addition to that answer.

    Attributes:
        status: The status to answer with, without the real answer; None keeps the real answer.
        headers: Headers of the answer. They replace the answer's own headers of the same name, also `Date`.
        body: The answer's body. None keeps the real body; when `status` is set, None means an empty body.
        delay_s: Real seconds to wait before anything else.
        times: How many requests the fault meets; None means all of them until the fault is cleared.
        content_type: The type of the replaced body. None means JSON when it starts like JSON, else text.
        taken: True lets the request take effect at the service before the fault answers it.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    times: int | None = 1
    content_type: str | None = None
    taken: bool = False


class _Armed:
    def __init__(self, end: End, method: str, path: str, fault: Fault) -> None:
        self.end, self.method, self.path, self.fault = end, method, path, fault
        self.left = fault.times

    def meets(self, end: End, method: str, path: str) -> bool:
        return (
            self.end == end
            and self.left != 0
            and self.method in {"*", method}
            and fnmatchcase(path, self.path)
        )


class Faults:
    """The faults in force, added and cleared at any time. A request meets the oldest fault that fits it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._rewrite_feed: RewriteFeed | None = None
        self._rewrite_report: RewriteReport | None = None
        self._rejects: list[Predicate] = []

    def add(self, end: End, path: str, fault: Fault, *, method: str = "*") -> None:
        """
        Put *fault* in force.

        Args:
            end: The service whose requests meet the fault.
            path: A pattern for the path without the query, `/api/v1/events` or `*`.
            fault: What happens to these requests.
            method: `GET`, `POST`, …, or `*`.
        """
        with self._lock:
            self._armed.append(_Armed(end, method, path, fault))

    def clear(self, end: End | None = None) -> None:
        """
        End all faults, or the faults of one end.

        Args:
            end: The end; None means both. Rewriting belongs to Gladly, rejecting to Segment.
        """
        with self._lock:
            self._armed = [armed for armed in self._armed if end is not None and armed.end != end]
            if end in {None, "gladly"}:
                self._rewrite_feed = self._rewrite_report = None
            if end in {None, "segment"}:
                self._rejects = []

    def rewrite_feed(self, rewrite: RewriteFeed | None) -> None:
        """Pass the lines of each `GET /events` answer, newlines included, through *rewrite*; None ends it."""
        with self._lock:
            self._rewrite_feed = rewrite

    def rewrite_report(self, rewrite: RewriteReport | None) -> None:
        """Pass the whole body of every `POST /reports` answer through *rewrite*; None stops that."""
        with self._lock:
            self._rewrite_report = rewrite

    def reject_message(self, predicate: Predicate | None) -> None:
        """Also answer 400 to batches with an event for which *predicate* is true; None ends all rejecting."""
        with self._lock:
            self._rejects = [] if predicate is None else [*self._rejects, predicate]

    def meet(self, end: End, method: str, path: str) -> Fault | None:
        """Return the fault that meets this request, and count the request. Return None when no fault does."""
        with self._lock:
            for armed in self._armed:
                if armed.meets(end, method, path):
                    if armed.left is not None:
                        armed.left -= 1
                    return armed.fault
        return None

    @property
    def feed_rewriter(self) -> RewriteFeed | None:
        """The function that rewrites the feed now, or None."""
        return self._rewrite_feed

    @property
    def report_rewriter(self) -> RewriteReport | None:
        """The function that rewrites reports now, or None."""
        return self._rewrite_report

    def rejects(self, event: dict[str, Any]) -> bool:
        """Return whether a batch with *event* must be refused."""
        with self._lock:
            predicates = list(self._rejects)
        return any(predicate(event) for predicate in predicates)
