"""
Send batches to Segment, and decide what each answer means (Segment HTTP Tracking API):

* delivered: Segment itself answered 2xx;
* rejected: Segment answered 400 or 413 to one event, which is found by halving the batch (semantics 4.4);
* refused: Segment answered 401 or 403, so the write key is wrong;
* retry: everything else. The events stay pending, and the same bytes are sent again.
"""

import contextlib
import gzip
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from state.failpoints import failpoint
from state.records import PendingEvent
from sync.errors import CredentialsRefusedError, RetryableError, UnexpectedAnswerError
from sync.http.credentials import BasicCredentials
from sync.http.headers import retry_after_s
from sync.http.host import Exchange, Host
from sync.http.retry import RetryPolicy
from sync.segment.batches import body_of
from sync.segment.limits import SegmentLimits
from sync.stop import Stop

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Delivered:
    """Say that Segment has accepted these events."""

    events: Sequence[PendingEvent]


@dataclass(frozen=True, slots=True)
class Rejected:
    """Say that Segment does not accept this event, and why."""

    event: PendingEvent
    reason: str


class _RefusedBatchError(Exception):
    """Say that Segment answered 400, 413 or 415: to the batch's events, its size, or its compression."""


class SegmentClient:
    """
    Send events to the source that the write key names.

    Args:
        base_url: `https://api.segment.io`, the EU's, or that of a Segment-compatible receiver.
        write_key: The source's key.
        stop: Ends a request under way, or a wait, when it is set.
        compress: Whether to send batches as gzip, as Segment's own libraries can. The limits hold for the
            uncompressed batch. A receiver that refuses gzip is sent the same bytes uncompressed.
        retry: How often, and how long, a failed request is made again.
        limits: What Segment accepts, and how long to wait for it.

    Attributes:
        host: The host and its connections.
        limits: As given.
    """

    def __init__(
        self,
        base_url: str,
        write_key: str,
        *,
        stop: Stop,
        compress: bool = False,
        retry: RetryPolicy = RetryPolicy(),
        limits: SegmentLimits = SegmentLimits(),
    ) -> None:
        self.host = Host(base_url, BasicCredentials(write_key, ""), end="Segment", stop=stop)
        self.limits = limits
        self._retry = retry
        self._retrying = retry.retrying(stop)
        self._compress = compress
        self._has_taken_gzip = False

    def close(self) -> None:
        """Close the pooled connections."""
        self.host.close()

    def deliver(
        self, batch: Sequence[PendingEvent], body: bytes | None = None
    ) -> Iterator[Delivered | Rejected]:
        """
        Send *batch*. Yield what became of its events, in their order; a split batch has several results.

        Args:
            batch: The events, within the limits, as `pack` makes a batch.
            body: The result of `body_of(batch)`, if the caller has it already.

        Raises:
            RetryableError: Segment could not be reached, or answered 408, 429 or 5xx, several times in a
                row. The events that have not been yielded stay as they were.
            CredentialsRefusedError: Segment answered 401 or 403.
            UnexpectedAnswerError: Another server answered, or the answer is a redirect.
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
        Prove that Segment can be reached, with an empty batch, which makes no event.

        A 2xx does not prove that the write key is right: some of Segment's servers do not check it.

        Raises: As `deliver`.
        """
        with contextlib.suppress(_RefusedBatchError):  # a receiver that refuses it was reached, too
            self._send(body_of(()))

    def _send(self, body: bytes) -> None:
        """
        Send *body*, as gzip if that is asked for and accepted.

        Raises:
            _RefusedBatchError: The events are at fault, and not their compression.
        """
        if not self._compress:
            self._post(body)
            return
        try:
            # Without a time in gzip's header, every attempt sends the same bytes.
            self._post(gzip.compress(body, self.limits.gzip_level, mtime=0), {"Content-Encoding": "gzip"})
        except _RefusedBatchError:
            if self._has_taken_gzip:
                raise
        else:
            self._has_taken_gzip = True
            return
        self._post(body)
        self._compress = False
        log.warning("gzip.refused", host=self.host.address, setting="segment.gzip")

    def _post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        def send() -> None:
            failpoint("segment.request")
            with self.host.request(
                "POST",
                "/v1/batch",
                deadline_s=self.limits.request_deadline_s,
                body=body,
                headers={"Content-Type": "application/json", **(headers or {})},
            ) as exchange:
                failpoint("segment.answer")
                self._judge(exchange)

        self._retrying(send)

    def _judge(self, exchange: Exchange) -> None:
        host, status = self.host.address, exchange.response.status
        if 200 <= status < 300:
            return self._believe(exchange)
        if status in (401, 403):
            raise CredentialsRefusedError(
                f"Segment at {host} refused the write key ({status}). Check the SEGMENT_WRITE_KEY variable "
                "(or segment.write_key_file) and segment.region. The events stay pending; nothing is lost."
            )
        if status in (400, 413) or (status == 415 and self._compress):
            raise _RefusedBatchError(f"Segment answered {status}: {self._text_of(exchange)}")
        if status in (408, 429) or status >= 500:
            raise RetryableError(
                f"Segment at {host} answered {status}. The events stay pending.",
                retry_after_s=retry_after_s(exchange.response.headers, self._retry.longest_retry_after_s),
            )
        redirects = " with a redirect, which is never followed" if 300 <= status < 400 else ""
        raise UnexpectedAnswerError(
            f"{host} answered {status}{redirects}: that is not Segment's batch endpoint. "
            "Check segment.base_url or segment.region. The events stay pending."
        )

    def _believe(self, exchange: Exchange) -> None:
        """
        Accept a 2xx as a delivery, unless the answer is a web page, or says itself that it failed.

        Segment-compatible receivers answer with an empty body, or with another body than Segment's.

        Raises:
            UnexpectedAnswerError: The answer is a page of a server between this machine and Segment.
            RetryableError: The answer says that Segment failed.
        """
        body = exchange.body(self.limits.answer_max_bytes).strip()
        media_type = exchange.response.headers.get("Content-Type", "").lower()
        if "html" in media_type or body.startswith(b"<"):
            raise UnexpectedAnswerError(
                f"{self.host.address} answered the events with a page, so they have not reached Segment. "
                "Check segment.base_url, and any proxy between here and Segment. The events stay pending."
            )
        try:
            answer = msgspec.json.decode(body) if body else None
        except (ValueError, RecursionError):
            answer = None
        if isinstance(answer, dict) and answer.get("success") is False:
            raise RetryableError(
                f"Segment at {self.host.address} answered that it failed. The events stay pending."
            )

    def _text_of(self, exchange: Exchange) -> str:
        """Return the text of an error answer, fit for a message."""
        try:
            text = exchange.body(self.limits.refusal_max_bytes).decode("utf-8", "replace")
        except RetryableError:
            text = ""
        return exchange.quoted(text) or "no reason given"
