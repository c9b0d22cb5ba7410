"""What a world keeps, and the one way in which a change enters its history."""

import base64
import bisect
import functools
import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar

from sandbox.timekeeping.clock import Clock
from sandbox.timekeeping.instants import floor_ms
from sandbox.world import people
from sandbox.world.records import (
    Agent,
    Assignee,
    Change,
    Conversation,
    Customer,
    Initiator,
    TeamInbox,
    Topic,
    Wire,
)

P = ParamSpec("P")
R = TypeVar("R")
H = TypeVar("H", bound="WorldHistory")

# The initiator of a change that no person made: Gladly itself.
SYSTEM = Initiator("gladly", "SYSTEM")


def locked(method: Callable[Concatenate[H, P], R]) -> Callable[Concatenate[H, P], R]:
    """Make *method* hold the world's lock while it runs."""

    @functools.wraps(method)
    def holding_the_lock(self: H, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            return method(self, *args, **kwargs)

    return holding_the_lock


class WorldHistory:
    """
    The state of a world and its list of changes. The parts of `World` derive from this class.

    Every event is appended to the history, and nothing rewrites it. So a checker can ask how a
    conversation or a profile stood at any moment.

    Attributes:
        clock: The world's time.
        seed: Decides every id, name, delay and coincidence.
        lateness_s: The longest time in world seconds between a change and its appearance in the feed.
        lock: Guards everything below. It is reentrant.
        changes: Every change, ordered by timestamp; equal timestamps keep the order in which they came.
        agents, topics, inboxes, customers, conversations: What there is, by id. Entries are never removed.
        first_inbox_id: The inbox that conversations enter unless the caller names another.
        deleted: When each deleted customer was deleted, by customer id.
        merged: For each merged customer's id, the id of the customer that remained, and when.
        draw: The source of everything random. `sandbox/simulation` puts its own source here while it acts,
            so what a test does by hand does not change what happens by itself.
    """

    def __init__(self, clock: Clock, *, seed: int = 1, lateness_s: float = 15.0) -> None:
        self.clock = clock
        self.seed = seed
        self.lateness_s = lateness_s
        self.lock = threading.RLock()
        self.changes: list[Change] = []
        self.agents: dict[str, Agent] = {}
        self.topics: dict[str, Topic] = {}
        self.inboxes: dict[str, TeamInbox] = {}
        self.customers: dict[str, Customer] = {}
        self.conversations: dict[str, Conversation] = {}
        self.deleted: dict[str, datetime] = {}
        self.merged: dict[str, tuple[str, datetime]] = {}
        self.draw = random.Random(f"by hand {seed}")  # noqa: S311  # a small world, not a secret
        for name in people.INBOXES:
            inbox = TeamInbox(self.new_id(), name)
            self.inboxes[inbox.id] = inbox
        self.first_inbox_id = next(iter(self.inboxes))

    def new_id(self) -> str:
        """Return a fresh id like Gladly's: 22 URL-safe characters."""
        return base64.urlsafe_b64encode(self.draw.randbytes(16))[:22].decode()

    @locked
    def record(
        self,
        type: str,
        content: Wire,
        *,
        initiator: Initiator | None = None,
        at: datetime | None = None,
        late_s: float | None = None,
    ) -> Change:
        """
        Put any change into the feed, for instance a change of a type that no reader knows. Do nothing else.

        Args:
            type: The event's type, `CONVERSATION/SNOOZED` for instance.
            content: The event's `content` object.
            initiator: Who brought the change about. None leaves `initiator` out of the event.
            at: When it was recorded; None means now.
            late_s: World seconds until the feed shows it; None draws them.
        """
        return self._record(type, self._moment(at), late_s, initiator, detail=content)

    def _record(
        self,
        type: str,
        when: datetime,
        late_s: float | None,
        initiator: Initiator | None,
        *,
        customer_id: str | None = None,
        conversation: Conversation | None = None,
        before: Assignee | None = None,
        detail: Wire | None = None,
    ) -> Change:
        delay_s = self.draw.uniform(0, self.lateness_s) if late_s is None else late_s
        change = Change(
            self.new_id(),
            type,
            when,
            when + timedelta(seconds=delay_s),
            initiator,
            conversation.customer_id if conversation else customer_id,
            conversation.id if conversation else None,
            before,
            detail,
        )
        if not self.changes or self.changes[-1].timestamp <= when:
            self.changes.append(change)
        else:
            bisect.insort_right(self.changes, change, key=timestamp_of)
        return change

    def _moment(self, at: datetime | None) -> datetime:
        if at is None:
            return floor_ms(self.clock.now())
        if at.tzinfo is None:
            raise ValueError("at must be an aware datetime, for instance datetime(2026, 11, 2, tzinfo=UTC)")
        return floor_ms(at)

    def _present_customer(self, customer: Customer | str) -> Customer:
        """Return the customer. Raise ValueError when the customer was merged or deleted."""
        found = self.customers[customer if isinstance(customer, str) else customer.id]
        if not found.is_here:
            raise ValueError(f"customer {found.id} was merged or deleted")
        return found

    def _present_conversation(self, conversation: Conversation | str) -> Conversation:
        """Return the conversation. Raise ValueError when the conversation was merged or deleted."""
        found = self.conversations[conversation if isinstance(conversation, str) else conversation.id]
        if found.gone is not None:
            raise ValueError(f"conversation {found.id} was {found.gone}")
        return found

    def _change(self, conversation: Conversation, when: datetime, **fields: Any) -> None:
        conversation.versions.append(conversation.now._replace(at=when, **fields))


def timestamp_of(change: Change) -> datetime:
    """Return when *change* was recorded: the key by which the history is ordered."""
    return change.timestamp
