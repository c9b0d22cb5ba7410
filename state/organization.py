"""
Binds the state file to one organization, and keeps the message ids to its write key (semantics 5.6, 4.2).
"""

import sqlite3
from collections.abc import Callable
from datetime import datetime

from state.errors import other_organization
from state.file import explaining
from state.instants import from_text, to_text
from state.records import EventType, Transition
from state.writer.connection import WriterConnection

# So many events get their new ids between two looks at the file. All of them are one transaction.
_PAGE = 1_000

MakeId = Callable[[str, Transition, datetime, EventType], str]


class Organization:
    """The one organization whose state the file holds."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def bind(self, host: str, write_key_fingerprint: str, make_id: MakeId) -> int:
        """
        Bind the file to an organization, or make sure that it is bound to this one.

        If the write key is another than before, the events that are still to be sent get the message ids of
        the new key: an id belongs to a transition and a key. Delivered events keep theirs. The new ids and
        the new fingerprint are written in one transaction.

        Args:
            host: The organization's host at Gladly. All addresses of this machine are one host, `localhost`.
            write_key_fingerprint: Tells this write key from others.
            make_id: Makes the message id of an event from its conversation, transition, instant and type.

        Returns: how many events got another message id.

        Raises:
            OtherOrganizationError: The file belongs to another host. It was left as it is.
            StateWriteError: The file could not be written.
        """
        changed = self._bind(host, write_key_fingerprint, make_id)
        self._note_when_an_older_file_began()
        return changed

    def begin_at(self, position: datetime) -> None:
        """Note where the very first poll begins. Days before it are not the audit's business (6.2)."""
        with explaining(self._connection.path):
            self._connection.raw.execute("UPDATE organization SET began_at = ?", (to_text(position),))

    def _note_when_an_older_file_began(self) -> None:
        """
        Note since when a file of an older release has followed its organization: since its earliest cycle.

        The first day of forgotten cycles may not have been followed from its beginning, so it does not count.
        """
        if self._connection.rows("SELECT 1 FROM organization WHERE began_at IS NOT NULL"):
            return
        rows = self._connection.rows(
            "SELECT min(at) FROM (SELECT min(coalesce(window_start, started_at)) AS at FROM polls"
            " UNION ALL SELECT date(min(day), '+1 day') || 'T00:00:00.000Z' FROM poll_days"
            " UNION ALL SELECT min(created_at) FROM events)"
        )
        if rows[0][0]:
            self.begin_at(from_text(rows[0][0]))

    def _bind(self, host: str, write_key_fingerprint: str, make_id: MakeId) -> int:
        rows = self._connection.rows("SELECT host, write_key_fingerprint FROM organization")
        if rows and rows[0][0] != host:
            raise other_organization(self._connection.path, rows[0][0], host)
        if not rows:
            # A new file, or one of an older release, which did not say under which key it made its ids.
            with explaining(self._connection.path):
                self._connection.raw.execute(
                    "INSERT INTO organization (host, write_key_fingerprint) VALUES (?, ?)",
                    (host, write_key_fingerprint),
                )
            return 0
        if rows[0][1] == write_key_fingerprint:
            return 0
        with self._connection.transaction() as db:
            db.execute("UPDATE organization SET write_key_fingerprint = ?", (write_key_fingerprint,))
            return _make_ids_anew(db, make_id)


def _make_ids_anew(db: sqlite3.Connection, make_id: MakeId) -> int:
    """Give each event that is still to be sent the id that *make_id* makes. Return how many ids changed."""
    changed, last = 0, 0
    while True:
        page = db.execute(
            "SELECT rowid, message_id, conversation_id, transition, occurred_at, type FROM events"
            " WHERE rowid > ? AND status IN ('recorded', 'pending', 'rejected') ORDER BY rowid LIMIT ?",
            (last, _PAGE),
        ).fetchall()
        if not page:
            return changed
        last = page[-1][0]
        for rowid, old, conversation_id, transition, occurred_at, type_ in page:
            at = from_text(occurred_at)
            new = make_id(conversation_id, Transition(transition), at, EventType(type_))
            if new != old:
                # An attempt under the old id went to another source, so it is no attempt of this one.
                changed += db.execute(
                    "UPDATE OR IGNORE events SET message_id = ?, attempts = 0,"
                    " payload = CAST(replace(payload, ?, ?) AS TEXT) WHERE rowid = ?",
                    (new, f'"messageId":"{old}"', f'"messageId":"{new}"', rowid),
                ).rowcount
