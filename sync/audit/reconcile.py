"""
The reconciler: what the feed may have failed to show is found by looking.

Once a day (`sync.reconcile`), conversations stored as open that nothing has changed for as long are compared
with Gladly, a limited number of them each time. A close that the feed never showed is taken in as a change of
the instant Gladly gives for it, and so sent once, also where the feed shows it after all.
"""

from datetime import datetime, timedelta

import structlog

from state import Poll, Status, Store, StoredConversation
from state.instants import from_text, utc_now
from sync.events.changes import Change, ChangeType, Chunk
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly import Lookups
from sync.pipeline.intake import Intake
from sync.settings.config import SyncSettings

log = structlog.get_logger()

# Requests to Gladly that one reconciliation may cost at the most, profiles apart: at the default pace, 15 s.
BUDGET = 100


class Reconciler:
    """Compares stored conversations with Gladly's, every now and then."""

    def __init__(self, settings: SyncSettings, store: Store, lookups: Lookups, intake: Intake) -> None:
        self._every: timedelta | None = settings.reconcile
        self._store = store
        self._lookups = lookups
        self._intake = intake

    def reconcile(self, poll: Poll) -> None:
        """
        Look, where it is time to.

        Raises: As the look-ups: the poll fails, and what was not compared is compared by the next.
        """
        if self._every is None:
            return
        long_ago = utc_now() - self._every
        last = self._store.last_reconciled()
        if last is not None and last > long_ago:
            return
        quiet = self._store.quiet_conversations(long_ago, BUDGET)
        if not quiet:
            return
        found = self._lookups.conversations(conversation.id for conversation in quiet)
        gone = [stored.customer_id for stored in quiet if found[stored.id] is None]
        profiles = self._lookups.profiles(gone)
        changes = [
            change
            for stored in quiet
            if (change := _missed(stored, found[stored.id], profiles.get(stored.customer_id), utc_now()))
        ]
        if changes:
            self._intake.take_in(Chunk(changes, None, []), poll)
        self._store.mark_checked(conversation.id for conversation in quiet)
        log.info("reconciled", compared=len(quiet), differences=len(changes))


def _missed(
    stored: StoredConversation, now: GladlyConversation | None, profile: Profile | None, at: datetime
) -> Change | None:
    """
    The change that Gladly must have recorded, given what it shows now; None where nothing differs.

    Args:
        profile: Of the customer, where the conversation is gone: it is deleted with its customer, and merged
            away where its customer is still there.
        at: When this was looked at: the instant of what Gladly gives no instant for.
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
