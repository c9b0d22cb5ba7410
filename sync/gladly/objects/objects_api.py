"""
The requests for single objects and for lists, each made once and judged once (semantics 2.5).

Nothing is made again here: whoever needs the object asks again later.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from sync.errors import ForbiddenError, NotFoundError, UnexpectedAnswerError
from sync.events.changes import checked_id
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.client import GladlyClient, MovedError, path_segment
from sync.gladly.models import Agent, Inbox, Topic
from sync.gladly.objects import reading

T = TypeVar("T")

_NEVER = datetime.min.replace(tzinfo=UTC)


class ReadProfile(NamedTuple):
    """A profile, and Gladly's clock when it was read. The clock shows whole seconds, cut off."""

    profile: Profile
    read_at: datetime


class ReadConversation(NamedTuple):
    """A conversation, and Gladly's clock when it was read."""

    conversation: GladlyConversation
    read_at: datetime


class ObjectsApi:
    """
    Gladly's objects.

    Args:
        client: Makes the requests.

    Every method raises:
        CredentialsRefusedError: Gladly refuses the API token.
        RateLimitedError: Gladly answered 429.
        RetryableError: Gladly could not be reached, answered 408 or 5xx, or answered something that cannot be
            read.
        UnexpectedAnswerError: Gladly refused the request, or answered with another object.
        StoppedError: A stop was asked for.
    """

    def __init__(self, client: GladlyClient) -> None:
        self._client = client
        self._limits = client.limits

    def conversation(self, id_: str) -> ReadConversation | None:
        """Return a conversation as it is now. Return None when Gladly answers 404."""
        try:
            path = f"/conversations/{path_segment(id_)}"
            found, read_at = self._get(
                path, GladlyConversation, reading.conversation, self._limits.object_max_bytes
            )
        except NotFoundError:
            return None
        self._check(path, found.id == id_)
        self._check(path, bool(_is_an_id(found.customer_id)))
        return ReadConversation(found, read_at)

    def profile(self, customer_id: str) -> ReadProfile | None:
        """
        Return the profile of the customer that remains after all merges.

        Return None when Gladly answers 404.
        """
        asked = [customer_id]
        while len(asked) <= self._limits.max_merges:
            try:
                path = f"/customer-profiles/{path_segment(asked[-1])}"
                found, read_at = self._get(path, Profile, reading.profile, self._limits.object_max_bytes)
            except MovedError as moved:
                if moved.to in asked or not _is_an_id(moved.to):
                    break
                asked.append(moved.to)
            except NotFoundError:
                return None
            else:
                is_empty = found == Profile(id=found.id)  # an answer that shows nothing of a profile
                found.id = found.id or ("" if is_empty else asked[-1])
                self._check(path, found.id == asked[-1])
                return ReadProfile(found, read_at)
        raise UnexpectedAnswerError(f"Gladly's customer {customer_id} is merged in a circle.")

    def agents(self) -> dict[str, str]:
        """Return the names of all agents, by id. An agent without a name is left out."""
        found, _ = self._get("/agents", list[Agent], reading.agents, self._limits.body_max_bytes)
        return {agent.id: agent.name for agent in found if agent.name}

    def agent(self, id_: str) -> str | None:
        """Return the name of one agent. Return None when there is no such agent, or no name."""
        try:
            path = f"/agents/{path_segment(id_)}"
            found, _ = self._get(path, Agent, reading.agent, self._limits.object_max_bytes)
        except NotFoundError:
            return None
        self._check(path, found.id == id_)
        return found.name or None

    def topics(self) -> dict[str, str]:
        """Return the names of all topics, by id. A topic without a name is left out."""
        found, _ = self._get("/topics", list[Topic], reading.topics, self._limits.body_max_bytes)
        return {topic.id: topic.name for topic in found if topic.name}

    def inboxes(self) -> dict[str, str]:
        """Return the names of all inboxes, by id. An inbox without a name has an empty one."""
        found, _ = self._get("/inboxes", list[Inbox], reading.inboxes, self._limits.body_max_bytes)
        return {inbox.id: inbox.name or "" for inbox in found}

    def _get(
        self, path: str, type_: type[T], tolerant: Callable[[Any], T], most_bytes: int
    ) -> tuple[T, datetime]:
        """Return the object that *path* names, and Gladly's clock when it answered."""
        deadline_s = self._limits.object_deadline_s
        try:
            with self._client.request("GET", path, deadline_s=deadline_s) as exchange:
                body = exchange.body(most_bytes)
                date = self._client.gladly_clock.hear(exchange.response.headers).date
        except ForbiddenError as error:
            # Whether the token is refused, or this one object, shows where everybody may ask.
            self._client.prove_the_token()
            raise UnexpectedAnswerError(str(error)) from None
        try:
            return reading.read(body, type_, tolerant), date or _NEVER
        except ValueError:
            raise UnexpectedAnswerError(
                f"Gladly at {self._client.host.address} answered {path} with something that cannot be read."
            ) from None

    def _check(self, path: str, is_what_was_asked_for: bool) -> None:
        if not is_what_was_asked_for:
            raise UnexpectedAnswerError(
                f"Gladly at {self._client.host.address} answered {path} with another object."
            )


def _is_an_id(value: str) -> bool:
    try:
        checked_id(value, "id")
    except ValueError:
        return False
    return True
