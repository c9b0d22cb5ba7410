"""
Send batches to Segment, and decide what each answer means (Segment HTTP Tracking API):

* delivered: Segment itself answered 2xx;
* rejected: Segment answered 400 or 413 to one event, which is found by halving the batch, and accepted others
  (semantics 4.4);
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
from sync.errors import (
    CredentialsRefusedError,
    EverythingRefusedError,
    RetryableError,
    UnexpectedAnswerError,
)
from sync.events.message_id import fingerprint
from sync.http.credentials import BasicCredentials
from sync.http.headers import retry_after_s
from sync.http.host import Exchange, Host
from sync.http.retry import RetryPolicy
from sync.segment.batches import body_of, probes_of
from sync.segment.limits import SegmentLimits, is_segments_own
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
        receiver: Which key at which address this is: the key's fingerprint, and the base URL.
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
        self._is_segments_own = is_segments_own(base_url)
        self.receiver = f"{fingerprint(write_key)}@{base_url}"
        self._retry = retry
        self._retrying = retry.retrying(stop)
        self._compress = compress
        self._has_taken_gzip = False

    def close(self) -> None:
        """Close the pooled connections."""
        self.host.close()

    def deliver(
        self, batch: Sequence[PendingEvent], body: bytes | None = None, *, has_accepted: bool = False
    ) -> Iterator[Delivered | Rejected]:
        """
        Send *batch*. Yield what became of its events, in their order; a split batch has several results.

        A key that is cut short, or a wrong address, is answered 400 whatever is sent. So an event is blamed
        for a 400 only where another one was accepted.

        Args:
            batch: The events, within the limits, as `pack` makes a batch.
            body: The result of `body_of(batch)`, if the caller has it already.
            has_accepted: Whether this `receiver` has accepted an event within the last day.

        Raises:
            RetryableError: Segment could not be reached, or answered 408, 429 or 5xx, several times in a
                row. The events that have not been yielded stay as they were.
            CredentialsRefusedError: Segment answered 401 or 403.
            UnexpectedAnswerError: Another server answered, or the answer is a redirect; or every event that
                was tried is refused, and none has been accepted.
            StoppedError: A stop was asked for.
        """
        refusal = self._refusal_of(batch, body)
        if refusal is None:
            yield Delivered(batch)
        elif not has_accepted:
            yield from self._probe(batch, refusal)
        elif len(batch) == 1:
            yield Rejected(batch[0], refusal)
        else:
            yield from self._halve(batch)

    def _probe(self, batch: Sequence[PendingEvent], refusal: str) -> Iterator[Delivered | Rejected]:
        """Try a few events of a refused batch alone. Go on with the others once one has been accepted."""
        refused: list[Rejected] = []
        for event in probes_of(batch, self.limits.probes):
            answer = self._refusal_of([event]) if len(batch) > 1 else refusal
            if answer is None:
                break
            refused.append(Rejected(event, answer))
        else:
            raise EverythingRefusedError(
                f"Segment at {self.host.address} refused every event that was tried ({refusal}). Check that "
                "the SEGMENT_WRITE_KEY variable (or segment.write_key_file) holds the whole key, and check "
                "segment.region and segment.base_url. The events stay pending; nothing is lost."
            )
        yield from refused
        yield Delivered([event])
        tried = {event.message_id, *(each.event.message_id for each in refused)}
        others = [other for other in batch if other.message_id not in tried]
        if others:
            yield from self._split(others, is_refused=not refused)

    def _split(self, batch: Sequence[PendingEvent], *, is_refused: bool) -> Iterator[Delivered | Rejected]:
        """
        Send *batch*, and halve it where it is refused, until each event that is refused is alone.

        Args:
            batch: At least one event.
            is_refused: Whether something in it is known to be refused. Then it is not sent whole once more.
        """
        if is_refused and len(batch) > 1:
            yield from self._halve(batch)
            return
        refusal = self._refusal_of(batch)
        if refusal is None:
            yield Delivered(batch)
        elif len(batch) == 1:
            yield Rejected(batch[0], refusal)
        else:
            yield from self._halve(batch)

    def _halve(self, batch: Sequence[PendingEvent]) -> Iterator[Delivered | Rejected]:
        """Send both halves of a refused batch. When the first is accepted whole, the second is at fault."""
        middle = len(batch) // 2
        is_accepted = True
        for outcome in self._split(batch[:middle], is_refused=False):
            is_accepted = is_accepted and isinstance(outcome, Delivered)
            yield outcome
        yield from self._split(batch[middle:], is_refused=is_accepted)

    def _refusal_of(self, batch: Sequence[PendingEvent], body: bytes | None = None) -> str | None:
        """Send *batch*. Return how Segment refused it, or None when it was accepted."""
        try:
            self._send(body_of(batch) if body is None else body)
        except _RefusedBatchError as refused:
            return str(refused)
        return None

    def reach(self) -> None:
        """
        Prove that Segment can be reached, without making an event.

        Segment itself is asked what its endpoint offers (`OPTIONS`). TLS has proved whose host it is, so any
        answer will do. An empty batch would count as failed in the customer's overview (segment-api). Another
        receiver is sent an empty batch, because its batch endpoint may be missing.

        This does not prove that the write key is right: Segment answers 200 to a wrong one.

        Raises: As `deliver`.
        """
        if self._is_segments_own:
            self._retrying(self._ask_for_options)
            return
        with contextlib.suppress(_RefusedBatchError):  # a receiver that refuses it was reached, too
            self._send(body_of(()))

    def _ask_for_options(self) -> None:
        deadline_s = self.limits.request_deadline_s
        with self.host.request("OPTIONS", "/v1/batch", deadline_s=deadline_s) as exchange:
            self._check_is_up(exchange)

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
        self._check_is_up(exchange)
        redirects = " with a redirect, which is never followed" if 300 <= status < 400 else ""
        raise UnexpectedAnswerError(
            f"{host} answered {status}{redirects}: that is not Segment's batch endpoint. "
            "Check segment.base_url or segment.region. The events stay pending."
        )

    def _check_is_up(self, exchange: Exchange) -> None:
        status = exchange.response.status
        if status in (408, 429) or status >= 500:
            raise RetryableError(
                f"Segment at {self.host.address} answered {status}. The events stay pending.",
                retry_after_s=retry_after_s(exchange.response.headers, self._retry.longest_retry_after_s),
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
