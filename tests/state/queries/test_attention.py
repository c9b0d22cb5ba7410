"""What needs a person: one view, grouped by kind and reason, what is lost first."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from state.findings import Condition
from state.instants import to_text, utc_now
from state.queries.attention import DISMISSIBLE, WHATS
from state.reader import Reader, read_status
from state.records import BadLine, EventStatus, Poll, PollOutcome
from support.state_samples import commit, event, query


@pytest.fixture
def look(path, store):
    """Return a function that gives the groups that need a person."""

    def look(limit=None):
        with Reader(path) as reader:
            return reader.attention(limit)

    return look


def cycle(ago, outcome=PollOutcome.OK, error=None):
    """A cycle that ended so long ago."""
    at = utc_now() - ago
    return Poll(at, finished_at=at, outcome=outcome, error=error)


def write(path, sql, *parameters):
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(sql, parameters)


def test_rejected_events_and_unreadable_lines_are_listed_with_the_command_that_mends_them(path, reader):
    """Each kind with its command. The watermark of these samples is old, which comes first."""
    needs = {need["what"]: need for need in reader.needs_attention()}
    assert list(needs) == ["gap clock", "rejected event", "unreadable line"]
    assert needs["rejected event"]["id"] == "m-2"
    assert needs["rejected event"]["reason"] == "Segment answered 400: no"
    assert needs["rejected event"]["command"] == "gladly-segment retry m-2"
    line = needs["unreadable line"]
    assert line["command"] == f"gladly-segment dismiss {line['id']}"
    assert query(path, "SELECT id, line FROM quarantine") == [(line["id"], "{")]
    assert len(reader.needs_attention(limit=1)) == 1


def test_things_of_one_kind_and_reason_are_one_group(path, store, look):
    """67 rejected events of one reason are one line with a count. Its command reaches all of them."""
    now = utc_now()
    commit(
        store,
        *(event(f"m-{n}", at=now + timedelta(milliseconds=n)) for n in range(70)),
        position=now,
        now=now,
    )
    for n in range(67):
        store.outbox.mark_rejected(f"m-{n}", "Segment answered 400: no")
    store.outbox.mark_rejected("m-68", "Segment answered 413: too large")
    found = look()
    assert [(group["count"], group["reason"], group["command"]) for group in found.groups] == [
        (67, "Segment answered 400: no", "gladly-segment retry --all"),
        (1, "Segment answered 413: too large", "gladly-segment retry m-68"),
    ]
    assert (found.groups[0]["id"], found.groups[0]["since"]) == ("m-0", to_text(now))
    assert (found.total, found.more) == (68, {})
    cut = look(1)
    assert (len(cut.groups), cut.more, cut.total) == (1, {"rejected event": 1}, 68)


def test_held_back_events_of_one_reason_are_one_group(path, store, look):
    """Each reason names the event's own id. That does not tell one reason from another."""
    now = utc_now()
    commit(store, event("m-1"), event("m-2"), position=now, now=now - timedelta(hours=2))
    store.record_poll(cycle(timedelta(0)))
    write(
        path,
        "UPDATE events SET status = 'recorded', reason = 'Gladly is down.', next_attempt_at = ?",
        to_text(now),
    )
    (group,) = look().groups
    assert (group["what"], group["count"]) == ("held back event", 2)
    assert group["reason"] == "Gladly is down. To give it up: gladly-segment dismiss ID"
    assert group["command"] == "gladly-segment retry --all"


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(timedelta(hours=22, minutes=59), None, id="over an hour left"),
        pytest.param(timedelta(hours=23, minutes=1), "within the hour, the watermark", id="under an hour"),
        pytest.param(timedelta(days=3), "the watermark is over 24 hours old", id="run out"),
    ],
)
def test_the_gap_clock_is_listed_in_its_last_hour_and_after_it(path, store, look, age, expected):
    """The row says what is read in place of the Events API, and what that does not show."""
    store.reset_watermark(utc_now() - age)
    store.record_poll(cycle(timedelta(0)))
    groups = look().groups
    assert [group["what"] for group in groups] == (["gap clock"] if expected else [])
    for group in groups:
        assert group["reason"].startswith(expected)
        assert "shows no changes of profiles and no deleted customers" in group["reason"]
        assert group["since"] <= to_text(utc_now())


@pytest.mark.parametrize(
    ("every_s", "ago", "is_listed"),
    [
        pytest.param(60, timedelta(minutes=9), False, id="nine minutes"),
        pytest.param(60, timedelta(minutes=11), True, id="eleven minutes"),
        pytest.param(3_600, timedelta(hours=2), False, id="hourly, two hours"),
        pytest.param(3_600, timedelta(hours=4), True, id="hourly, four hours"),
        pytest.param(None, timedelta(minutes=11), True, id="nobody said how often"),
    ],
)
def test_no_good_cycle_for_ten_minutes_or_three_intervals_is_listed(
    path, store, look, every_s, ago, is_listed
):
    """Whichever is longer."""
    store.reset_watermark(utc_now())
    store.record_poll(cycle(ago), every=None if every_s is None else timedelta(seconds=every_s))
    store.record_poll(cycle(timedelta(minutes=1), PollOutcome.FAILED, "Segment answered 503."))
    groups = look().groups
    assert [group["what"] for group in groups] == (["no good cycle"] if is_listed else [])
    for group in groups:
        assert "and failed: Segment answered 503." in group["reason"]
        assert "If no daemon runs" not in group["reason"]  # one ended a minute ago


def test_a_file_whose_cycles_have_ceased_asks_for_the_daemon(path, store, look):
    """Nothing ended since: the row says how to start it."""
    store.reset_watermark(utc_now() - timedelta(hours=1))
    store.record_poll(cycle(timedelta(hours=1)))
    (group,) = look().groups
    assert group["what"] == "no good cycle"
    assert "no cycle has ended since." in group["reason"]
    assert "If no daemon runs, start it: gladly-segment run." in group["reason"]


def test_what_never_went_well_is_listed_from_the_first_cycle_on(path, store, look):
    """Every cycle has failed so far."""
    store.record_poll(cycle(timedelta(minutes=20), PollOutcome.FAILED, "Gladly answered 500."))
    (group,) = look().groups
    assert group["reason"].startswith("no cycle has ever gone well. The last one ended at")
    store.record_poll(cycle(timedelta(0)))
    assert look().groups == []


def test_a_condition_is_listed_with_what_waits_for_its_end(path, store, look):
    """How many events wait is counted when it is asked."""
    store.conditions.set(Condition("segment-credentials", "refused key", "Segment refuses.", "mend it"))
    (group,) = look().groups
    assert (group["what"], group["reason"]) == ("refused key", "Segment refuses.")
    commit(store, *(event(f"m-{n}") for n in range(107)))
    assert look().groups[0]["reason"] == "Segment refuses. 107 events are pending."


def test_a_day_that_is_not_proved_is_listed_until_it_is_dismissed(path, store, look):
    """Mended days and unproved ones, and complete ones only where Segment dropped events."""
    for day, outcome, note in (
        ("2026-11-20", "complete", None),
        ("2026-11-21", "mended", None),
        ("2026-11-22", "unproved", "Gladly has no report of that day yet."),
        ("2026-11-23", "complete", "Segment dropped 3 of 'x' after its 200: filtered at the source."),
    ):
        write(
            path,
            "INSERT INTO audits (day, audited_at, reported, missing, outcome, note)"
            " VALUES (?, ?, 10, 2, ?, ?)",
            day,
            to_text(utc_now()),
            outcome,
            note,
        )
    write(path, "UPDATE audits SET dropped = CASE day WHEN '2026-11-23' THEN 3 ELSE 0 END")
    assert [(group["what"], group["id"], group["reason"], group["command"]) for group in look().groups] == [
        (
            "unproved day",
            "2026-11-22",
            "Gladly has no report of that day yet.",
            "gladly-segment audit --day 2026-11-22",
        ),
        (
            "dropped events",
            "2026-11-23",
            "Segment dropped 3 of 'x' after its 200: filtered at the source.",
            "gladly-segment dismiss 2026-11-23",
        ),
        (
            "mended day",
            "2026-11-21",
            "2 of 10 transitions were missing. The audit has taken them in.",
            "gladly-segment dismiss 2026-11-21",
        ),
    ]
    assert store.audits.dismiss(["2026-11-22", "2026-11-20"]) == 1
    assert store.audits.dismiss(None) == 2
    assert look().groups == []


def test_what_is_lost_first_comes_first(path, store, look):
    """One of everything, whatever began when; the view itself is in this order, and names no other kind."""
    for id_, what in (
        ("erasure", "delayed erasure"),
        ("segment-credentials", "refused key"),
        ("feed", "silent feed"),
        ("gladly-credentials", "refused token"),
        ("disk", "full disk"),
    ):
        store.conditions.set(Condition(id_, what, "why", "what to do"))
    old = utc_now() - timedelta(days=2)
    lines = [BadLine("events", "not JSON", b"{"), BadLine("report", "gap: a day", b"")]
    commit(store, event("m-1"), event("m-2"), bad_lines=lines, position=old, now=old)
    store.outbox.mark_rejected("m-1", "no")
    write(path, "UPDATE events SET status = 'recorded', next_attempt_at = ? WHERE message_id = 'm-2'", "2026")
    for day, outcome in (("2026-11-21", "mended"), ("2026-11-22", "unproved"), ("2026-11-23", "complete")):
        sql = "INSERT INTO audits (day, audited_at, outcome, dropped) VALUES (?, '2026', ?, 1)"
        write(path, sql, day, outcome)
    assert [group["what"] for group in look().groups] == list(WHATS)
    assert [what for (what,) in query(path, "SELECT what FROM needs_attention")] == list(WHATS)
    assert set(DISMISSIBLE) < set(WHATS)
    with Reader(path) as reader:
        assert reader.attention_counts() == dict.fromkeys(WHATS, 1)
    assert read_status(path, utc_now(), attention_limit=3)["needs_attention_total"] == len(WHATS)


def test_a_million_events_make_it_no_slower(path, store):
    """Each part of the view finds its rows by an index, or reads a small table."""
    plan = [row[3] for row in query(path, "EXPLAIN QUERY PLAN SELECT * FROM needs_attention")]
    read_whole = {step.split()[1] for step in plan if step.startswith("SCAN") and "INDEX" not in step}
    assert read_whole.isdisjoint({"events", "conversations", "changes", "quarantine"})
    events = [step for step in plan if "SEARCH events" in step]
    assert len(events) == 2
    assert "held_events" in events[1]


def test_a_suppressed_event_needs_nobody(path, store, look):
    """Nor does one that is on its way."""
    commit(store, event("m-1", status=EventStatus.SUPPRESSED), event("m-2"))
    assert look().groups == []
