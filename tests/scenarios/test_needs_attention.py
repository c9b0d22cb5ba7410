"""
What needs a person is said at once, and by all that say it: the view, `status`, `status --json`, the metrics.

Each state is brought about for real: by an end that refuses, by a clock that has run on, by a daemon that is
gone.
"""

import json
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sandbox import Fault
from state.instants import to_text, utc_now
from state.queries.attention import WHATS
from support.daemon import Daemon, Scrape, watched
from support.endpoints import BATCH
from support.ends import ends_of
from support.waiting import wait_until
from support.worlds import people_writing_in
from sync.cli.screens.layout import shown_time
from sync.telemetry.collector import LiveFigures

REFUSED = Fault(status=401, times=None)


def write(installation, sql, *parameters):
    with closing(sqlite3.connect(installation.state_path)) as db, db:
        return db.execute(sql, parameters).fetchall()


@pytest.fixture
def scraped(sandbox, installation):
    """Return a function that gives a scrape of what a daemon's page shows of the state file."""

    def scrape():
        with ends_of(sandbox) as ends:
            registry = CollectorRegistry()
            registry.register(LiveFigures(ends, installation.state_path))
            return Scrape(generate_latest(registry).decode())

    return scrape


@pytest.fixture
def needs(gladly_segment, installation, scraped):
    """Return a function that gives what needs a person, by kind, once all four have said the same."""

    def ask():
        shown = json.loads(gladly_segment("status", "--json").out)
        groups = {group["what"]: group for group in shown["needs_attention"]}
        counts = {what: group["count"] for what, group in groups.items()}
        view = write(installation, "SELECT what, count(*) FROM needs_attention GROUP BY what")
        assert counts == dict(view)
        assert shown["needs_attention_total"] == sum(counts.values())
        page = scraped()
        assert {what: page("needs_attention", what=what) for what in WHATS} == (
            dict.fromkeys(WHATS, 0) | counts
        )
        screen = gladly_segment("status")
        assert screen.code == 0
        assert ("needs you      nothing" in screen.out) == (not groups)
        for group in groups.values():
            assert f"{group['what']}" in screen.out
            assert group["reason"] in screen.out
            assert group["command"] in screen.out
        return groups

    return ask


def test_a_sync_that_goes_well_needs_nobody(gladly_segment, opened, needs):
    """All four say so."""
    opened()
    assert gladly_segment("once").code == 0
    assert needs() == {}


def test_a_watermark_of_three_days_ago_and_no_daemon(gladly_segment, installation, opened, needs):
    """What is lost first comes first, and the screen says that no daemon runs."""
    opened()
    assert gladly_segment("once").code == 0
    then = to_text(utc_now() - timedelta(days=3))
    write(installation, "UPDATE watermark SET position = ?, updated_at = ?", then, then)
    write(installation, "UPDATE polls SET started_at = ?, finished_at = ?", then, then)
    write(installation, "UPDATE schedules SET updated_at = ?", then)
    found = needs()
    assert list(found) == ["gap clock", "no good cycle"]
    assert found["no good cycle"]["since"] == then
    assert "If no daemon runs, start it: gladly-segment run." in found["no good cycle"]["reason"]
    assert (
        f"daemon         not running; `once` last ran at {shown_time(then)}" in gladly_segment("status").out
    )
    assert gladly_segment("once").code == 0
    assert needs() == {}


def test_gladly_refuses_the_token(gladly_segment, opened, needs):
    """From the first refusal on, until it takes the token."""
    opened()
    assert gladly_segment("once", GLADLY_API_TOKEN="another-token").code == 3
    (need,) = needs().values()
    assert need["what"] == "refused token"
    assert "refused the API token (401)" in need["reason"]
    since = need["since"]
    assert gladly_segment("once", GLADLY_API_TOKEN="another-token").code == 3
    assert needs()["refused token"]["since"] == since
    assert gladly_segment("once").code == 0
    assert needs() == {}


def test_a_refused_token_stays_listed_while_gladly_does_not_answer(gladly_segment, sandbox, opened, needs):
    """An outage does not prove that the token is taken."""
    opened()
    assert gladly_segment("once", GLADLY_API_TOKEN="another-token").code == 3
    sandbox.faults.add("gladly", "*", Fault(status=503, headers={"Retry-After": "600"}, times=None))
    assert gladly_segment("once").code == 1
    assert list(needs()) == ["refused token"]


def test_segment_refuses_the_key_and_107_events_are_pending(gladly_segment, sandbox, needs):
    """The reason says how many wait. They are delivered when the key is mended."""
    people_writing_in(sandbox, 107)
    sandbox.faults.add("segment", BATCH, REFUSED)
    assert gladly_segment("once").code == 3
    (need,) = needs().values()
    assert need["what"] == "refused key"
    assert "refused the write key (401)" in need["reason"]
    assert need["reason"].endswith(" 107 events are pending.")
    sandbox.faults.clear()
    assert gladly_segment("once").code == 0
    assert needs() == {}


def test_segment_takes_no_event_at_all(gladly_segment, sandbox, opened, needs):
    """A key that is cut short is answered with 400, whatever is sent. That is a refusal of the key."""
    opened()
    sandbox.faults.add("segment", BATCH, Fault(status=400, times=None))
    assert gladly_segment("once").code == 1
    (need,) = needs().values()
    assert need["what"] == "refused key"
    assert "refused every event that was tried" in need["reason"]


def test_no_good_cycle_for_over_ten_minutes(gladly_segment, installation, sandbox, opened, needs):
    """Gladly is down for long: the row has the error of the last cycle."""
    opened()
    assert gladly_segment("once").code == 0
    then = to_text(utc_now() - timedelta(minutes=11))
    write(installation, "UPDATE polls SET started_at = ?, finished_at = ?", then, then)
    sandbox.faults.add("gladly", "*", Fault(status=503, headers={"Retry-After": "600"}, times=None))
    assert gladly_segment("once").code == 1
    (need,) = needs().values()
    assert (need["what"], need["since"]) == ("no good cycle", then)
    assert "answered 503" in need["reason"]
    sandbox.faults.clear()
    assert gladly_segment("once").code == 0
    assert needs() == {}


def test_67_rejected_events_of_one_reason_are_one_line(gladly_segment, installation, sandbox, needs):
    """With a count, and with the command that reaches all of them."""
    people_writing_in(sandbox, 67)
    assert gladly_segment("once").code == 0
    write(installation, "UPDATE events SET status = 'rejected', reason = 'Segment answered 400: no'")
    (need,) = needs().values()
    assert (need["count"], need["command"]) == (67, "gladly-segment retry --all")
    assert (
        "rejected event (67 with the same reason): Segment answered 400: no" in gladly_segment("status").out
    )
    assert gladly_segment("retry", "--all").out == "Events pending again: 67.\n"
    assert needs() == {}


def test_what_is_cut_from_the_screen_is_counted_there(gladly_segment, installation, sandbox):
    """`status --json` has all of it."""
    people_writing_in(sandbox, 25)
    assert gladly_segment("once").code == 0
    write(installation, "UPDATE events SET status = 'rejected', reason = 'no ' || rowid")
    screen = gladly_segment("status").out
    assert screen.count("needs you") == 11
    assert "needs you      and 15 more: 15 rejected event" in screen
    assert len(json.loads(gladly_segment("status", "--json").out)["needs_attention"]) == 25


def test_one_kind_is_dismissed_and_the_rest_stays(gladly_segment, installation, sandbox, opened, needs):
    """The command of a group of lines does not give up an event that is held back."""
    opened()
    sandbox.faults.rewrite_feed(lambda lines: [b"[1]\n", b"[2]\n", *lines])
    assert gladly_segment("once").code == 0
    write(
        installation,
        "UPDATE events SET status = 'recorded', reason = 'Gladly does not answer.',"
        " created_at = '2026-11-20T08:00:00.000Z', next_attempt_at = '2099-01-01T00:00:00.000Z'",
    )
    found = needs()
    assert list(found) == ["held back event", "unreadable line"]
    line = found["unreadable line"]
    assert (line["count"], line["command"]) == (
        2,
        "gladly-segment dismiss --all --what 'unreadable line'",
    )
    ended = gladly_segment("dismiss", "--all", "--what", "unreadable line")
    assert (ended.code, ended.out) == (0, "Dismissed: 2.\n")
    assert list(needs()) == ["held back event"]
    assert gladly_segment("dismiss", "--all", "--what", "gap").out == "Dismissed: 0.\n"


def test_a_condition_cannot_be_dismissed(gladly_segment, opened):
    """Exit 2, and a sentence that says what ends it."""
    opened()
    assert gladly_segment("once", GLADLY_API_TOKEN="another-token").code == 3
    ended = gladly_segment("dismiss", "gladly-credentials")
    assert ended.code == 2
    assert "gladly-credentials (refused token) cannot be dismissed: it ends when" in ended.err
    assert gladly_segment("dismiss", "--what", "gap").code == 2
    assert gladly_segment("dismiss", "--all", "--what", "refused token").code == 2


def test_a_day_is_dismissed_by_its_date(gladly_segment, installation, opened, needs):
    """`status` shows the command."""
    opened()
    assert gladly_segment("once").code == 0
    write(
        installation,
        "INSERT INTO audits (day, audited_at, outcome, note)"
        " VALUES ('2026-11-20', ?, 'unproved', 'no report')",
        to_text(utc_now()),
    )
    assert needs()["unproved day"]["id"] == "2026-11-20"
    assert gladly_segment("dismiss", "2026-11-20").out == "Dismissed: 1.\n"
    assert needs() == {}


def test_a_daemon_says_it_runs_until_it_is_gone(gladly_segment, installation, sandbox, opened):
    """Its process id while it lives, killed or not, and what it finds within its next cycle."""
    opened()
    watched(installation, SYNC__EVERY="0.2s")
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished")
        shown = json.loads(gladly_segment("status", "--json").out)
        assert shown["daemon"] == {"running": True, "pid": daemon.process.pid}
        assert shown["expected_cycles"]["role"] == "daemon"
        assert shown["expected_cycles"]["every_s"] == pytest.approx(0.2)
        assert f"running (process {daemon.process.pid})" in gladly_segment("status").out
        sandbox.gladly.api_token = "another"
        daemon.wait_for("gladly.failed")
        wait_until(lambda: daemon.scrape()("needs_attention", what="refused token") == 1)
        assert "needs you      refused token" in gladly_segment("status").out
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
        shown = json.loads(gladly_segment("status", "--json").out)
        assert shown["daemon"] == {"running": False, "pid": None}
        assert "daemon         not running" in gladly_segment("status").out


def test_what_is_not_listed_by_a_file_of_an_older_release(gladly_segment, installation, opened):
    """Its view lacks the order. `status` reads it all the same."""
    opened()
    assert gladly_segment("once").code == 0
    write(installation, "DROP VIEW needs_attention")
    write(
        installation,
        "CREATE VIEW needs_attention AS SELECT 'gap' AS what, 'g' AS id, 'why' AS reason, '2026' AS since,"
        " 'do' AS command",
    )
    write(installation, "DROP TABLE schedules")
    ended = gladly_segment("status", "--json")
    assert ended.err == ""
    (need,) = json.loads(ended.out)["needs_attention"]
    assert (need["what"], need["count"]) == ("gap", 1)
