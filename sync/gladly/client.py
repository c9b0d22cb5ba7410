"""
Make the requests to Gladly's REST API that the sync needs, and judge each answer once (Gladly REST API
reference).

Every request waits for its turn (`Pacer`), is made again if that can help, and ends in a typed answer or a
typed error.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import quote

import msgspec
from urllib3 import BaseHTTPResponse

from state.failpoints import failpoint
from sync.errors import (
    CredentialsRefusedError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RetryableError,
    TooOldError,
    UnexpectedAnswerError,
    UnknownEntityError,
)
from sync.gladly.clock import GladlyClock, Moment
from sync.gladly.limits import GladlyLimits
from sync.gladly.models import Errors
from sync.http.credentials import BasicCredentials
from sync.http.headers import left_of_a_second, retry_after_s
from sync.http.host import READ_TIMEOUT_S, Exchange, Host
from sync.http.pacer import Pacer
from sync.http.retry import RetryPolicy
from sync.stop import Stop

T = TypeVar("T")

API = "/api/v1"

# How much of an error answer is read. Gladly's are a few sentences.
_REFUSAL_MAX_BYTES = 1_000_000

# What one object or one list needs. A refusal there may concern nothing else.
_OF_OBJECTS = ("/conversations/", "/customer-profiles/", "/agents", "/topics")


class GladlyClient:
    """
    Make requests to the API of one organization.

    Args:
        base_url: `https://acme.gladly.com`, without the API's path.
        username: The e-mail of an agent with the API User permission.
        api_token: That agent's token.
        requests_per_second: The pace over all threads (`Pacer`).
        stop: Ends a request under way, or a wait, when it is set.
        retry: How often, and how long, a failed request is made again.
        limits: What Gladly allows, and how much is read and kept.

    Attributes:
        host: The host and its connections.
        pacer: The pace of requests.
        gladly_clock: What is believed of Gladly's clock, by all answers.
        stop, retry, limits: As given.

    Every method raises:
        CredentialsRefusedError: Gladly answered 401 or 403.
        RetryableError: Gladly could not be reached, or answered 408, 429 or 5xx, several times in a row.
        UnexpectedAnswerError: Gladly refused the request, or something that is not Gladly answered.
        StoppedError: A stop was asked for.
    """

    def __init__(
        self,
        base_url: str,
        username: str,
        api_token: str,
        *,
        requests_per_second: float,
        stop: Stop,
        retry: RetryPolicy = RetryPolicy(),
        limits: GladlyLimits = GladlyLimits(),
    ) -> None:
        self.stop = stop
        self.retry = retry
        self.limits = limits
        self.pacer = Pacer(requests_per_second, stop, patience_s=retry.patience_s)
        self.host = Host(
            base_url,
            BasicCredentials(username, api_token),
            end="Gladly",
            stop=stop,
            connections=limits.workers + 1,
        )
        self.gladly_clock = GladlyClock()
        self._retrying = retry.retrying(stop)

    def close(self) -> None:
        """Close the pooled connections."""
        self.host.close()

    def retried(self, request: Callable[[], T]) -> T:
        """Return what *request* returns. Make a failed request again, under the retry policy."""
        return self._retrying(request)

    def clock(self) -> datetime:
        """
        Return what is believed of Gladly's clock, by the cheapest request there is (`GladlyClock`).

        It proves the credentials as well.
        """
        return self.gladly_clock.believed(self.retried(self._moment))

    def beginning(self) -> datetime:
        """
        Return the present by Gladly's clock, for the very first poll.

        What is believed may be far too early where our clock is wrong, and the first poll would then send the
        past. So Gladly's own word counts where the two are more than an hour apart, given twice.
        """
        first = self.clock()
        if self.gladly_clock.skew > -timedelta(hours=1):
            return first
        dates = [moment.date for moment in (self.retried(self._moment) for _ in range(2)) if moment.date]
        return min(dates)

    def _moment(self) -> Moment:
        with self.request("GET", "/organization", deadline_s=self.limits.request_deadline_s) as exchange:
            exchange.body(self.limits.body_max_bytes)
            moment = self.gladly_clock.hear(exchange.response.headers)
        if moment.date is None:
            raise UnexpectedAnswerError(
                f"Gladly at {self.host.address} sent no Date of its own with its answer."
            )
        return moment

    def prove_the_token(self) -> None:
        """
        Make sure that Gladly is there and takes the API token, with one request.

        Raises:
            CredentialsRefusedError: Gladly refuses the token.
            RetryableError: Gladly is not there.
        """
        self._moment()

    @contextlib.contextmanager
    def request(
        self,
        method: str,
        path: str,
        *,
        deadline_s: float,
        params: list[tuple[str, str]] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        silence_s: float = READ_TIMEOUT_S,
    ) -> Iterator[Exchange]:
        """
        Make one request. Yield the exchange when the status is 200. The caller reads the body.

        A failed request is not made again here: `retried` does that.

        Args:
            method: `GET` or `POST`.
            path: The part after the API's own path, with the slash.
            deadline_s, params, body, headers, silence_s: See `Host.request`.
        """
        self.pacer.wait()
        failpoint("gladly.request")
        with self.host.request(
            method,
            API + path,
            deadline_s=deadline_s,
            params=params,
            body=body,
            headers=headers,
            silence_s=silence_s,
        ) as exchange:
            failpoint("gladly.answer")
            self.gladly_clock.hear(exchange.response.headers)
            self._heed_the_rate_limit(exchange.response, path)
            if exchange.response.status != 200:
                raise self._refusal(exchange, path)
            yield exchange

    def _heed_the_rate_limit(self, response: BaseHTTPResponse, path: str) -> None:
        if path != "/reports":  # which have a limit of their own
            if response.status == 429:
                self.pacer.refused()
            else:
                self.pacer.heard(left_of_a_second(response.headers))
        if response.status == 429:
            asked_s = self._retry_after_s(response)
            self.pacer.hold(self.limits.default_hold_s if asked_s is None else asked_s)
        elif response.headers.get("Ratelimit-Remaining-Second", "").strip() == "0":
            self.pacer.hold_for_this_second()

    def _retry_after_s(self, response: BaseHTTPResponse) -> float | None:
        return retry_after_s(response.headers, self.retry.longest_retry_after_s)

    def _refusal(self, exchange: Exchange, path: str) -> Exception:
        """Return the error that a status other than 200 means."""
        response = exchange.response
        host, status = self.host.address, response.status
        if status in (401, 403) and path.startswith(_OF_OBJECTS):
            return ForbiddenError(f"Gladly at {host} answered {status} to {path}.")
        if status in (401, 403):
            lacks = "" if status == 401 else ", or its agent lacks the API User permission"
            return CredentialsRefusedError(
                f"Gladly at {host} refused the API token ({status}){lacks}. Check gladly.username and the "
                "GLADLY_API_TOKEN variable (or gladly.api_token_file). Nothing is lost meanwhile."
            )
        if status in (408, 429) or status >= 500:
            what = "too many requests" if status == 429 else "an error of its own"
            error = RetryableError(
                f"Gladly at {host} answered {status} ({what}) to {path}.",
                retry_after_s=self._retry_after_s(response),
            )
            return error if status != 429 else RateLimitedError(str(error), retry_after_s=error.retry_after_s)
        errors = _errors_of(exchange)
        if status == 404 and path.startswith(_OF_OBJECTS):
            if errors.all:  # only Gladly's own 404 says that there is no such object
                return NotFoundError(f"Gladly has no {path}.")
        elif status == 404:
            return UnexpectedAnswerError(
                f"Gladly at {host} answered 404 to {path}: there is no such organization. "
                "Check gladly.organization."
            )
        moved_to = _moved_to(errors, response) if status == 301 else None
        if moved_to and path.startswith("/customer-profiles/"):
            return MovedError(moved_to)
        if status == 400 and any(error.attr == "startAt" for error in errors.all):
            return TooOldError(f"Gladly at {host} shows only the last 24 hours of events.")
        if 300 <= status < 400:
            return UnexpectedAnswerError(
                f"Gladly at {host} answered with a redirect ({status}), which is never followed. "
                "Check gladly.organization or gladly.base_url."
            )
        details = exchange.quoted("; ".join(filter(None, (error.detail for error in errors.all))))
        refused = f"Gladly at {host} answered {status} to {path}: {details or 'no reason given'}"
        if status == 400 and _names_an_entity(errors):
            return UnknownEntityError(refused)
        return UnexpectedAnswerError(refused)


def _names_an_entity(errors: Errors) -> bool:
    return any(
        (error.attr or "").startswith("entities") or "CUSTOMER_PROFILE" in (error.detail or "")
        for error in errors.all
    )


def _errors_of(exchange: Exchange) -> Errors:
    try:
        return msgspec.json.decode(exchange.body(_REFUSAL_MAX_BYTES), type=Errors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Errors()


class MovedError(Exception):
    """Say that Gladly answered 301: the customer was merged into another."""

    def __init__(self, to: str) -> None:
        self.to = to


def _moved_to(errors: Errors, response: BaseHTTPResponse) -> str | None:
    for error in errors.all:
        if error.meta and error.meta.new:
            return error.meta.new
    # Gladly does not promise this header. Only its id is used: the request goes to the configured host.
    location: str = response.headers.get("Location", "")
    return (
        location.rstrip("/").rsplit("/customer-profiles/", 1)[-1]
        if "/customer-profiles/" in location
        else None
    )


def path_segment(id_: str) -> str:
    """
    Return an id as one segment of a path.

    Raises:
        NotFoundError: The id is `.` or `..`, which the HTTP library would resolve away.
    """
    if id_ in (".", ".."):
        raise NotFoundError(f"{id_!r} is no id of Gladly's.")
    return quote(id_, safe="")
