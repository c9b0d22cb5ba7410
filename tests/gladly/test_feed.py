"""The two sources as one stream: the report up to where the Events API begins, then that."""

from datetime import timedelta

import pytest

from sandbox import Fault
from support.worlds import DAY, NOON, live_for
from sync.errors import RetryableError
from sync.gladly.feed import ChangeFeed
from sync.gladly.limits import GladlyLimits

OVERLAP = timedelta(seconds=60)
EVENTS, REPORTS, ORGANIZATION = "/api/v1/events", "/api/v1/reports", "/api/v1/organization"


def paths(sandbox):
    """What was asked for, in order, and each row of repeats once."""
    asked = [r.path for r in sandbox.gladly_requests]
    return [path for n, path in enumerate(asked) if n == 0 or asked[n - 1] != path]


def shown(chunks):
    return {
        (change.conversation_id, change.type.name.lower(), change.recorded_at)
        for chunk in chunks
        for change in chunk.changes
        if change.conversation_id
    }


def told(sandbox, since, until):
    truth = sandbox.world.truth()
    return {(t.conversation_id, t.kind, t.recorded_at) for t in truth if since <= t.recorded_at <= until}


def test_a_position_within_a_day_is_read_from_the_events_api_alone(client, sandbox):
    """One request, as long as nothing is wrong."""
    live_for(sandbox, 3_600, 10)
    chunks = list(ChangeFeed(client, OVERLAP).since(NOON))
    assert paths(sandbox) == [EVENTS]
    assert shown(chunks) >= told(sandbox, NOON, sandbox.clock.now())


def test_an_older_position_is_read_from_the_report_first(client, sandbox):
    """Only Gladly's clock says what is too old, so the Events API is asked first."""
    live_for(sandbox, 3 * DAY, 60)
    chunks = list(ChangeFeed(client, OVERLAP).since(NOON))
    assert paths(sandbox) == [EVENTS, ORGANIZATION, REPORTS, EVENTS]
    assert shown(chunks) >= told(sandbox, NOON, sandbox.clock.now())
    assert chunks[-1].position == sandbox.clock.now().replace(microsecond=0) - OVERLAP


def test_a_past_interval_is_read_without_what_came_after_it(client, sandbox):
    """From the report alone, where it ends before the Events API begins."""
    live_for(sandbox, 4 * DAY, 60)
    until = NOON + timedelta(days=2)
    chunks = list(ChangeFeed(client, OVERLAP).between(NOON, until))
    assert paths(sandbox) == [ORGANIZATION, REPORTS]
    assert shown(chunks) >= told(sandbox, NOON, until)
    assert all(change.recorded_at <= until for chunk in chunks for change in chunk.changes)


def test_an_interval_up_to_now_is_read_from_both(client, sandbox):
    """Without a change lost where one source ends and the other begins."""
    live_for(sandbox, 3 * DAY, 60)
    now = sandbox.clock.now()
    assert shown(ChangeFeed(client, OVERLAP).between(NOON, now)) >= told(sandbox, NOON, now)
    assert paths(sandbox) == [ORGANIZATION, REPORTS, EVENTS]


def test_where_the_events_api_begins_is_a_limit(client_of, sandbox):
    """Here a day and an hour back: no report is needed."""
    live_for(sandbox, DAY, 10)
    client = client_of(limits=GladlyLimits(events_reach=timedelta(hours=30)))
    list(ChangeFeed(client, OVERLAP).between(NOON + timedelta(hours=2), sandbox.clock.now()))
    assert paths(sandbox) == [ORGANIZATION, EVENTS]


@pytest.mark.parametrize("path", [ORGANIZATION, REPORTS])
def test_what_fails_on_the_way_is_an_error(client, sandbox, path):
    """The watermark does not pass it."""
    live_for(sandbox, 3 * DAY, 10)
    sandbox.faults.add("gladly", path, Fault(503))
    with pytest.raises(RetryableError, match="answered 503"):
        list(ChangeFeed(client, OVERLAP).since(NOON))
