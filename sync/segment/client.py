"""
Sending batches to Segment, and telling apart what its answer means (Segment HTTP Tracking API):

* delivered: 2xx, by who it should be;
* rejected: 400 or 413 for one event, found by halving the batch (semantics 4.4);
* refused: 401 or 403, the write key;
* retry: whatever else. The events stay pending and the same bytes are sent again.
"""

import contextlib
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from state.records import PendingEvent
from sync.errors import CredentialsRefusedError, RetryableError, UnexpectedAnswerError
from sync.http.host import Edge, Exchange, retried, retry_after_s
from sync.segment.batches import body_of
from sync.stop import Stop

log = structlog.get_logger()

# Of zlib's levels the fastest: what events have in common shrinks a batch to an eighth, at 2 ms of CPU; the
# default level comes to a tenth, at twice that.
GZIP_LEVEL = 1

# A whole batch is 500 KB: half a minute is a slow line.
CALL_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """Segment has these."""

    events: Sequence[PendingEvent]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Segment does not take this one, and why."""

    event: PendingEvent
    reason: str


class _RefusedBatchError(Exception):
    """400, 413 or 415: something in the batch, or its size, or that it is compressed."""


class SegmentClient:
    """
    One source of one workspace, by its write key.

    Args:
        base_url: `https://api.segment.io`, the EU's, or that of a Segment-compatible receiver.
        compress: Send batches as gzip, as Segment's own libraries can; the limits are on what it unpacks to.
            A receiver that does not take that is sent the same bytes plain.
    """

    def __init__(self, base_url: str, write_key: str, *, stop: Stop, compress: bool = False) -> None:
        self.edge = Edge(base_url, (write_key, ""), name="Segment", stop=stop)
        self._stop = stop
        self._compress = compress
        self._has_taken_gzip = False

    def close(self) -> None:
        """Close the pooled connections."""
        self.edge.close()

    def deliver(
        self, batch: Sequence[PendingEvent], body: bytes | None = None
    ) -> Iterator[Delivered | Rejected]:
        """
        Send *batch* and say what became of its events, in their order, part by part where it was split.

        Args:
            body: `body_of` it, where the caller has that already.

        Raises:
            RetryableError: Segment could not be reached, or answered 408, 429 or 5xx, several times in a
                row; what has not been yielded stays as it was.
            CredentialsRefusedError: 401 or 403.
            UnexpectedAnswerError: Something answered that is not Segment, or redirects.
            StoppedError: A stop was asked for.
        """
        try:
            self._send(body_of(batch) if body is None else body)
        except _RefusedBatchError as refused:
            if len(batch) == 1:
                yield Rejected(batch[0], str(refused))
                return
            middle = len(batch) // 2
            yield from self.deliver(batch[:middle])
            yield from self.deliver(batch[middle:])
        else:
            yield Delivered(batch)

    def reach(self) -> None:
        """
        Prove that Segment is there, with an empty batch, which makes no event. That the write key is right
        a 2xx does not prove: not every edge of Segment's checks it.

        Raises: As `deliver`.
        """
        with contextlib.suppress(_RefusedBatchError):  # some receivers mind an empty batch: they are there
            self._send(body_of(()))

    def _send(self, body: bytes) -> None:
        """
        Raises:
            _RefusedBatchError: The events are at fault, and not that they came compressed.
        """
        if not self._compress:
            self._post(body)
            return
        try:
            # No time in the header: every attempt is the same bytes.
            self._post(gzip.compress(body, GZIP_LEVEL, mtime=0), {"Content-Encoding": "gzip"})
        except _RefusedBatchError:
            if self._has_taken_gzip:
                raise
        else:
            self._has_taken_gzip = True
            return
        self._post(body)
        self._compress = False
        log.warning("gzip.refused", host=self.edge.host, setting="segment.gzip")

    def _post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        def send() -> None:
            with self.edge.call(
                "POST",
                "/v1/batch",
                deadline_s=CALL_DEADLINE_S,
                body=body,
                headers={"Content-Type": "application/json", **(headers or {})},
            ) as exchange:
                self._judge(exchange)

        retried(send, self._stop)

    def _judge(self, exchange: Exchange) -> None:
        host, status = self.edge.host, exchange.response.status
        if 200 <= status < 300:
            return self._believe(exchange)
        if status in (401, 403):
            raise CredentialsRefusedError(
                f"Segment at {host} refused the write key ({status}). Check the SEGMENT_WRITE_KEY variable "
                "(or segment.write_key_file) and segment.region. The events stay pending; nothing is lost."
            )
        if status in (400, 413) or (status == 415 and self._compress):
            raise _RefusedBatchError(f"Segment answered {status}: {_text_of(exchange)}")
        if status in (408, 429) or status >= 500:
            raise RetryableError(
                f"Segment at {host} answered {status}. The events stay pending.",
                retry_after_s=retry_after_s(exchange.response),
            )
        redirects = " with a redirect, which is never followed" if 300 <= status < 400 else ""
        raise UnexpectedAnswerError(
            f"{host} answered {status}{redirects}: that is not Segment's batch endpoint. "
            "Check segment.base_url or segment.region. The events stay pending."
        )

    def _believe(self, exchange: Exchange) -> None:
        """
        A 2xx delivers, unless it is a page of something in between, or says itself that it failed. An empty
        body, or another than Segment's, is what Segment-compatible receivers answer.
        """
        body = exchange.body(1_000_000).strip()
        media_type = exchange.response.headers.get("Content-Type", "").lower()
        if "html" in media_type or body.startswith(b"<"):
            raise UnexpectedAnswerError(
                f"{self.edge.host} answered the events with a page, so they have not reached Segment. "
                "Check segment.base_url, and what stands between here and Segment. The events stay pending."
            )
        try:
            answer = msgspec.json.decode(body) if body else None
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and answer.get("success") is False:
            raise RetryableError(
                f"Segment at {self.edge.host} answered that it failed. The events stay pending."
            )


def _text_of(exchange: Exchange) -> str:
    """What an error answer says: it may be anything."""
    try:
        text = exchange.body(100_000).decode("utf-8", "replace")
    except RetryableError:
        text = ""
    return exchange.quoted(text) or "no reason given"
