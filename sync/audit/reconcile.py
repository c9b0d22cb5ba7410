"""
Reconcile: find by looking what the feed may have failed to show (semantics 6.1).

Once a day (`sync.reconcile`), conversations that are stored as open and that nothing has changed for a day
are compared with Gladly, a limited number each time. A close that the feed never showed is taken in as a
change, with the instant that Gladly gives for it. So it is sent once, also when the feed shows it after all.
"""

from datetime import datetime, timedelta

import structlog

from state.instants import from_text, utc_now
from state.records import Status, StoredConversation
from state.store import Store
from sync.events.changes import Change, ChangeType, Chunk
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.lookups import Lookups
from sync.pipeline.intake import Figures, Intake, Outgoing

log = structlog.get_logger()

# One reconciliation asks for at most this many conversations. At the default pace this takes 15 seconds; the
# profiles of customers whose conversation is gone come on top.
BUDGET = 100


class Reconciler:
    """
    Compare stored conversations with Gladly's, every now and then. A poll runs it at its end (`PollJob`).

    Args:
        every: How often; None is never.
        store: The state file.
        lookups: Asks Gladly what conversations and profiles look like now.
        intake: Takes in what was found.
    """

    def __init__(self, every: timedelta | None, store: Store, lookups: Lookups, intake: Intake) -> None:
        self._every = every
        self._store = store
        self._lookups = lookups
        self._intake = intake

    def run(self, outgoing: Outgoing) -> Figures:
        """
        Compare, when it is time to, and return what was taken in.

        Args:
            outgoing: The delivery that goes on meanwhile.

        Raises:
            GladlySegmentError: A look-up failed. The next poll compares what was not compared.
            StateError: The state file could not be written. The next poll compares again.
        """
        if self._every is None:
            return Figures()
        long_ago = utc_now() - self._every
        last = self._store.reconciliation.last_reconciled()
        if last is not None and last > long_ago:
            return Figures()
        quiet = self._store.reconciliation.quiet_conversations(long_ago, BUDGET)
        if not quiet:
            return Figures()
        found = self._lookups.conversations(
            [conversation.id for conversation in quiet], outgoing.send_what_is_due
        )
        gone = [stored.customer_id for stored in quiet if found[stored.id] is None]
        profiles = self._lookups.profiles(gone, outgoing.send_what_is_due)
        changes = [
            change
            for stored in quiet
            if (change := _missed(stored, found[stored.id], profiles.get(stored.customer_id), utc_now()))
        ]
        figures = self._intake.take_in(Chunk(changes, None, []), outgoing) if changes else Figures()
        self._store.reconciliation.mark_checked(conversation.id for conversation in quiet)
        log.info("reconciled", compared=len(quiet), differences=len(changes))
        return figures


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
