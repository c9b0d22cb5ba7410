"""The report as a stream of changes: a UTC day a request, in order, whole or said to be incomplete."""

from datetime import timedelta
from itertools import pairwise

import pytest

from sandbox import Fault
from support.worlds import DAY, NOON, live_for
from sync.errors import RetryableError
from sync.gladly.limits import GladlyLimits
from sync.gladly.report import Report

REPORTS = "/api/v1/reports"
TOMORROW = NOON.replace(hour=0) + timedelta(days=1)


def asked_for(sandbox):
    """How many reports were."""
    return [r.path for r in sandbox.gladly_requests].count(REPORTS)


def told(sandbox, since, until):
    """What happened to conversations in an interval."""
    truth = sandbox.world.truth()
    return {(t.conversation_id, t.kind) for t in truth if since <= t.recorded_at <= until}


def shown(chunks):
    return {(c.conversation_id, c.type.name.lower()) for chunk in chunks for c in chunk.changes}


def test_an_interval_is_read_a_day_at_a_time_and_in_order(client, sandbox):
    """Both ends inclusive; the last chunk's position is the end."""
    live_for(sandbox, 4 * DAY, 60)
    since, until = NOON + timedelta(hours=3), NOON + timedelta(days=2, hours=5)
    chunks = list(Report(client).between(since, until))
    assert asked_for(sandbox) == 3
    assert shown(chunks) >= told(sandbox, since, until)
    instants = [c.recorded_at for chunk in chunks for c in chunk.changes]
    assert instants == sorted(instants)
    assert all(since <= at <= until for at in instants)
    assert all(earlier.position <= later.position for earlier, later in pairwise(chunks))
    assert chunks[-1].position == until


def test_a_chunk_holds_no_more_than_the_limits_say(client_of, sandbox):
    """And its position is that of its last change."""
    live_for(sandbox, 2 * DAY, 40)
    client = client_of(limits=GladlyLimits(chunk_transitions=4))
    chunks = list(Report(client).between(NOON, NOON + timedelta(days=1)))
    assert len(chunks) > 5
    assert all(len(chunk.changes) <= 4 for chunk in chunks)
    assert all(chunk.position == chunk.changes[-1].recorded_at for chunk in chunks if len(chunk.changes) == 4)


def test_a_report_that_cannot_be_had_is_asked_for_again_as_the_policy_says(client, sandbox):
    """Here once; the error is the client's."""
    live_for(sandbox, 2 * DAY, 10)
    sandbox.faults.add("gladly", REPORTS, Fault(503))
    with pytest.raises(RetryableError, match="503"):
        list(Report(client).between(NOON, NOON))
    assert asked_for(sandbox) == 1


def test_no_more_reports_are_asked_for_than_a_minute_allows(client_of, sandbox, monkeypatch):
    """The next one waits until the first is a minute ago."""
    live_for(sandbox, 6 * DAY, 10)
    waits = []
    client = client_of(limits=GladlyLimits(reports_per_minute=2))

    def no_longer(seconds):
        waits.append(seconds)
        raise RetryableError("waited")

    monkeypatch.setattr(client.stop, "sleep", no_longer)
    with pytest.raises(RetryableError, match="waited"):
        list(Report(client).between(NOON, NOON + timedelta(days=4)))
    assert asked_for(sandbox) == 2
    assert 55 < waits[0] <= 60


def test_a_day_that_gladly_cut_is_asked_for_again_from_where_it_was_cut(client_of, sandbox):
    """With rows in order, the rest comes by a time zone whose midnight is at the cut (semantics 3.5)."""
    sandbox.gladly.report_row_cap = 60
    sandbox.gladly.report_shuffled = False
    live_for(sandbox, 4 * DAY, 300)
    client = client_of(limits=GladlyLimits(report_whole_rows=60))
    end = TOMORROW + timedelta(days=1, microseconds=-1)
    chunks = list(Report(client).between(TOMORROW, end))
    expected = told(sandbox, TOMORROW, end)
    assert len(expected) > 60
    assert shown(chunks) == expected
    assert [line for chunk in chunks for line in chunk.bad_lines] == []


def test_a_cut_day_in_no_order_is_said_to_be_incomplete(client_of, sandbox):
    """What cannot be made whole is never passed over in silence: a line is kept, and the poll is degraded."""
    sandbox.gladly.report_row_cap = 60
    live_for(sandbox, 4 * DAY, 300)
    client = client_of(limits=GladlyLimits(report_whole_rows=60))
    chunks = list(Report(client).between(TOMORROW, TOMORROW + timedelta(hours=23)))
    (line,) = [line for chunk in chunks for line in chunk.bad_lines]
    assert "2026-11-21 is cut at 60 rows" in line.reason


def test_a_day_that_gladly_no_longer_has_is_a_gap_with_both_its_ends(client, sandbox):
    """The days after it are read (faults B7)."""
    live_for(sandbox, 3 * DAY, 20)
    body = b'{"errors":[{"attr":"startAt","code":"invalid","detail":"too far back"}]}'
    sandbox.faults.add("gladly", REPORTS, Fault(400, body=body, times=2))
    chunks = list(Report(client).between(NOON, NOON + timedelta(days=1)))
    (line,) = [line for chunk in chunks for line in chunk.bad_lines]
    assert line.line == b"2026-11-20T12:00:00.000Z to 2026-11-21T00:00:00.000Z"
    assert line.reason.startswith("gap: 2026-11-20T12:00:00.000Z to 2026-11-21T00:00:00.000Z")
    assert shown(chunks) >= told(sandbox, TOMORROW, TOMORROW + timedelta(hours=12))
