"""
Reconcile: find by looking what the feed may have failed to show (semantics 6.1).

Once a day (`sync.reconcile`), conversations that are stored as open and that nothing has changed for a day
are compared with Gladly, a limited number each time. A close that the feed never showed is taken in as a
change, with the instant that Gladly gives for it. So it is sent once, also when the feed shows it after all.
"""

from datetime import datetime, timedelta

import structlog

from state.instants import from_text, utc_now
from state.records import LookedUp, Status, StoredConversation
from state.store import Store
from sync.events.changes import Change, ChangeType, Chunk
from sync.events.gladly_objects import GladlyConversation, Profile
from sync.gladly.objects.lookups import Lookups
from sync.gladly.objects.names import Failed
from sync.pipeline.delivery import Outgoing
from sync.pipeline.record import Figures, RecordStage

log = structlog.get_logger()

# One reconciliation asks for at most this many conversations. At the default pace this takes 15 seconds; the
# profiles of customers whose conversation is gone come on top.
BUDGET = 100

# A 404 is believed when it is answered again so much later.
NOT_FOUND_AGAIN = timedelta(minutes=1)

NOT_ANSWERED = Failed("", "not asked, or not believed yet")


class Reconciler:
    """
    Compare stored conversations with Gladly's, every now and then. A poll runs it at its end (`PollJob`).

    Args:
        every: How often; None is never.
        store: The state file.
        lookups: Asks Gladly what conversations and profiles look like now.
        record: Records what was found.
    """

    def __init__(self, every: timedelta | None, store: Store, lookups: Lookups, record: RecordStage) -> None:
        self._every = every
        self._store = store
        self._lookups = lookups
        self._record = record

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
        self._lookups.begin_pass()
        found = self._lookups.conversations(
            [conversation.id for conversation in quiet], outgoing.send_what_is_due
        )
        at = utc_now()
        gone = [stored for stored in quiet if stored.id in found and found[stored.id] is None]
        believed = self._believed({stored.id for stored in gone}, at)
        profiles = self._lookups.profiles(
            {stored.customer_id: at for stored in gone if stored.id in believed}, outgoing.send_what_is_due
        )
        compared: list[str] = []
        changes: list[Change] = []
        for stored in quiet:
            now = found.get(stored.id, NOT_ANSWERED)
            profile = profiles.get(stored.customer_id, NOT_ANSWERED) if now is None else None
            if isinstance(now, Failed) or isinstance(profile, Failed):
                continue
            compared.append(stored.id)
            if change := _missed(stored, now, profile, at):
                changes.append(change)
        figures = Figures()
        if changes:
            figures = self._record.record(Chunk(changes, None, [], at), outgoing)
        self._store.reconciliation.mark_checked(compared)
        self._lookups.raise_what_is_wrong()
        log.info("reconciled", compared=len(compared), differences=len(changes))
        return figures

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
