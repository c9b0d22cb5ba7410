"""The audit's figures of a day stay true, however often and however far the day was audited."""

from datetime import date, timedelta

import pytest

from state.findings import AuditOutcome, DayReceipts
from state.reader import Reader
from state.records import MissingEvents, TakenIn
from state.writer.audits import first_whole_day
from support.state_samples import commit, eight, event

DAY = date(2026, 11, 20)
AN_HOUR = timedelta(hours=1)


@pytest.fixture
def bound(store):
    """A store of an organization that began at eight o'clock of the day before."""
    store.organization.bind("localhost", "key", lambda *_: "")
    store.organization.begin_at(eight() - timedelta(days=1))
    return store


def due(store, until, again=timedelta(days=1), soon=AN_HOUR):
    """Return the days that are due, when it is a little after *until*."""
    return store.audits.due(until, until - again, until - soon)


def test_each_whole_day_since_the_beginning_is_due_once(bound):
    """The day in which the state began was not followed from its first minute."""
    until = eight() + timedelta(days=2)
    assert due(bound, until) == [DAY, DAY + timedelta(days=1)]
    bound.audits.finish(DAY, 5, None, now=until)
    assert due(bound, until) == [DAY + timedelta(days=1)]


def test_a_day_that_could_not_be_proved_is_due_again_later(bound):
    """After the interval, or after an hour where the report could not be had; after a dismissal, never."""
    until = eight() + timedelta(days=1)
    bound.audits.finish(DAY, 5, "A row cannot be read.", now=until)
    assert (due(bound, until + 2 * AN_HOUR), due(bound, until + 24 * AN_HOUR)[-1]) == ([], DAY)
    bound.audits.finish(DAY, None, "Gladly is down.", now=until)
    assert due(bound, until + 2 * AN_HOUR) == [DAY]
    assert bound.audits.dismiss([DAY.isoformat()]) == 1
    assert DAY not in due(bound, until + 24 * AN_HOUR)


def test_what_was_missing_is_counted_with_the_events_themselves(bound, path):
    """An audit that is interrupted, done anew, and made by hand once more does not lose the figure."""
    bound.commit(TakenIn(events=[event("m-1")], audit=MissingEvents(DAY.isoformat(), 1)))
    assert due(bound, eight() + timedelta(days=1)) == [DAY]  # at once
    bound.commit(TakenIn(events=[event("m-2")], audit=MissingEvents(DAY.isoformat(), 1)))
    row = bound.audits.finish(DAY, 5, None)
    assert (row.reported, row.known, row.missing, row.outcome) == (5, 3, 2, AuditOutcome.MENDED)
    bound.audits.dismiss(None)
    assert bound.audits.finish(DAY, 5, None).outcome is AuditOutcome.MENDED
    with Reader(path) as reader:
        (stored,) = reader.audited_days()
    assert (stored["missing"], stored["dismissed_at"] is not None) == (2, True)


def test_a_proved_day_stays_proved_when_gladly_cannot_be_asked_once_more(bound, path):
    """The row is left as it is; the one that is returned says what happened."""
    bound.audits.finish(DAY, 5, None)
    assert bound.audits.finish(DAY, None, "Gladly is down.").outcome is AuditOutcome.UNPROVED
    with Reader(path) as reader:
        assert [row["outcome"] for row in reader.audited_days()] == ["complete"]


def test_segments_count_stands_beside_ours(bound):
    """Delivered on that day, of whatever day."""
    commit(bound, event("m-1"))
    bound.outbox.mark_delivered(["m-1"])
    today = (bound.audits.began_at() + timedelta(days=1)).date()
    row = bound.audits.finish(today, 1, None, DayReceipts(3, 1, "Segment dropped one."))
    assert (row.received, row.dropped, row.note) == (3, 1, "Segment dropped one.")


def test_proved_until_is_the_end_of_the_unbroken_run(bound, path):
    """A day that is not proved breaks it, until a person has dismissed the day."""
    days = [DAY + timedelta(days=number) for number in range(4)]
    for number, day in enumerate(days):
        bound.audits.finish(day, 1, "Incomplete." if number == 2 else None)
    with Reader(path) as reader:
        assert reader.proved_until() == days[1].isoformat()
        bound.audits.dismiss([days[2].isoformat()])
        assert reader.proved_until() == days[3].isoformat()
        bound.audits.finish(days[0], None, "Gladly is down.")
        assert reader.proved_until() == days[3].isoformat()


def test_an_older_file_began_with_its_earliest_cycle(bound):
    """It did not say so itself."""
    assert first_whole_day(bound.audits.began_at()) == DAY
    bound._db.raw.execute("UPDATE organization SET began_at = NULL")
    commit(bound, event("m-1"))
    bound.organization.bind("localhost", "key", lambda *_: "")
    assert bound.audits.began_at() is not None
