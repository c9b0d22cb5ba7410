"""
What conversations, profiles and agents look like now, asked for as rarely as possible (semantics 2.4).

A conversation is fetched once per poll. A profile is kept in memory for as long as the feed shows no update,
merge or deletion of it. Agents are one list, read again when an unknown id appears, and hourly; so are
topics, where their names are wanted.
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

T = TypeVar("T")

# A list of names is read again so often, and for an unknown id at most so often.
NAMES_FRESH_S = 3_600.0
NAMES_UNKNOWN_S = 60.0

# A call that took longer has a latency worth hiding: Gladly's take 100 ms and more.
SLOW_S = 0.005

# What is kept in memory, of conversations two chunks. A profile is 2 KB as objects, and a quarter as JSON.
MAX_PROFILES = 2_000
MAX_CONVERSATIONS = 600

_CHANGES_A_PROFILE = frozenset(
    {ChangeType.PROFILE_UPDATED, ChangeType.PROFILE_DELETED, ChangeType.CUSTOMER_MERGED}
)


class _KeptProfile(NamedTuple):
    """A profile as it is kept: whose it is, and all of it as JSON, unless half a character forbids."""

    id: str
    packed: bytes | Profile

    @classmethod
    def of(cls, profile: Profile) -> Self:
        try:
            return cls(profile.id, msgspec.json.encode(profile))
        except UnicodeEncodeError:
            return cls(profile.id, profile)

    def profile(self) -> Profile:
        packed = self.packed
        return packed if isinstance(packed, Profile) else msgspec.json.decode(packed, type=Profile)


class _Names:
    """
    The names of agents, or of topics, by id: one list, kept for a while.

    Args:
        read: The list.
        read_one: One of them by itself; None where that cannot be asked for.
    """

    def __init__(
        self, read: Callable[[], dict[str, str]], read_one: Callable[[str], str | None] | None = None
    ) -> None:
        self._read, self._read_one = read, read_one
        self._names: dict[str, str | None] = {}  # None: Gladly knows none by that id
        self._read_at: float | None = None  # monotonic

    def of(self, id_: str) -> str | None:
        """The name; None where Gladly knows none."""
        age = time.monotonic() - self._read_at if self._read_at is not None else None
        is_unknown = id_ not in self._names
        if age is None or age > NAMES_FRESH_S or (is_unknown and age > NAMES_UNKNOWN_S):
            self._names = dict(self._read())
            self._read_at = time.monotonic()
            self._names.setdefault(id_, None)
        elif is_unknown and self._read_one is not None:  # came within the minute, or went long ago
            self._names[id_] = self._read_one(id_)
        return self._names.get(id_)


def _do_nothing() -> None: ...


class Lookups:
    """Fetches and remembers. Not for several threads at once; it uses several itself."""

    def __init__(self, client: GladlyClient) -> None:
        self._client = client
        self._conversations: dict[str, GladlyConversation | None] = {}
        self._profiles: dict[str, _KeptProfile | None] = {}  # by the id asked for: a merge makes it another
        self._agents = _Names(client.agents, client.agent)
        self._topics = _Names(client.topics)
        # Starts a thread only when there is work for it.
        self._threads = ThreadPoolExecutor(client.workers - 1, thread_name_prefix="gladly")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    def begin_poll(self, *, keep_profiles: bool = True) -> None:
        """
        Forget the conversations of the last poll.

        Args:
            keep_profiles: Whether the changes noted since they were read show all that happened to them.
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
        self, ids: Iterable[str], between_requests: Callable[[], None] = _do_nothing
    ) -> dict[str, GladlyConversation | None]:
        """Conversations as they are now, by id; None for one that is gone."""
        return self._all(
            ids, self._conversations, self._client.conversation, MAX_CONVERSATIONS, between_requests
        )

    def profiles(
        self, customer_ids: Iterable[str], between_requests: Callable[[], None] = _do_nothing
    ) -> dict[str, Profile | None]:
        """Profiles by the id asked for; of a merged customer, of the one who remains; None when deleted."""
        found = self._all(customer_ids, self._profiles, self._profile, MAX_PROFILES, between_requests)
        for id_, kept in found.items():
            if kept is None:
                self._profiles.pop(id_, None)
        return {id_: kept.profile() if kept is not None else None for id_, kept in found.items()}

    def _profile(self, customer_id: str) -> _KeptProfile | None:
        profile = self._client.profile(customer_id)
        return _KeptProfile.of(profile) if profile is not None else None

    def agent_name(self, id_: str | None) -> str | None:
        """The name of an agent; None when nobody is meant or Gladly does not know them."""
        return self._agents.of(id_) if id_ else None

    def topic_name(self, id_: str) -> str | None:
        """The name of a topic; None when Gladly does not know it."""
        return self._topics.of(id_)

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
        Fetch each, in this thread and, once a call has been slow, in others beside it: they hide its latency,
        and only cost where there is none. The pace is the client's. One call failing ends all.
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
                if is_caller and not helpers and time.monotonic() - began > SLOW_S:
                    more = min(len(waiting), self._client.workers - 1)
                    # Each in a copy of this context: what it logs carries the cycle's id.
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
