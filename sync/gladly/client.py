"""
The calls to Gladly's REST API that the sync needs, each answer judged once (Gladly REST API reference).

Every call waits its turn (`Pacer`), is tried again where trying again can help, and ends in a typed answer
or a typed error.
"""

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote

import msgspec
from urllib3 import BaseHTTPResponse

from sync.errors import (
    CredentialsRefusedError,
    NotFoundError,
    RetryableError,
    TooOldError,
    UnexpectedAnswerError,
)
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.models import Agent, Errors, Topic
from sync.gladly.pacer import Pacer
from sync.http.host import READ_TIMEOUT_S, Edge, Exchange, retried, retry_after_s, server_date
from sync.stop import Stop

T = TypeVar("T")

API = "/api/v1"

# One object or one list is awaited this long, body included.
CALL_DEADLINE_S = 30.0

# A conversation is under 1 KB, a profile a few; a list of 10,000 agents is 2 MB. More is not an answer.
BODY_MAX_BYTES = 32_000_000

# What a 429 that asks for nothing is worth: Gladly counts by the second.
DEFAULT_HOLD_S = 1.0

# How many merges a profile is followed through: longer is a loop.
MAX_MERGES = 20


class GladlyClient:
    """
    One organization's API.

    Args:
        base_url: `https://acme.gladly.com`, without the API's path.
        username: The e-mail of an agent with the API User permission.
        requests_per_second: Over all threads (`Pacer`).
        workers: How many calls may be under way at once.

    Every method raises:
        CredentialsRefusedError: 401 or 403.
        RetryableError: Gladly could not be reached, or answered 408, 429 or 5xx, several times in a row.
        UnexpectedAnswerError: It refused the call, or something that is not Gladly answered.
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
        workers: int = 8,
    ) -> None:
        self.stop = stop
        self.workers = workers
        self.pacer = Pacer(requests_per_second, stop)
        self.edge = Edge(base_url, (username, api_token), name="Gladly", stop=stop, connections=workers + 1)

    def close(self) -> None:
        """Close the pooled connections."""
        self.edge.close()

    def clock(self) -> datetime:
        """Gladly's own clock, by the cheapest call there is; it proves the credentials as well."""
        return retried(self._clock, self.stop)

    def _clock(self) -> datetime:
        with self.call("GET", "/organization", deadline_s=CALL_DEADLINE_S) as exchange:
            exchange.body(BODY_MAX_BYTES)
            date = server_date(exchange.response)
        if date is None:
            raise UnexpectedAnswerError(f"Gladly at {self.edge.host} sent no Date with its answer.")
        return date

    def conversation(self, id_: str) -> GladlyConversation | None:
        """A conversation as it is now; None when there is none (any more)."""
        try:
            found = self._get(f"/conversations/{_segment(id_)}", GladlyConversation)
        except NotFoundError:
            return None
        return found if found.id == id_ else None  # merged away, and the one that remains was shown for it

    def profile(self, customer_id: str) -> Profile | None:
        """The profile of the customer who remains after any merges; None when it was deleted."""
        asked = [customer_id]
        while len(asked) <= MAX_MERGES:
            try:
                return self._get(f"/customer-profiles/{_segment(asked[-1])}", Profile)
            except _MovedError as moved:
                if moved.to in asked:
                    break
                asked.append(moved.to)
            except NotFoundError:
                return None
        raise UnexpectedAnswerError(f"Gladly's customer {customer_id} is merged in a circle.")

    def agents(self) -> dict[str, str]:
        """The names of all agents, by id; who has none is left out."""
        return {agent.id: agent.name for agent in self._get("/agents", list[Agent]) if agent.name}

    def agent(self, id_: str) -> str | None:
        """The name of one agent; None when there is no such agent or name."""
        try:
            return self._get(f"/agents/{_segment(id_)}", Agent).name or None
        except NotFoundError:
            return None

    def topics(self) -> dict[str, str]:
        """The names of all topics, by id; one without a name is left out."""
        return {topic.id: topic.name for topic in self._get("/topics", list[Topic]) if topic.name}

    def _get(self, path: str, type_: type[T]) -> T:
        def get() -> T:
            with self.call("GET", path, deadline_s=CALL_DEADLINE_S) as exchange:
                return self._decode(path, exchange.body(BODY_MAX_BYTES), type_)

        return retried(get, self.stop)

    @contextlib.contextmanager
    def call(
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
        """One call, its status judged: what is handed out is a 200 whose body is still to be read."""
        self.pacer.wait()
        with self.edge.call(
            method,
            API + path,
            deadline_s=deadline_s,
            params=params,
            body=body,
            headers=headers,
            silence_s=silence_s,
        ) as exchange:
            self._heed_the_rate_limit(exchange.response)
            if exchange.response.status != 200:
                raise self._refusal(exchange, path)
            yield exchange

    def _heed_the_rate_limit(self, response: BaseHTTPResponse) -> None:
        if response.status == 429:
            asked = retry_after_s(response)
            self.pacer.hold(DEFAULT_HOLD_S if asked is None else asked)
        elif response.headers.get("Ratelimit-Remaining-Second", "").strip() == "0":
            self.pacer.hold_for_this_second()

    def _refusal(self, exchange: Exchange, path: str) -> Exception:
        """What a status other than 200 means."""
        response = exchange.response
        host, status = self.edge.host, response.status
        if status in (401, 403):
            lacks = "" if status == 401 else ", or its agent lacks the API User permission"
            return CredentialsRefusedError(
                f"Gladly at {host} refused the API token ({status}){lacks}. Check gladly.username and the "
                "GLADLY_API_TOKEN variable (or gladly.api_token_file). Nothing is lost meanwhile."
            )
        if status in (408, 429) or status >= 500:
            what = "too many requests" if status == 429 else "an error of its own"
            return RetryableError(
                f"Gladly at {host} answered {status} ({what}) to {path}.",
                retry_after_s=retry_after_s(response),
            )
        errors = _errors_of(exchange)
        if status == 404:
            if path.startswith(("/conversations/", "/customer-profiles/", "/agents/")):
                return NotFoundError(f"Gladly has no {path}.")
            return UnexpectedAnswerError(
                f"Gladly at {host} answered 404 to {path}: there is no such organization. "
                "Check gladly.organization."
            )
        moved_to = _moved_to(errors, response) if status == 301 else None
        if moved_to and path.startswith("/customer-profiles/"):
            return _MovedError(moved_to)
        if status == 400 and any(error.attr == "startAt" for error in errors.all):
            return TooOldError(f"Gladly at {host} shows only the last 24 hours of events.")
        if 300 <= status < 400:
            return UnexpectedAnswerError(
                f"Gladly at {host} answered with a redirect ({status}), which is never followed. "
                "Check gladly.organization or gladly.base_url."
            )
        details = exchange.quoted("; ".join(filter(None, (error.detail for error in errors.all))))
        return UnexpectedAnswerError(
            f"Gladly at {host} answered {status} to {path}: {details or 'no reason given'}"
        )

    def _decode(self, path: str, body: bytes, type_: type[T]) -> T:
        """
        Raises:
            RetryableError: It is not what was asked for: cut, or somebody else's answer.
        """
        try:
            return msgspec.json.decode(body, type=type_)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        # A second opinion, for what only one of the two decoders minds, such as half a surrogate pair.
        try:
            return msgspec.convert(json.loads(body), type=type_)
        except (ValueError, RecursionError):
            raise RetryableError(
                f"Gladly at {self.edge.host} answered {path} with something that cannot be read."
            ) from None


def _errors_of(exchange: Exchange) -> Errors:
    try:
        return msgspec.json.decode(exchange.body(1_000_000), type=Errors)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Errors()


class _MovedError(Exception):
    """301: the customer was merged into another."""

    def __init__(self, to: str) -> None:
        self.to = to


def _moved_to(errors: Errors, response: BaseHTTPResponse) -> str | None:
    for error in errors.all:
        if error.meta and error.meta.new:
            return error.meta.new
    # Not promised, and only the id in it is believed: the call goes to the configured host again.
    location: str = response.headers.get("Location", "")
    return (
        location.rstrip("/").rsplit("/customer-profiles/", 1)[-1]
        if "/customer-profiles/" in location
        else None
    )


def _segment(id_: str) -> str:
    """An id as one segment of a path; `.` and `..` would be resolved away by the client."""
    if id_ in (".", ".."):
        raise NotFoundError(f"{id_!r} is no id of Gladly's.")
    return quote(id_, safe="")
