"""
One cycle: poll and take in, then deliver; neither end being down stops the other.

What a poll found, the events it makes and the watermark commit together, before anything is sent. A crash may
send an event twice under one messageId; it never loses one (semantics 4).
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

import structlog

from state import (
    BadLine,
    CustomerMerge,
    Event,
    EventStatus,
    PendingEvent,
    Poll,
    PollOutcome,
    Status,
    Store,
    TakenIn,
    Transition,
)
from state.failpoints import failpoint
from state.instants import parse_instant, short_duration, to_text, utc_now
from state.store import bad_line_id
from sync.changes import OF_A_CONVERSATION, Change, ChangeType, Chunk
from sync.config import Config
from sync.errors import CredentialsRefusedError, GladlySegmentError, RetryableError, StoppedError, TooOldError
from sync.gladly import ChangeFeed, GladlyClient, Lookups
from sync.gladly.feed import REACH
from sync.gladly.models import Conversation, Profile
from sync.segment import Delivered, SegmentClient, pack
from sync.stop import Stop
from sync.track import (
    EVENT_MAX_BYTES,
    NAMES,
    Origin,
    Subject,
    created_at_of,
    fingerprint,
    message_id,
    track_event,
)
from sync.transitions import Decision, decide_all

log = structlog.get_logger()

# How many events are read from the outbox at once: together at most a few MB.
_PAGE = 500

# A refused token or key is tried again this often: a person has to mend it, and need not restart anything.
REFUSED_PAUSE_S = 300.0

# Payloads past their retention are looked for this often.
_RETENTION_EVERY_S = 3_600.0


class _Side:
    """One end, as the cycle sees it: what is wrong there, and until when it is left alone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: GladlySegmentError | None = None
        self._pause_until = 0.0

    def attempt(self, work: Callable[[], None]) -> None:
        """Do *work* unless the side is paused; an error is kept, and logged when it is a new one."""
        if self.error is not None and time.monotonic() < self._pause_until:
            return
        before = self.error
        try:
            work()
        except StoppedError:
            raise
        except GladlySegmentError as error:
            self.error = error
            pause = 0.0
            if isinstance(error, CredentialsRefusedError):
                pause = REFUSED_PAUSE_S
            elif isinstance(error, RetryableError):
                pause = error.retry_after_s or 0.0
            self._pause_until = time.monotonic() + pause
            if str(error) != str(before):
                log.error(f"{self.name}.failed", error=str(error))
        else:
            self.error = None
            if before is not None:
                log.info(f"{self.name}.recovered")


@dataclass(frozen=True)
class Result:
    """How a cycle went: its figures, and what went wrong at each end."""

    poll: Poll
    gladly_error: GladlySegmentError | None
    segment_error: GladlySegmentError | None

    @property
    def errors(self) -> list[GladlySegmentError]:
        """What went wrong, the poll's first."""
        return [error for error in (self.gladly_error, self.segment_error) if error]


class Cycle:
    """
    The sync between two ends and a state file, a cycle at a time.

    Args:
        config: The settings and secrets.
        store: Open for writing; closing it is the caller's.
        stop: Ends a cycle wherever it is.
    """

    def __init__(self, config: Config, store: Store, stop: Stop) -> None:
        settings, secrets = config.settings, config.secrets
        self._sync = settings.sync
        self._retention = settings.state.retention
        self._store = store
        self._stop = stop
        self._gladly = GladlyClient(
            settings.gladly.url,
            settings.gladly.username or "",
            secrets.api_token,
            requests_per_second=settings.gladly.requests_per_second,
            stop=stop,
        )
        self._feed = ChangeFeed(self._gladly, settings.sync.overlap)
        self._lookups = Lookups(self._gladly)
        self._segment = SegmentClient(settings.segment.url, secrets.write_key, stop=stop)
        self._origin = Origin(fingerprint(secrets.write_key), self._gladly.edge.host)
        self._gladly_side, self._segment_side = _Side("gladly"), _Side("segment")
        self._retention_due = 0.0
        self._position: datetime | None = None  # a watermark not yet worth a write of its own

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lookups.close()
        self._gladly.close()
        self._segment.close()

    def run(self) -> Result:
        """
        Poll, take in, deliver.

        Raises:
            StateError: The state file could not be written; nothing is lost.
            StoppedError: A stop was asked for; what was not committed is read again.
        """
        failpoint("cycle.begin")
        started = time.monotonic()
        poll = Poll(started_at=utc_now())
        requests_before = self._gladly.edge.requests
        try:
            self._gladly_side.attempt(lambda: self._take_in_changes(poll))
            self._segment_side.attempt(lambda: self._deliver(poll))
        finally:
            poll.requests = self._gladly.edge.requests - requests_before
        result = Result(poll, self._gladly_side.error, self._segment_side.error)
        if result.errors:
            poll.outcome = PollOutcome.FAILED
            poll.error = " ".join(str(error) for error in result.errors)
        poll.finished_at = utc_now()
        self._store.record_poll(poll, self._position)
        self._position = None
        self._forget_old_payloads()
        failpoint("cycle.end")
        seconds = round(time.monotonic() - started, 3)
        log.info("cycle.finished", outcome=poll.outcome.value, **poll.figures(), seconds=seconds)
        return result

    def preview(self) -> Iterator[bytes]:
        """
        Poll and take in, and yield the bytes of every event that would be delivered, delivering nothing.

        Raises:
            GladlySegmentError: The poll failed.
        """
        self._take_in_changes(Poll(started_at=utc_now()))
        yield from (event.payload for event in self._pending())

    # Poll and take in

    def _take_in_changes(self, poll: Poll) -> None:
        position = self._store.watermark()
        if position is None:
            position = self._position = self._beginning()
        poll.window_start = position
        self._lookups.begin_poll()
        seen = self._store.seen_changes()
        if utc_now() - position > REACH:
            self._refuse_if_too_old(position)
        for chunk in self._feed.since(position):
            poll.window_end = chunk.read_until or chunk.position
            self._take_in(chunk, seen, poll)

    def _beginning(self) -> datetime:
        """Where the very first poll begins (semantics 3.6): by Gladly's clock, since ours may be wrong."""
        now = self._gladly.clock()
        start = self._sync.start
        return now if start == "now" else min(now, parse_instant(start, now))

    def _refuse_if_too_old(self, position: datetime) -> None:
        """By our clock it is; but only Gladly's counts."""
        age = self._gladly.clock() - position
        if age > REACH:
            raise TooOldError(
                f"The watermark {to_text(position)} is {short_duration(age.total_seconds())} old and Gladly's"
                " Events API reaches back 24 hours. Nothing has been passed over."
            )

    def _take_in(self, chunk: Chunk, seen: dict[str, datetime], poll: Poll) -> None:
        """Everything a chunk of changes comes to, in one transaction."""
        changes = _not_seen(chunk.changes, seen)
        bad_lines = self._new_bad_lines(chunk.bad_lines, poll)
        if not changes and not bad_lines:
            self._position = chunk.position  # nothing new: the watermark can wait for the cycle's end
            return
        self._lookups.note(changes)
        stored = self._store.conversations(_conversation_ids(changes))
        decisions = [d for d in decide_all(stored, changes) if self._is_sent(d.transition)]
        deletions = _deletions(changes)
        events = self._events(decisions, deletions)
        seen_since = chunk.position - self._sync.overlap if chunk.position else None
        near = {
            c.id: c.recorded_at for c in changes if c.id and (not seen_since or c.recorded_at >= seen_since)
        }
        self._store.take_in(
            TakenIn(
                position=chunk.position,
                seen=list(near.items()),
                seen_since=seen_since,
                conversations=list(stored.values()),
                events=events,
                merges=_merges(changes),
                deletions=deletions,
                bad_lines=bad_lines,
            )
        )
        self._position = None
        seen.update(near)
        poll.changes += len(changes)
        poll.created += sum(d.transition is Transition.CREATED for d in decisions)
        poll.closed += sum(d.transition is Transition.CLOSED for d in decisions)

    def _new_bad_lines(self, lines: list[BadLine], poll: Poll) -> list[BadLine]:
        """Those not in quarantine yet: the overlap is read twice. Each marks the poll degraded (3.3)."""
        if not lines:
            return lines
        known = self._store.known_bad_lines(lines)
        new = {id_: line for line in lines if (id_ := bad_line_id(line)) not in known}
        for id_, line in new.items():
            poll.outcome = PollOutcome.DEGRADED
            log.warning("line.quarantined", quarantine_id=id_, source=line.source, reason=line.reason)
        return list(new.values())

    def _is_sent(self, transition: Transition) -> bool:
        return transition is not Transition.REOPENED or self._sync.reopened

    # From transitions to events

    def _events(self, decisions: list[Decision], deletions: dict[str, tuple[datetime, str]]) -> list[Event]:
        """
        The event of each transition, in order.

        Args:
            deletions: Customers deleted; those whose profile turns out to be gone are added.
        """
        gone = self._store.deleted_customers(d.conversation.customer_id for d in decisions)
        gone |= {customer_id: reason for customer_id, (_, reason) in deletions.items()}
        wanted = [d for d in decisions if d.conversation.customer_id not in gone]
        conversations = self._lookups.conversations(d.conversation.id for d in wanted)
        for decision in wanted:
            if (now := conversations[decision.conversation.id]) is not None:
                decision.conversation.customer_id = now.customer_id
        profiles = self._lookups.profiles(
            d.conversation.customer_id for d in wanted if d.conversation.customer_id not in gone
        )
        for customer_id, profile in profiles.items():
            if profile is None:
                gone[customer_id] = "customer's profile is gone (404)"
                deletions[customer_id] = (utc_now(), gone[customer_id])
        events = []
        for decision in decisions:
            customer_id = decision.conversation.customer_id
            if customer_id in gone:
                events.append(self._suppressed(decision, gone[customer_id]))
                continue
            now, profile = conversations[decision.conversation.id], profiles[customer_id]
            assert profile is not None
            profile.id = profile.id or customer_id
            events.append(self._event(decision, now, profile))
        return events

    def _event(self, decision: Decision, now: Conversation | None, profile: Profile) -> Event:
        stored, change = decision.conversation, decision.change
        stored.customer_id = profile.id
        stored.created_at = created_at_of(now, stored.created_at or change.recorded_at)
        if stored.status.is_open and now is not None:
            stored.status = Status.WAITING if now.status == Status.WAITING else Status.OPEN
        agent_id = now.agent_id if now is not None else change.agent_id
        subject = Subject(
            conversation_id=stored.id,
            conversation=now,
            profile=profile,
            agent_id=agent_id or None,
            agent_name=self._lookups.agent_name(agent_id),
            created_at=stored.created_at,
            closed_at=change.recorded_at,
        )
        id_ = self._message_id(decision)
        payload = track_event(decision.transition, subject, id_, closed_timestamp=self._sync.closed_timestamp)
        is_too_large = len(payload) > EVENT_MAX_BYTES
        return Event(
            message_id=id_,
            conversation_id=stored.id,
            customer_id=profile.id,
            transition=decision.transition,
            event=NAMES[decision.transition],
            occurred_at=change.recorded_at,
            status=EventStatus.REJECTED if is_too_large else EventStatus.PENDING,
            payload=payload,
            reason=_too_large(payload) if is_too_large else None,
        )

    def _suppressed(self, decision: Decision, reason: str) -> Event:
        return Event(
            message_id=self._message_id(decision),
            conversation_id=decision.conversation.id,
            customer_id=decision.conversation.customer_id,
            transition=decision.transition,
            event=NAMES[decision.transition],
            occurred_at=decision.change.recorded_at,
            status=EventStatus.SUPPRESSED,
            payload=None,
            reason=reason,
        )

    def _message_id(self, decision: Decision) -> str:
        return message_id(
            self._origin, decision.conversation.id, decision.transition, decision.change.recorded_at
        )

    # Deliver

    def _deliver(self, poll: Poll) -> None:
        for batch in pack(self._pending()):
            waiting = {event.message_id for event in batch}
            try:
                for outcome in self._segment.deliver(batch):
                    if isinstance(outcome, Delivered):
                        ids = [event.message_id for event in outcome.events]
                        self._store.mark_delivered(ids)
                        waiting.difference_update(ids)
                        poll.delivered += len(ids)
                    else:
                        self._store.mark_rejected(outcome.event.message_id, outcome.reason)
                        waiting.discard(outcome.event.message_id)
                        log.warning(
                            "event.rejected", message_id=outcome.event.message_id, reason=outcome.reason
                        )
            except StoppedError:
                raise
            except GladlySegmentError as error:
                self._store.mark_attempted(sorted(waiting), str(error))
                raise

    def _pending(self) -> Iterator[PendingEvent]:
        """The outbox in recorded order, a page at a time."""
        page = self._store.pending(None, _PAGE)
        while page:
            for event in page:
                if len(event.payload) <= EVENT_MAX_BYTES:
                    yield event
                else:  # a rejected one that was retried: it has not become any smaller
                    self._store.mark_rejected(event.message_id, _too_large(event.payload))
            page = self._store.pending(page[-1].position, _PAGE)

    def _forget_old_payloads(self) -> None:
        """Erase payloads past their retention (semantics 5.3), and whatever is still to be wiped."""
        self._store.wipe()
        if time.monotonic() < self._retention_due:
            return
        if not self._store.erase_old_payloads(utc_now() - self._retention):
            self._retention_due = time.monotonic() + _RETENTION_EVERY_S


def _too_large(payload: bytes) -> str:
    return f"{len(payload)} bytes, and Segment takes at most {EVENT_MAX_BYTES} an event"


def _not_seen(changes: list[Change], seen: dict[str, datetime]) -> list[Change]:
    """Each change once, but those already taken in; a change of the report has no id to know it by."""
    taken = set(seen)
    new = []
    for change in changes:
        if change.id not in taken:
            new.append(change)
            if change.id:
                taken.add(change.id)
    return new


def _conversation_ids(changes: list[Change]) -> set[str]:
    return {
        change.conversation_id
        for change in changes
        if change.type in OF_A_CONVERSATION or change.type is ChangeType.CUSTOMER_MERGED
    } - {""}


def _merges(changes: list[Change]) -> list[CustomerMerge]:
    merged = (c for c in changes if c.type is ChangeType.CUSTOMER_MERGED)
    return [
        CustomerMerge(c.customer_id, c.into_customer_id, c.recorded_at)
        for c in sorted(merged, key=lambda c: c.order)
    ]


def _deletions(changes: list[Change]) -> dict[str, tuple[datetime, str]]:
    return {
        c.customer_id: (c.recorded_at, "customer was deleted")
        for c in changes
        if c.type is ChangeType.PROFILE_DELETED
    }
