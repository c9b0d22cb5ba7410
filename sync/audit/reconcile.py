"""
Reconcile: find by looking what the feed may have failed to show (semantics 6.1).

Once a day (`sync.reconcile`), conversations that are stored as open and that nothing has changed for a day
are compared with Gladly: a hundred of them, or a tenth of those that are open, in steps of a hundred. A close
that the feed never showed is taken in as a change, with the instant that Gladly gives for it. So it is sent
once, also when the feed shows it after all.
"""

import math
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import structlog

from state.instants import from_text, utc_now
from state.records import LookedUp, Status, StoredConversation
from state.store import Store
from sync.events.changes import Change, ChangeType, Chunk
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.objects.lookups import Lookups
from sync.gladly.objects.names import Failed
from sync.pipeline.preview import NothingGoesOut
from sync.pipeline.record import Figures, RecordStage
from sync.stop import Stop

log = structlog.get_logger()

# A step asks for at most this many conversations. At the default pace this takes 15 seconds; the profiles of
# customers whose conversation is gone come on top. Where more than ten times as many are open, steps follow
# each other more often than `sync.reconcile` says.
BUDGET = 100

# This part of the open conversations is compared each day, or in each interval where that is longer.
SHARE_A_DAY = 0.1

# A 404 is believed when it is answered again so much later.
NOT_FOUND_AGAIN = timedelta(minutes=1)

# What Gladly shows now is asked for, and nothing that is kept.
NOW = datetime.max.replace(tzinfo=UTC)

NOT_ANSWERED = Failed("", "not asked, or not believed yet")


class Reconciled(NamedTuple):
    """Say what a step came to: the conversations compared, and what was taken in of those that differ."""

    compared: int = 0
    figures: Figures = Figures()


class Reconciler:
    """
    Compare stored conversations with Gladly's, every now and then, a step at a time.

    No request is made while a step has the turn at the state file, so that no poll waits for one.

    Args:
        every: How often; None is never.
        store: The state file.
        lookups: Asks Gladly what conversations and profiles look like now. No one else uses it meanwhile.
        record: Records what was found.
        stop: Ends the wait for the turn.
    """

    def __init__(
        self, every: timedelta | None, store: Store, lookups: Lookups, record: RecordStage, stop: Stop
    ) -> None:
        self._every = every
        self._store = store
        self._lookups = lookups
        self._record = record
        self._stop = stop

    def run(self) -> Reconciled:
        """
        Compare, when it is time to, and return what that came to.

        Raises:
            GladlySegmentError: A look-up failed. What was not compared is compared by the next step.
            StateError: The state file could not be written. The next step compares again.
            StoppedError: A stop was asked for.
        """
        with self._turn():
            quiet = self._due()
        if not quiet:
            return Reconciled()
        self._lookups.begin_pass()
        found = self._lookups.conversations({conversation.id: NOW for conversation in quiet})
        at = utc_now()
        gone = [stored for stored in quiet if stored.id in found and found[stored.id] is None]
        with self._turn():
            believed = self._believed({stored.id for stored in gone}, at)
        profiles = self._lookups.profiles(
            {stored.customer_id: at for stored in gone if stored.id in believed}
        )
        compared: list[str] = []
        changes: list[Change] = []
        with self._turn():
            for stored in self._unchanged(quiet):
                now = found.get(stored.id, NOT_ANSWERED)
                profile = profiles.get(stored.customer_id, NOT_ANSWERED) if now is None else None
                if isinstance(now, Failed) or isinstance(profile, Failed):
                    continue
                compared.append(stored.id)
                if change := _missed(stored, now, profile, at):
                    changes.append(change)
            figures = Figures()
            if changes:
                figures = self._record.record(Chunk(changes, None, [], at), NothingGoesOut())
            self._store.reconciliation.mark_checked(compared)
        self._lookups.raise_what_is_wrong()
        log.info("reconciled", compared=len(compared), differences=len(changes))
        return Reconciled(len(compared), figures)

    def _due(self) -> list[StoredConversation]:
        """
        Return the conversations to compare now: none, or a step of them.

        In each interval, a hundred are compared, or a tenth a day of those that are open, where that is more.
        """
        if self._every is None:
            return []
        now = utc_now()
        days = max(1.0, self._every / timedelta(days=1))
        share = math.ceil(self._store.reconciliation.open_conversations() * min(1.0, SHARE_A_DAY * days))
        wanted = max(BUDGET, share)
        step_every = self._every * BUDGET / wanted
        last = self._store.reconciliation.last_reconciled(now)
        # Where nobody has run for long, as between two cron runs, a few steps are made in one.
        steps = 1 if last is None else (now - last) // step_every
        if not steps:
            return []
        at_most = min(wanted, steps * BUDGET)
        return self._store.reconciliation.quiet_conversations(now - self._every, at_most, now)

    def _unchanged(self, quiet: list[StoredConversation]) -> list[StoredConversation]:
        """Return those that no poll has changed while Gladly was asked."""
        now = self._store.conversations([stored.id for stored in quiet])
        return [stored for stored in quiet if now.get(stored.id) == stored]

    def _believed(self, ids: set[str], at: datetime) -> set[str]:
        """
        Return the conversations that Gladly has answered with 404 before, a minute or more ago.

        The other 404s are noted: one answer is not enough to call a conversation gone.
        """
        if not ids:
            return ids
        first = self._store.recorded.not_found_since("conversation", ids)
        self._store.recorded.finish(LookedUp(not_found=[("conversation", id_, at) for id_ in ids]))
        return {id_ for id_, seen_at in first.items() if at - seen_at >= NOT_FOUND_AGAIN}

    def _turn(self) -> AbstractContextManager[None]:
        return self._store.turn(self._stop.sleep)


def _missed(
    stored: StoredConversation, now: GladlyConversation | None, profile: Profile | None, at: datetime
) -> Change | None:
    """
    Return the change that Gladly must have recorded, given what it shows now; None when nothing differs.

    Args:
        stored: The conversation as stored, open.
        now: The conversation as Gladly shows it now; None when it is gone.
        profile: The customer's profile when the conversation is gone. With the customer deleted, the
            conversation was deleted too; with the customer still there, it was merged away.
        at: When Gladly was asked. A change for which Gladly gives no instant gets this one.
    """
    if now is None and profile is None:
        return Change("", ChangeType.PROFILE_DELETED, at, stored.customer_id)
    if now is None and profile is not None:
        return Change(
            "", ChangeType.CUSTOMER_MERGED, at, stored.customer_id, stored.id, into_customer_id=profile.id
        )
    if now is None or now.status != Status.CLOSED or not now.closed_at:
        return None
    try:
        return Change("", ChangeType.CLOSED, from_text(now.closed_at), stored.customer_id, stored.id)
    except ValueError:
        return None
