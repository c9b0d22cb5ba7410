"""
Look up conversations, profiles, agents and topics as they are now, with few requests (semantics 2.4).

A conversation is fetched once a poll. A profile is kept in memory as long as the feed shows no update, merge
or deletion of it. Agents are one list, and so are topics (`KeptNames`).
"""

import contextvars
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple, Self, TypeVar

import msgspec

from sync.events.changes import Change, ChangeType
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.client import GladlyClient
from sync.gladly.limits import GladlyLimits

T = TypeVar("T")

_CHANGES_A_PROFILE = frozenset(
    {ChangeType.PROFILE_UPDATED, ChangeType.PROFILE_DELETED, ChangeType.CUSTOMER_MERGED}
)


class KeptProfile(NamedTuple):
    """
    Keep a profile in memory as JSON, which is a quarter of the size.

    Attributes:
        id: The customer's id.
        packed: The profile as JSON. A profile that contains a lone surrogate has no JSON, and is kept as it
            is.
    """

    id: str
    packed: bytes | Profile

    @classmethod
    def of(cls, profile: Profile) -> Self:
        """Keep a profile."""
        try:
            return cls(profile.id, msgspec.json.encode(profile))
        except UnicodeEncodeError:
            return cls(profile.id, profile)

    def profile(self) -> Profile:
        """Return the profile that was kept, field for field."""
        packed = self.packed
        return packed if isinstance(packed, Profile) else msgspec.json.decode(packed, type=Profile)


def _nothing() -> None:
    """Do nothing between two requests."""


class KeptNames:
    """
    Keep one list of names. It is read again when it is old, and when an unknown id appears.

    Args:
        limits: How long the list is kept.
        read: Returns the whole list, by id.
        read_one: Returns one name by its id; None if Gladly offers no such request.
    """

    def __init__(
        self,
        limits: GladlyLimits,
        read: Callable[[], dict[str, str]],
        read_one: Callable[[str], str | None] | None = None,
    ) -> None:
        self._limits = limits
        self._read, self._read_one = read, read_one
        self._names: dict[str, str | None] = {}  # None: Gladly knows no name for the id
        self._read_at: float | None = None  # monotonic

    def name_of(self, id_: str) -> str | None:
        """Return the name. Return None when Gladly knows none."""
        age_s = time.monotonic() - self._read_at if self._read_at is not None else None
        is_unknown = id_ not in self._names
        if (
            age_s is None
            or age_s > self._limits.names_fresh_s
            or (is_unknown and age_s > self._limits.names_unknown_s)
        ):
            self._names = dict(self._read())
            self._read_at = time.monotonic()
            self._names.setdefault(id_, None)
        elif is_unknown and self._read_one is not None:  # newer than the list, or deleted long ago
            self._names[id_] = self._read_one(id_)
        return self._names.get(id_)


class Lookups:
    """
    Fetch and remember. Only one thread may use this object at a time. It uses several threads itself.

    Args:
        client: Makes the requests.
    """

    def __init__(self, client: GladlyClient) -> None:
        self._client = client
        self._limits = client.limits
        self._conversations: dict[str, GladlyConversation | None] = {}
        self._profiles: dict[str, KeptProfile | None] = {}  # by the id asked for; a merge changes the id
        self._agents = KeptNames(client.limits, client.agents, client.agent)
        self._topics = KeptNames(client.limits, client.topics)
        # Starts a thread only when there is work for it.
        self._threads = ThreadPoolExecutor(client.limits.workers - 1, thread_name_prefix="gladly")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    def begin_poll(self, *, keep_profiles: bool = True) -> None:
        """
        Forget the conversations of the last poll.

        Args:
            keep_profiles: Whether to keep the profiles. They are still right if the changes noted since they
                were read show everything that happened to them.
        """
        self._conversations.clear()
        if not keep_profiles:
            self._profiles.clear()

    def note(self, changes: Iterable[Change]) -> None:
        """Forget the profiles that these changes show to be out of date."""
        for change in changes:
            if change.type in _CHANGES_A_PROFILE:
                touched = {change.customer_id, change.into_customer_id}
                stale = [
                    a
                    for a, p in self._profiles.items()
                    if a in touched or (p is not None and p.id in touched)
                ]
                for asked in stale:
                    del self._profiles[asked]

    def conversations(
        self, ids: Iterable[str], between_requests: Callable[[], None] = _nothing
    ) -> dict[str, GladlyConversation | None]:
        """
        Return conversations as they are now, by id. A conversation that Gladly no longer has is None.

        Args:
            ids: Each is fetched once a poll.
            between_requests: Called between two requests, in the calling thread. Fetching can take minutes.
        """
        return self._all(
            ids,
            self._conversations,
            self._client.conversation,
            self._limits.kept_conversations,
            between_requests,
        )

    def profiles(
        self, customer_ids: Iterable[str], between_requests: Callable[[], None] = _nothing
    ) -> dict[str, Profile | None]:
        """
        Return profiles by the id asked for. A merged customer has the profile of the customer that remains.
        A deleted profile is None.

        Args:
            customer_ids: Each is fetched unless its profile is kept.
            between_requests: Called between two requests, in the calling thread. Fetching can take minutes.
        """
        found = self._all(
            customer_ids, self._profiles, self._profile, self._limits.kept_profiles, between_requests
        )
        for id_, kept in found.items():
            if kept is None:
                self._profiles.pop(id_, None)
        return {id_: kept.profile() if kept is not None else None for id_, kept in found.items()}

    def _profile(self, customer_id: str) -> KeptProfile | None:
        profile = self._client.profile(customer_id)
        return KeptProfile.of(profile) if profile is not None else None

    def agent_name(self, id_: str | None) -> str | None:
        """Return the name of an agent. Return None without an id, and for an id that Gladly does not know."""
        return self._agents.name_of(id_) if id_ else None

    def topic_name(self, id_: str) -> str | None:
        """Return the name of a topic. Return None when Gladly does not know it."""
        return self._topics.name_of(id_)

    def _all(
        self,
        ids: Iterable[str],
        known: dict[str, T],
        fetch: Callable[[str], T],
        keep: int,
        between_requests: Callable[[], None],
    ) -> dict[str, T]:
        wanted = dict.fromkeys(ids)
        missing = [id_ for id_ in wanted if id_ not in known]
        found = {id_: known[id_] for id_ in wanted if id_ in known}
        for id_, value in zip(missing, self._fetch(missing, fetch, between_requests), strict=True):
            found[id_] = known[id_] = value
        while len(known) > keep:
            del known[next(iter(known))]
        return found

    def _fetch(
        self, ids: list[str], fetch: Callable[[str], T], between_requests: Callable[[], None]
    ) -> list[T]:
        """
        Fetch each id, in this thread and, once a request has been slow, in other threads too.

        More threads hide latency, and only cost time when there is none. The client keeps the pace. One
        failed request ends all.
        """
        found: dict[str, T] = {}
        waiting = deque(ids)
        helpers: list[Future[None]] = []

        def work(*, is_caller: bool = False) -> None:
            while True:
                try:
                    id_ = waiting.popleft()
                except IndexError:
                    return
                began = time.monotonic()
                try:
                    found[id_] = fetch(id_)
                    if is_caller:
                        between_requests()
                except BaseException:
                    waiting.clear()
                    raise
                is_slow = time.monotonic() - began > self._limits.slow_request_s
                if is_caller and not helpers and is_slow:
                    more = min(len(waiting), self._limits.workers - 1)
                    # Each runs in a copy of this context, so that its log lines carry the cycle's id.
                    helpers.extend(
                        self._threads.submit(contextvars.copy_context().run, work) for _ in range(more)
                    )

        try:
            work(is_caller=True)
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()
        return [found[id_] for id_ in ids]
