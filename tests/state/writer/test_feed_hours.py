"""What the feed showed in each hour, and when that is silence (semantics 6.4)."""

from datetime import UTC, datetime, timedelta

import pytest

from state.records import Poll, TakenIn
from support.state_samples import query

HOUR = timedelta(hours=1)
MONDAY = datetime(2026, 11, 23, 9, tzinfo=UTC)


def hours_of(path):
    """The hours that have a row, as hours from Monday at nine, and their counts."""
    rows = query(path, "SELECT hour, changes FROM feed_hours ORDER BY hour")
    return [((datetime.fromisoformat(hour) - MONDAY) / HOUR, changes) for hour, changes in rows]


def show(store, at, **shown):
    """Move the watermark by the feed, which showed so many changes: `h1=12` an hour after Monday at nine."""
    counts = {MONDAY + int(name[1:]) * HOUR: count for name, count in shown.items()}
    store.commit(TakenIn(position=at, shown=counts))


def poll(store, at):
    """Move the watermark by a cycle that found nothing."""
    store.record_poll(Poll(at, finished_at=at), at)


def test_an_hour_counts_from_its_beginning_on_or_not_at_all(path, store):
    """The hour of the first watermark was not watched whole. Those that begin after it are."""
    show(store, MONDAY + HOUR / 2, h0=5)
    show(store, MONDAY + 0.9 * HOUR, h0=5)
    assert hours_of(path) == []
    show(store, MONDAY + 1.5 * HOUR, h0=3, h1=4)
    poll(store, MONDAY + 3.2 * HOUR)
    assert hours_of(path) == [(1, 4), (2, 0), (3, 0)]
    show(store, MONDAY + 3.3 * HOUR, h3=2, h4=7)  # the overlap: shown before the watermark is there
    assert hours_of(path) == [(1, 4), (2, 0), (3, 2), (4, 7)]


def test_what_is_read_from_the_report_was_not_watched(path, store):
    """The hour that the watermark left by the report, and those it passed, have no row."""
    show(store, MONDAY)
    show(store, MONDAY + 2.5 * HOUR, h1=20, h2=20)
    store.commit(TakenIn(position=MONDAY + 30.5 * HOUR))
    assert hours_of(path) == [(1, 20)]
    show(store, MONDAY + 31.5 * HOUR, h31=3)
    assert hours_of(path) == [(1, 20), (31, 3)]


def test_a_reset_counts_no_change_twice(path, store):
    """What is read again is counted again, from the first whole hour on."""
    show(store, MONDAY)
    show(store, MONDAY + 3.5 * HOUR, h1=20, h2=20, h3=5)
    store.reset_watermark(MONDAY + 1.5 * HOUR)
    assert hours_of(path) == []
    show(store, MONDAY + 3.5 * HOUR, h1=10, h2=20, h3=5)
    assert hours_of(path) == [(2, 20), (3, 5)]


def test_hours_are_forgotten_after_five_weeks(path, store):
    """Four weeks are compared."""
    for week in range(7):
        show(store, MONDAY + week * timedelta(weeks=1))
        poll(store, MONDAY + week * timedelta(weeks=1) + HOUR)
    assert min(hours_of(path))[0] >= 24 * 7
    assert max(hours_of(path))[0] == 6 * 24 * 7 + 1


def weeks(store, *counts):
    """Write what the two hours from Monday at nine showed, the newest week last. None: not watched."""
    rows = [
        (MONDAY + timedelta(weeks=week - len(counts) + 1) + hour * HOUR, count)
        for week, pair in enumerate(counts)
        for hour, count in enumerate(pair)
        if count is not None
    ]
    with store._db.transaction() as db:
        db.executemany(
            "INSERT INTO feed_hours VALUES (?, ?)",
            [(at.strftime("%Y-%m-%dT%H:%M:%S.000Z"), count) for at, count in rows],
        )


BUSY = (10, 40)


@pytest.mark.parametrize(
    ("counts", "is_silent"),
    [
        pytest.param([BUSY, BUSY, BUSY, BUSY, (0, 0)], True, id="four busy weeks"),
        pytest.param([BUSY, (0, 0)], True, id="one week is enough"),
        pytest.param([(0, 0)], False, id="no week is known"),
        pytest.param([BUSY, (0, 1)], False, id="one change"),
        pytest.param([BUSY, (1, 0)], False, id="silent for one hour"),
        pytest.param([BUSY, BUSY, (9, 40), BUSY, (0, 0)], False, id="a week with fewer than ten in an hour"),
        pytest.param([BUSY, (0, 0), BUSY, BUSY, (0, 0)], False, id="a holiday three weeks ago"),
        pytest.param([BUSY, (None, None), BUSY, (0, 0)], True, id="a week that was not watched"),
        pytest.param([BUSY, (3, None), BUSY, (0, 0)], True, id="a week that was watched in part"),
        pytest.param([BUSY, (None, 0)], False, id="the first of the two hours was not watched"),
        pytest.param([BUSY, (None, None)], False, id="neither was watched"),
        pytest.param(
            [(0, 0), BUSY, BUSY, BUSY, BUSY, (0, 0)], True, id="what was five weeks ago is forgotten"
        ),
    ],
)
def test_silence_is_two_hours_of_nothing_where_weeks_before_had_much(store, counts, is_silent):
    """At least ten changes in each of the two hours of each known week of the last four."""
    weeks(store, *counts)
    at = MONDAY + 2 * HOUR
    assert store.feed_hours.silent_since(at) == (MONDAY if is_silent else None)
    assert store.feed_hours.silent_since(at + HOUR / 2) == (MONDAY if is_silent else None)


def test_a_clock_that_goes_back_by_an_hour_is_no_silence(store):
    """The busy hours begin an hour later in UTC, when winter time begins: that is one hour, not two."""
    weeks(store, (12, 12), (0, 12))
    for hours in (1, 2, 3):
        assert store.feed_hours.silent_since(MONDAY + hours * HOUR) is None


def test_silence_ends_with_a_change_recorded_in_it_or_after_it(store):
    """A change from before does not end it."""
    weeks(store, BUSY, (0, 0))
    assert not store.feed_hours.has_shown_since(MONDAY)
    show(store, MONDAY + HOUR)
    show(store, MONDAY + 2.2 * HOUR, h2=1)
    assert store.feed_hours.has_shown_since(MONDAY)
