"""
Ask Segment's Public API what a source is, and what it received (segment-public-api).

The Tracking API answers 200 to a wrong key, a disabled source and an event that a tracking plan blocks. Only
this API tells what became of the events.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeVar

from state.instants import to_text
from sync.errors import CredentialsRefusedError, RetryableError, UnexpectedAnswerError
from sync.http.credentials import BearerCredentials
from sync.http.headers import retry_after_s, server_date
from sync.http.host import Exchange, Host
from sync.http.retry import RetryPolicy
from sync.segment.limits import PublicApiLimits
from sync.segment.public_api_answers import (
    Counted,
    Object,
    Source,
    Workspace,
    counted_of,
    data_of,
    page_of,
    source_of,
    workspace_of,
)
from sync.stop import Stop

T = TypeVar("T")

STABLE, BETA = "application/vnd.segment.v1+json", "application/vnd.segment.v1beta+json"

Params = list[tuple[str, str]]

END = "Segment's Public API"


class HiddenKeysError(UnexpectedAnswerError):
    """Say that the token may not see the write keys, so that nobody can tell which source has a key."""


class _InvalidError(UnexpectedAnswerError):
    """Say that the API answered 422: a parameter is not what it takes."""


class PublicApi:
    """
    Ask about one workspace: that of the token.

    Args:
        base_url: `https://api.segmentapis.com`, or the EU's.
        token: The workspace's token for this API.
        stop: Ends a request under way, or a wait, when it is set.
        retry: How often, and how long, a failed request is made again.
        limits: What the API allows, and how much of it is read.

    Attributes:
        host: The host and its connections.
        limits: As given.
        date: Segment's own clock with the last answer. None before the first, or where the answer had none.

    Every method raises:
        CredentialsRefusedError: The API answered 401 or 403.
        RetryableError: The API could not be reached, or answered 408, 429 or 5xx, several times in a row.
        UnexpectedAnswerError: The API refused the request, or something else answered.
        StoppedError: A stop was asked for.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        stop: Stop,
        retry: RetryPolicy = RetryPolicy(),
        limits: PublicApiLimits = PublicApiLimits(),
    ) -> None:
        self.host = Host(base_url, BearerCredentials(token), end=END, stop=stop)
        self.limits = limits
        self.date: datetime | None = None
        self._retry = retry
        self._retrying = retry.retrying(stop)

    def close(self) -> None:
        """Close the pooled connections."""
        self.host.close()

    def workspace(self) -> Workspace:
        """Return the workspace that the token belongs to."""
        return self._read("/", [], STABLE, workspace_of)

    def source_with(self, write_key: str) -> Source | None:
        """
        Return the source that has a write key. Return None where none has it of those whose keys are shown.

        Args:
            write_key: The key.

        Raises:
            HiddenKeysError: The token is shown no source's write keys.
        """
        has_sources = shows_keys = False
        for row in self._rows("/sources", [], STABLE, "sources"):
            source = self._understood(lambda row=row: source_of(row), "/sources")  # type: ignore[misc]
            if write_key in source.write_keys:
                return source
            has_sources, shows_keys = True, shows_keys or bool(source.write_keys)
        if has_sources and not shows_keys:
            raise HiddenKeysError(
                f"The token for Segment's Public API at {self.host.address} is shown no write keys, so it "
                "cannot tell which source has the write key. Give the token the role Source Admin."
            )
        return None

    def received(self, source_id: str, start: datetime, end: datetime) -> list[Counted]:
        """
        Return what Segment received from a source, by event name and day of UTC.

        The days are those on which Segment received the events.

        Args:
            source_id: The source.
            start: Inclusive.
            end: Exclusive, at least a minute ago.
        """
        params = [("sourceId.0", source_id), ("groupBy.0", "eventName")]
        return self._counted("/events/volume", [*_period("DAY", start, end), *params], STABLE, "result")

    def failed_on_ingest(self, source_id: str, start: datetime, end: datetime) -> list[Counted]:
        """Return what Segment failed on ingest, by event name and reason. Arguments as for `received`."""
        return self._overview("/delivery-overview/failed-on-ingest", source_id, start, end)

    def filtered_at_source(self, source_id: str, start: datetime, end: datetime) -> list[Counted]:
        """Return what was filtered at the source, by event name and reason. Arguments as for `received`."""
        return self._overview("/delivery-overview/filtered-at-source", source_id, start, end)

    def _overview(self, path: str, source_id: str, start: datetime, end: datetime) -> list[Counted]:
        params = [("sourceId", source_id), ("groupBy.0", "eventName"), ("groupBy.1", "discardReason")]
        try:
            return self._counted(path, [*_period("DAY", start, end), *params], BETA, "dataset")
        except _InvalidError:
            # The reference writes DAY everywhere; the npm SDK writes `day` in these beta calls.
            return self._counted(path, [*_period("day", start, end), *params], BETA, "dataset")

    def _counted(self, path: str, params: Params, accept: str, name: str) -> list[Counted]:
        rows = list(self._rows(path, params, accept, name))
        return self._understood(lambda: [counted_of(row) for row in rows], path)

    def _rows(self, path: str, params: Params, accept: str, name: str) -> Iterator[Object]:
        """Yield the rows of a list, page by page."""
        cursor: str | None = None
        seen: set[str] = set()
        while len(seen) < self.limits.most_pages:
            paged = [*params, ("pagination.count", str(self.limits.page_size))]
            if cursor is not None:
                paged.append(("pagination.cursor", cursor))
            page = self._read(path, paged, accept, lambda data: page_of(data, name))
            yield from page.rows
            cursor = page.next
            if cursor is None:
                return
            if cursor in seen:
                break
            seen.add(cursor)
        raise UnexpectedAnswerError(
            f"Segment's Public API at {self.host.address} never ended its list at {path}. Report this."
        )

    def _read(self, path: str, params: Params, accept: str, read: Callable[[Object], T]) -> T:
        """Make a request, and again where it fails for now. Return what *read* makes of its `data`."""

        def get() -> T:
            with self.host.request(
                "GET",
                path,
                deadline_s=self.limits.request_deadline_s,
                params=params or None,
                headers={"Accept": accept},
            ) as exchange:
                self.date = server_date(exchange.response.headers) or self.date
                self._judge(exchange, path)
                body = exchange.body(self.limits.answer_max_bytes)
            return self._understood(lambda: read(data_of(body)), path)

        return self._retrying(get)

    def _understood(self, read: Callable[[], T], path: str) -> T:
        try:
            return read()
        except (ValueError, RecursionError, OverflowError) as error:
            raise UnexpectedAnswerError(
                f"Segment's Public API at {self.host.address} answered something unexpected at {path} "
                f"({self.host.quoted(str(error))}). Check segment.public_api_url."
            ) from error

    def _judge(self, exchange: Exchange, path: str) -> None:
        host, status = self.host.address, exchange.response.status
        if status == 200:
            return
        if status == 401:
            raise CredentialsRefusedError(
                f"Segment's Public API at {host} refused the token (401). Check the SEGMENT_PUBLIC_API_TOKEN "
                "variable (or segment.public_api_token_file). A token is taken only in its workspace's "
                "region, so check segment.region too: Segment silently drops events that are sent to the "
                "wrong region."
            )
        if status == 403:
            raise CredentialsRefusedError(
                f"Segment's Public API at {host} does not let the token read {path} (403). Give the token "
                "the role Source Admin, in Segment under Settings, Access Management, Tokens."
            )
        if status in (408, 429) or status >= 500:
            raise RetryableError(
                f"Segment's Public API at {host} answered {status}.",
                retry_after_s=retry_after_s(exchange.response.headers, self._retry.longest_retry_after_s),
            )
        said = self._words_of(exchange)
        if status == 422:
            raise _InvalidError(
                f"Segment's Public API at {host} did not take a parameter of {path} (422): {said}. "
                "Report this."
            )
        raise UnexpectedAnswerError(
            f"Segment's Public API at {host} answered {status} at {path}: {said}. "
            "Check segment.public_api_url."
        )

    def _words_of(self, exchange: Exchange) -> str:
        with contextlib.suppress(RetryableError):
            text = exchange.body(self.limits.refusal_max_bytes).decode("utf-8", "replace")
            return exchange.quoted(text) or "no reason given"
        return "no reason given"


def _period(granularity: str, start: datetime, end: datetime) -> Params:
    return [("granularity", granularity), ("startTime", to_text(start)), ("endTime", to_text(end))]
