"""
Look up conversations, profiles, agents and topics as they are now, with few requests (semantics 2.4).

A conversation is fetched once a pass, and kept for what happened before. A profile is kept in memory while it
is known to be current. Agents are one list, and so are topics (`KeptNames`).
"""

import contextvars
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

import msgspec

from sync.errors import CredentialsRefusedError, GladlySegmentError, RateLimitedError, StoppedError
from sync.events.changes import Change, ChangeType
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.client import GladlyClient
from sync.gladly.objects.names import Failed, KeptNames
from sync.gladly.objects.objects_api import ObjectsApi, ReadConversation, ReadProfile

T = TypeVar("T")

# What a look-up came to: the object; None where Gladly answered 404; or what was wrong.
Answer: TypeAlias = T | Failed | None

_CHANGES_A_PROFILE = frozenset(
    {ChangeType.PROFILE_UPDATED, ChangeType.PROFILE_DELETED, ChangeType.CUSTOMER_MERGED}
)


class KeptProfile(NamedTuple):
    """
    Keep a profile in memory as JSON, which is a quarter of the size.

    Attributes:
        id: The customer's id.
        read_at: Gladly's clock when it was read.
        packed: The profile as JSON. A profile that contains a lone surrogate has no JSON, and is kept as it
            is.
    """

    id: str
    read_at: datetime
    packed: bytes | Profile

    @classmethod
    def of(cls, read: ReadProfile) -> Self:
        """Keep a profile."""
        profile = read.profile
        try:
            return cls(profile.id, read.read_at, msgspec.json.encode(profile))
        except UnicodeEncodeError:
            return cls(profile.id, read.read_at, profile)

    def profile(self) -> Profile:
        """Return the profile that was kept, field for field."""
        packed = self.packed
        return packed if isinstance(packed, Profile) else msgspec.json.decode(packed, type=Profile)


_CONVERSATION, _PROFILE = "/conversations/", "/customer-profiles/"


class _Ask(NamedTuple):
    """Name an object to ask Gladly for: the path before its id, and its id."""

    path: str
    id: str


def _nothing() -> None:
    """Do nothing between two requests."""


class Lookups:
    """
    Fetches and remembers. It is not for several threads at once, but uses several itself.

    An object that does not answer well is `Failed`, and the others are fetched all the same. When Gladly
    itself is down, nothing more is asked: those objects have no answer, and `raise_what_is_wrong` says why.

    Args:
        client: Makes the requests.
        workers: How many threads fetch, the caller's included. None takes the client's limit.
    """

    def __init__(self, client: GladlyClient, workers: int | None = None) -> None:
        self._client = client
        self._workers = workers or client.limits.workers
        self._limits = client.limits
        self._api = ObjectsApi(client)
        self._conversations: dict[str, ReadConversation | None] = {}
        self._asked_now: set[str] = set()  # the conversations that were asked for in this pass
        self._profiles: dict[str, KeptProfile] = {}  # by the id asked for: a merge makes it another
        self._known_until: datetime | None = None  # all changes recorded before have been noted
        self._agents = KeptNames("/agents", client.limits, self._api.agents, self._api.agent)
        self._topics = KeptNames("/topics", client.limits, self._api.topics)
        # An inbox that the list does not show is read at once: what is not wanted is suppressed for good.
        at_once = client.limits._replace(names_unknown_s=0.0)
        self._inboxes = KeptNames("/inboxes", at_once, self._api.inboxes)
        self._wrong: GladlySegmentError | None = None
        self._failures = 0  # in a row
        self._doubt = threading.Lock()
        self._answered_at = 0.0  # monotonic: when an object was last answered
        self._is_there = self._has_failed = False  # in this pass: any answer, any failure
        self._is_slow = False  # whether the last request of the calling thread took long
        # Starts a thread only when there is work for it.
        self._threads = ThreadPoolExecutor(max(1, self._workers - 1), thread_name_prefix="gladly")

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(cancel_futures=True)

    def begin_pass(self) -> None:
        """Forget what Gladly answered with 404 in the last pass, and what was wrong with Gladly."""
        self._conversations = {id_: read for id_, read in self._conversations.items() if read is not None}
        self._asked_now.clear()
        self._wrong = None
        self._failures, self._answered_at = 0, time.monotonic()
        self._is_there, self._has_failed = False, False

    def raise_what_is_wrong(self) -> None:
        """
        Raises:
            GladlySegmentError: Gladly is down, or refuses the credentials or more requests.
        """
        if self._wrong is None and self._has_failed and not self._is_there:
            self._is_there = not self._is_down()  # all look-ups failed: is it the objects, or Gladly?
        if self._wrong is not None:
            raise self._wrong

    def note(self, changes: Iterable[Change], read_until: datetime | None) -> None:
        """
        Forget the profiles that these changes show to be out of date.

        Args:
            changes: The changes, as they were read.
            read_until: Gladly's clock when the feed was read to its end. None says that the source does not
                show changes of profiles (semantics 3.5); then all profiles are forgotten.
        """
        if read_until is None:
            self._profiles.clear()
            return
        self._known_until = read_until - self._limits.visible_after
        touched = {
            id_
            for change in changes
            if change.type in _CHANGES_A_PROFILE
            for id_ in (change.customer_id, change.into_customer_id)
        }
        if touched:
            for asked in [a for a, p in self._profiles.items() if a in touched or p.id in touched]:
                del self._profiles[asked]

    def conversations(
        self, conversations: Mapping[str, datetime], between_requests: Callable[[], None] = _nothing
    ) -> dict[str, Answer[GladlyConversation]]:
        """Return conversations by id, as `both` does."""
        return self.both(conversations, {}, between_requests)[0]

    def profiles(
        self, customers: Mapping[str, datetime], between_requests: Callable[[], None] = _nothing
    ) -> dict[str, Answer[Profile]]:
        """Return profiles by the id asked for, as `both` does."""
        return self.both({}, customers, between_requests)[1]

    def both(
        self,
        conversations: Mapping[str, datetime],
        customers: Mapping[str, datetime],
        between_requests: Callable[[], None] = _nothing,
    ) -> tuple[dict[str, Answer[GladlyConversation]], dict[str, Answer[Profile]]]:
        """
        Return conversations as they are now, by id, and profiles, by the id asked for.

        A merged customer's profile is the profile of the customer that remains. None says that Gladly
        answered 404. What has no answer is left out. Conversations and profiles are asked for in turn, so
        that what was got when Gladly goes down makes whole events.

        Args:
            conversations: The conversations, each with the newest change that needs it. It is fetched unless
                it was asked for in this pass, or a kept one was read after that change.
            customers: The customers, each with the newest change that needs the profile. It is fetched unless
                a kept one is known to be current.
            between_requests: Called between two requests, in the calling thread. Fetching can take minutes.
        """
        kept = {
            id_: profile
            for id_, at in customers.items()
            if (profile := self._profiles.get(id_)) is not None and self._is_current(profile, at)
        }
        missing = [_Ask(_CONVERSATION, id_) for id_, at in conversations.items() if not self._has(id_, at)]
        profiles = [_Ask(_PROFILE, id_) for id_ in customers if id_ not in kept]
        in_turn = chain.from_iterable(zip_longest(missing, profiles))
        answers = self._fetch([ask for ask in in_turn if ask is not None], between_requests)
        return (
            self._keep_conversations(conversations, {a.id: answers[a] for a in missing if a in answers}),
            self._keep_profiles(kept, {a.id: answers[a] for a in profiles if a in answers}),
        )

    def _has(self, id_: str, at: datetime) -> bool:
        """Return whether a conversation is kept that was asked for in this pass, or read after *at*."""
        read = self._conversations.get(id_)
        return id_ in self._asked_now or (read is not None and read.read_at >= at)

    def _keep_conversations(
        self, wanted: Iterable[str], fetched: dict[str, Answer[ReadConversation]]
    ) -> dict[str, Answer[GladlyConversation]]:
        found: dict[str, Answer[GladlyConversation]] = {}
        for id_, answer in fetched.items():
            if isinstance(answer, Failed):  # it is asked for again when its event is due again
                found[id_] = answer
            else:
                self._conversations[id_] = answer
                self._asked_now.add(id_)
        for id_ in wanted:
            if id_ not in found and id_ in self._conversations:
                read = self._conversations[id_]
                found[id_] = read and read.conversation
        while len(self._conversations) > self._limits.kept_conversations:
            oldest = next(iter(self._conversations))
            del self._conversations[oldest]
            self._asked_now.discard(oldest)
        return found

    def _keep_profiles(
        self, kept: dict[str, KeptProfile], fetched: dict[str, Answer[ReadProfile]]
    ) -> dict[str, Answer[Profile]]:
        found: dict[str, Answer[Profile]] = {id_: profile.profile() for id_, profile in kept.items()}
        for id_, answer in fetched.items():
            if isinstance(answer, ReadProfile):
                self._profiles[id_] = KeptProfile.of(answer)
                found[id_] = answer.profile
            else:
                self._profiles.pop(id_, None)
                found[id_] = answer
        while len(self._profiles) > self._limits.kept_profiles:
            del self._profiles[next(iter(self._profiles))]
        return found

    def _is_current(self, kept: KeptProfile, at: datetime) -> bool:
        """
        Return whether a kept profile is not older than a change recorded at *at*.

        It was read after that change; or all updates up to that change are known, those that become visible
        late included, and there was none.
        """
        return kept.read_at >= at or (self._known_until is not None and at <= self._known_until)

    def knows_all_until(self, at: datetime) -> bool:
        """Return whether all changes recorded up to *at* are known, also those that become visible late."""
        return self._known_until is None or at <= self._known_until

    def agent_name(self, id_: str | None) -> str | Failed | None:
        """Return the name of an agent. Return None for no id, and for one that Gladly does not know."""
        return self._name(self._agents, id_) if id_ else None

    def topic_name(self, id_: str) -> str | Failed | None:
        """Return the name of a topic. Return None when Gladly does not know it."""
        return self._name(self._topics, id_)

    def inbox_name(self, id_: str) -> str | Failed | None:
        """Return the name of an inbox. Return None when Gladly does not know it."""
        return self._name(self._inboxes, id_)

    @property
    def inboxes(self) -> dict[str, str]:
        """Return the names of all inboxes by id, as they were read last."""
        return self._inboxes.names

    def _name(self, names: KeptNames, id_: str) -> str | Failed | None:
        """Return a name. When Gladly refuses more requests, return that it failed."""
        try:
            return names.name_of(id_)
        except StoppedError:
            raise
        except GladlySegmentError as error:
            self._wrong = error
            return Failed(names.path, str(error))

    def _fetch(self, asks: list[_Ask], between_requests: Callable[[], None]) -> dict[_Ask, Any]:
        """
        Fetch each, in this thread and, once a request has been slow, in others beside it.

        Other threads hide a latency, and only cost where there is none. The pace is the client's.
        """
        found: dict[_Ask, Any] = {}
        waiting = deque(asks)
        helpers: list[Future[None]] = []
        fetch: dict[str, Callable[[str], object]] = {
            _CONVERSATION: self._api.conversation,
            _PROFILE: self._api.profile,
        }

        def get_help() -> None:
            more = min(len(waiting), self._workers - 1)
            # Each in a copy of this context: what it logs carries the cycle's id.
            helpers.extend(self._threads.submit(contextvars.copy_context().run, work) for _ in range(more))

        def work(*, is_caller: bool = False) -> None:
            while self._wrong is None:
                try:
                    ask = waiting.popleft()
                except IndexError:
                    return
                began = time.monotonic()
                try:
                    found[ask] = fetch[ask.path](ask.id)
                    self._failures, self._answered_at, self._is_there = 0, time.monotonic(), True
                except RateLimitedError as error:
                    refused_s = time.monotonic() - self._answered_at
                    if max(error.retry_after_s or 0.0, refused_s) > self._client.retry.patience_s:
                        self._wrong = error
                        return
                    waiting.append(ask)  # the pacer holds everyone back; the object is not at fault
                except CredentialsRefusedError as error:
                    self._wrong = error
                    return
                except StoppedError:
                    raise
                except GladlySegmentError as error:
                    self._failures += 1
                    self._has_failed = True
                    if self._failures >= self._limits.suspicious_failures and self._is_down():
                        return
                    was_slow = time.monotonic() - began > self._limits.slow_failure_s
                    found[ask] = Failed(ask.path + ask.id, str(error), was_slow)
                if is_caller:
                    between_requests()
                    self._is_slow = time.monotonic() - began > self._limits.slow_request_s
                    if self._is_slow and not helpers:
                        get_help()

        if self._is_slow and len(waiting) > 1:
            get_help()
        try:
            work(is_caller=True)
        except BaseException:
            waiting.clear()
            raise
        finally:
            wait(helpers)
        for helper in helpers:
            helper.result()
        return found

    def _is_down(self) -> bool:
        """Find out whether Gladly is down, after look-ups have failed. One thread asks for all of them."""
        with self._doubt:
            if self._wrong is not None:
                return True
            if not self._failures:
                return False  # answered meanwhile, by this question or by a look-up
            try:
                self._client.prove_the_token()
            except StoppedError:
                raise
            except GladlySegmentError as error:
                self._wrong = error
                return True
            self._failures = 0
            return False
