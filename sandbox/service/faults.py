"""Faults that can be answered at the level of HTTP messages. For faults in the bytes, see `sandbox.raw`."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Side = Literal["gladly", "segment"]
RewriteFeed = Callable[[list[bytes]], list[bytes]]
RewriteReport = Callable[[bytes], bytes]
Predicate = Callable[[dict[str, Any]], bool]


@dataclass(frozen=True)
class Fault:
    """
    What to do to a request instead of, or on top of, answering it.

    Attributes:
        status: Answered instead of the real answer; None lets the real one through.
        headers: Added to the answer, replacing those of the same name, `Date` included.
        body: Replaces the answer's body; None keeps it (an empty one where `status` is set).
        delay_s: Real seconds to wait before anything else.
        times: How many requests it meets; None means all of them until cleared.
        content_type: The replaced body's type; None means JSON where it starts like JSON, else text.
        taken: True lets the request take effect before the fault answers it.
    """

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    delay_s: float = 0.0
    times: int | None = 1
    content_type: str | None = None
    taken: bool = False


class _Armed:
    def __init__(self, side: Side, method: str, path: str, fault: Fault) -> None:
        self.side, self.method, self.path, self.fault = side, method, path, fault
        self.left = fault.times

    def meets(self, side: Side, method: str, path: str) -> bool:
        return (
            self.side == side
            and self.left != 0
            and self.method in {"*", method}
            and fnmatchcase(path, self.path)
        )


class Faults:
    """The faults in force, added and cleared at any time. The oldest one that fits a request meets it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []
        self._rewrite_feed: RewriteFeed | None = None
        self._rewrite_report: RewriteReport | None = None
        self._rejects: list[Predicate] = []

    def add(self, side: Side, path: str, fault: Fault, *, method: str = "*") -> None:
        """Arm *fault* for requests to *side* whose path fits the pattern *path* (`/api/v1/events`, `*`)."""
        with self._lock:
            self._armed.append(_Armed(side, method, path, fault))

    def clear(self, side: Side | None = None) -> None:
        """Disarm everything, or everything on one side: rewriting is Gladly's, rejecting is Segment's."""
        with self._lock:
            self._armed = [armed for armed in self._armed if side is not None and armed.side != side]
            if side in {None, "gladly"}:
                self._rewrite_feed = self._rewrite_report = None
            if side in {None, "segment"}:
                self._rejects = []

    def rewrite_feed(self, rewrite: RewriteFeed | None) -> None:
        """Pass the lines of every `GET /events` answer, newlines included, through *rewrite*."""
        with self._lock:
            self._rewrite_feed = rewrite

    def rewrite_report(self, rewrite: RewriteReport | None) -> None:
        """Pass the whole body of every `POST /reports` answer through *rewrite*."""
        with self._lock:
            self._rewrite_report = rewrite

    def reject_message(self, predicate: Predicate | None) -> None:
        """Answer 400 to every batch with an event for which *predicate* is true. None rejects no more."""
        with self._lock:
            self._rejects = [] if predicate is None else [*self._rejects, predicate]

    def meet(self, side: Side, method: str, path: str) -> Fault | None:
        """Take the fault that meets this request, counting it; None leaves the request alone."""
        with self._lock:
            for armed in self._armed:
                if armed.meets(side, method, path):
                    if armed.left is not None:
                        armed.left -= 1
                    return armed.fault
        return None

    @property
    def feed_rewriter(self) -> RewriteFeed | None:
        """The rewriting in force for the feed."""
        return self._rewrite_feed

    @property
    def report_rewriter(self) -> RewriteReport | None:
        """The rewriting in force for reports."""
        return self._rewrite_report

    def rejects(self, event: dict[str, Any]) -> bool:
        """Whether a batch with *event* is to be refused."""
        with self._lock:
            predicates = list(self._rejects)
        return any(predicate(event) for predicate in predicates)
