"""Notes what the audit found of past days (semantics 6.2): the rows of `audits`."""

import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from state.findings import AuditedDay, AuditOutcome, DayReceipts
from state.instants import from_text, to_text, utc_now
from state.records import MissingEvents
from state.writer.connection import WriterConnection

# The note of a day whose audit found something missing and did not come to its end. It is audited again at
# once.
INTERRUPTED = "The audit of this day was interrupted."

# What the note of a day begins with for which Segment could not be asked.
NOT_COMPARED = "Not compared with Segment: "

_COLUMNS = "day, audited_at, reported, known, missing, delivered, received, dropped, outcome, note"


def note_missing(db: sqlite3.Connection, found: MissingEvents, now: datetime) -> None:
    """
    Count the events that an audit found to be missing, in the transaction that records them.

    So the figures of the day are right also when the audit is interrupted and done anew, and when two audits
    of a day find something.
    """
    db.execute(
        "INSERT INTO audits (day, audited_at, missing, outcome, note) VALUES (?, ?, ?, 'unproved', ?)"
        " ON CONFLICT (day) DO UPDATE SET audited_at = excluded.audited_at,"
        " missing = coalesce(missing, 0) + excluded.missing, outcome = excluded.outcome,"
        " note = excluded.note, dismissed_at = NULL",
        (found.day, to_text(now), found.missing, INTERRUPTED),
    )


class Audits:
    """Says which past days are to be audited, and notes what was found."""

    def __init__(self, connection: WriterConnection) -> None:
        self._connection = connection

    def began_at(self) -> datetime | None:
        """Return since when the file has followed its organization. Return None before the first poll."""
        found = self._connection.rows("SELECT began_at FROM organization WHERE began_at IS NOT NULL")
        return from_text(found[0][0]) if found else None

    def due(self, until: datetime, again_before: datetime, soon_before: datetime | None = None) -> list[date]:
        """
        Return the days to audit: those whose audit was interrupted, those that were never audited, oldest
        first, and then those that could not be proved.

        A day that a person has dismissed is not audited again.

        Args:
            until: Days that ended later are not due.
            again_before: A day that could not be proved is due when its last audit is older than this.
            soon_before: The same, for a day whose report could not be had. None takes *again_before*.
        """
        began = self.began_at()
        if began is None:
            return []
        first = first_whole_day(began)
        rows = self._connection.rows("SELECT day FROM audits WHERE day >= ?", (first.isoformat(),))
        audited = {row[0] for row in rows}
        count = max(0, (until.date() - first).days)
        days = [first + timedelta(days=number) for number in range(count)]
        again = self._connection.rows(
            "SELECT day, note = :interrupted FROM audits"
            " WHERE outcome = 'unproved' AND dismissed_at IS NULL AND day >= :first AND day < :until"
            " AND (note = :interrupted OR audited_at <= :again OR (reported IS NULL AND audited_at <= :soon))"
            " ORDER BY audited_at, day",
            {
                "first": first.isoformat(),
                "until": until.date().isoformat(),
                "interrupted": INTERRUPTED,
                "again": to_text(again_before),
                "soon": to_text(soon_before or again_before),
            },
        )
        interrupted = [date.fromisoformat(day) for day, is_interrupted in again if is_interrupted]
        unproved = [date.fromisoformat(day) for day, is_interrupted in again if not is_interrupted]
        return interrupted + [day for day in days if day.isoformat() not in audited] + unproved

    def transitions_on(self, day: date, margin: timedelta) -> int:
        """
        Return how many events of a day there are that the day's report must show.

        Suppressed events are left out, because a report may no longer show customers who were deleted.

        Args:
            day: The day, by when Gladly recorded the changes.
            margin: How much at both ends of the day is left out, because the report's instants may lie beside
                those of the feed.
        """
        start = datetime.combine(day, datetime.min.time(), UTC)
        rows = self._connection.rows(
            "SELECT count(*) FROM events WHERE type = 'track' AND occurred_at >= ? AND occurred_at < ?"
            " AND status <> 'suppressed' AND transition <> 'reopened'",
            (to_text(start + margin), to_text(start + timedelta(days=1) - margin)),
        )
        return int(rows[0][0])

    def delivered_on(self, day: date) -> int:
        """Return how many track events were delivered on a day of UTC."""
        start = datetime.combine(day, datetime.min.time(), UTC)
        end = start + timedelta(days=1)
        rows = self._connection.rows(
            # The plus leaves the choice to the index of deliveries.
            "SELECT count(*) FROM events WHERE type = 'track' AND +status = 'delivered' AND delivered_at >= ?"
            " AND delivered_at < ?",
            (to_text(start), to_text(end)),
        )
        return int(rows[0][0])

    def without_receipts(self, since: date, limit: int) -> list[date]:
        """
        Return audited days for which Segment has not told what it received, newest first.

        Args:
            since: The first day that counts.
            limit: How many to return at most.
        """
        rows = self._connection.rows(
            "SELECT day FROM audits WHERE received IS NULL AND reported IS NOT NULL AND day >= ?"
            " ORDER BY day DESC LIMIT ?",
            (since.isoformat(), limit),
        )
        return [date.fromisoformat(row[0]) for row in rows]

    def add_receipts(self, day: date, receipts: DayReceipts) -> None:
        """Write what Segment received of a day that was audited before, behind what its note says already."""
        with self._connection.transaction() as db:
            db.execute(
                "UPDATE audits SET received = ?, dropped = ?, dismissed_at = NULL, note = nullif(trim("
                "CASE instr(coalesce(note, ''), ?) WHEN 0 THEN coalesce(note, '')"
                " ELSE substr(note, 1, instr(note, ?) - 1) END || ' ' || ?), '') WHERE day = ?",
                (
                    receipts.received,
                    receipts.dropped,
                    NOT_COMPARED,
                    NOT_COMPARED,
                    receipts.note,
                    day.isoformat(),
                ),
            )

    def finish(
        self,
        day: date,
        reported: int | None,
        why_unproved: str | None,
        receipts: DayReceipts | None = None,
        now: datetime | None = None,
    ) -> AuditedDay:
        """
        Write what an audit of a day came to, and return the row.

        A day that was proved stays so where its report could not be had once more: nothing is written then,
        and the row that is returned says what was found this time.

        Args:
            day: The day.
            reported: How many transitions in Gladly's report make events. None where it was not read.
            why_unproved: Why the day could not be proved. None where it is proved.
            receipts: What Segment says of the day; None where it was not asked.
            now: The present instant. None takes this machine's clock.
        """
        found = self._connection.rows("SELECT missing, outcome FROM audits WHERE day = ?", (day.isoformat(),))
        missing, before = found[0] if found else (0, None)
        missing = missing or 0
        outcome = AuditOutcome.MENDED if missing else AuditOutcome.COMPLETE
        if why_unproved is not None:
            outcome = AuditOutcome.UNPROVED
        notes = [note for note in (why_unproved, receipts.note if receipts else None) if note]
        row = AuditedDay(
            day=day.isoformat(),
            audited_at=now or utc_now(),
            reported=reported,
            known=None if reported is None else max(0, reported - missing),
            missing=None if reported is None and not missing else missing,
            delivered=self.delivered_on(day),
            received=receipts.received if receipts else None,
            dropped=receipts.dropped if receipts else None,
            outcome=outcome,
            note=" ".join(notes) or None,
        )
        if reported is None and before in (AuditOutcome.COMPLETE, AuditOutcome.MENDED):
            return row
        with self._connection.transaction() as db:
            db.execute(
                f"INSERT INTO audits ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                " ON CONFLICT (day) DO UPDATE SET"
                " dismissed_at = CASE WHEN outcome = excluded.outcome THEN dismissed_at END,"
                " audited_at = excluded.audited_at, reported = excluded.reported, known = excluded.known,"
                " missing = excluded.missing, delivered = excluded.delivered, received = excluded.received,"
                " dropped = excluded.dropped, outcome = excluded.outcome, note = excluded.note",
                (row.day, to_text(row.audited_at), *row[2:8], row.outcome.value, row.note),
            )
        return row

    def dismiss(self, days: Sequence[str] | None) -> int:
        """
        Note that a person has seen these days that were mended or not proved, or of which Segment dropped
        events; or all of them (None).

        Return how many were dismissed.
        """
        seen = "UPDATE audits SET dismissed_at = ? WHERE dismissed_at IS NULL"
        seen += " AND (outcome <> 'complete' OR dropped > 0)"
        now = to_text(utc_now())
        with self._connection.transaction() as db:
            if days is None:
                return db.execute(seen, (now,)).rowcount
            return sum(db.execute(seen + " AND day = ?", (now, day)).rowcount for day in days)


def first_whole_day(began: datetime) -> date:
    """Return the first UTC day that lies wholly after an instant."""
    day = began.astimezone(UTC).date()
    return day if began == datetime.combine(day, datetime.min.time(), UTC) else day + timedelta(days=1)
