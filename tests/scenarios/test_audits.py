"""
Past days are proved by Gladly's report: what the feed never showed arrives all the same (semantics 6.2).

A week passes in which the feed leaves out a line in twenty and says nothing of it. Each day is proved by one
request for a report, also when the audit is killed, and no poll waits for it.
"""

import json
import signal
import sqlite3
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text, to_text
from state.reader import Reader
from support.checker import problems
from support.daemon import Daemon
from support.endpoints import reports_asked_for
from support.installation import Installation

A_DAY = timedelta(days=1)
TRANSITIONS = {"CONVERSATION/CREATED": "created", "CONVERSATION/CLOSED": "closed"}


def midnight(days_ago):
    """Return a midnight of UTC so many days before today's."""
    today = datetime.now(UTC).date()
    return datetime.combine(today, datetime.min.time(), UTC) - days_ago * A_DAY


class LeakyFeed:
    """
    Leaves out one line in twenty, the same ones each time.

    Attributes:
        lost: The day and the kind of each transition that was left out, by the id of its line.
    """

    def __init__(self, sandbox):
        self.lost = {}
        sandbox.faults.rewrite_feed(self.leak)

    def leak(self, lines):
        """Return the lines without those that are lost."""
        kept = []
        for line in lines:
            if zlib.crc32(json.loads(line)["id"].encode()) % 20:
                kept.append(line)
            else:
                self.note(json.loads(line))
        return kept

    def note(self, event):
        """Note a line that was left out."""
        if event["type"] in TRANSITIONS:
            self.lost[event["id"]] = from_text(event["timestamp"]).date()


def not_there_or_twice(sandbox, until):
    """
    Return what is wrong at the receiver, without wrong topics: no source tells of the topic whose line was
    left out.
    """
    return [found for found in problems(sandbox, until=until) if not found.startswith("wrong: ")]


def audits(path):
    """Return the rows of `audits`, oldest first."""
    with Reader(path) as reader:
        return reader.audited_days(limit=100)[::-1]


def test_a_feed_that_loses_lines_for_a_week_loses_nothing_at_segment(begin):
    """After each day's audit nothing of the day is missing. `audits` holds the true figures."""
    beginning = midnight(9)
    with Sandbox(
        seed=12, start=beginning, pace=0, tempo=0.01, lateness_s=15, requests_per_second=None
    ) as sandbox:
        program = begin(sandbox=sandbox, SYNC__START="now", SYNC__RECONCILE="off")
        program.run()
        leak, asked = LeakyFeed(sandbox), 0
        for hour in range(0, 24 * 7 + 8, 4):
            sandbox.clock.set(beginning + timedelta(hours=hour + 4))
            program.restart()
            assert program.run().errors == []
            for audited in program.pipeline.audit.run_due(1):
                day = from_text(audited.row.day).date()
                asked += 1
                assert (audited.error, reports_asked_for(sandbox)) == (None, asked)
                assert program.run().errors == []
                end = from_text(audited.row.day) + A_DAY
                assert not_there_or_twice(sandbox, until=end) == []
                happened = [t for t in sandbox.world.truth() if t.recorded_at.date() == day]
                happened = [t for t in happened if t.kind in TRANSITIONS.values()]
                lost = sum(lost_on == day for lost_on in leak.lost.values())
                row = audited.row
                assert (row.reported, row.missing) == (len(happened), lost)
                assert row.known == row.reported - row.missing
        stored = audits(program.path)
    assert [row["day"] for row in stored] == [
        (beginning + number * A_DAY).date().isoformat() for number in range(7)
    ]
    assert sum(row["missing"] for row in stored) > 10
    assert {row["outcome"] for row in stored} <= {"complete", "mended"}
    with Reader(program.path) as reader:
        assert reader.proved_until() == stored[-1]["day"]


# An installation whose state began three days ago, against a world of today.

THE_DAY = midnight(2)  # it was whole since the state began, and has ended long ago
NOON = THE_DAY + timedelta(hours=12)


@pytest.fixture
def settled(installation):
    """The sync has read the last three days. Nothing happened in them, as far as it has seen."""
    installation.settings["GLADLY_SEGMENT_SYNC__START"] = "72h"
    installation.settings["GLADLY_SEGMENT_SYNC__AUDIT"] = "off"
    world = installation.sandbox.world
    seen = world.open_conversation(world.add_customer("Seen", recorded=False), at=NOON)
    world.close(seen, at=NOON + timedelta(hours=1))
    assert installation.run("once").returncode == 0
    installation.settings["GLADLY_SEGMENT_SYNC__AUDIT"] = "24h"
    return installation


@pytest.fixture
def unseen(settled):
    """A conversation of that day became visible when the poll had passed, and so did its close."""
    world = settled.sandbox.world
    talk = world.open_conversation(world.add_customer("Unseen", recorded=False), at=NOON)
    world.close(talk, at=NOON + timedelta(hours=2))
    return settled


def figures(installation):
    """Return the figures of that day."""
    found = [row for row in audits(installation.state_path) if row["day"] == str(THE_DAY.date())]
    return [(row["reported"], row["known"], row["missing"], row["outcome"]) for row in found]


def test_what_became_visible_too_late_is_found(settled):
    """
    A creation alone, a whole conversation, a second close: later than the overlap (faults H1.13). Nothing is
    sent twice.
    """
    world = settled.sandbox.world

    def at(hours):
        return NOON + timedelta(hours=hours)

    created, both = (world.add_customer(name, recorded=False) for name in ("Created", "Both"))
    world.open_conversation(created, at=at(0))
    world.close(world.open_conversation(both, at=at(1)), at=at(2))
    (seen,) = {event["conversation_id"] for event in settled.events()}
    world.reopen(seen, at=at(3))
    world.close(seen, at=at(4))
    done = settled.run("audit", "--day", str(THE_DAY.date()))
    assert (done.returncode, done.stderr.count("error:")) == (0, 0)
    assert "6 reported, 2 known, 4 missing" in done.stdout
    assert problems(settled.sandbox) == []
    assert settled.run("audit", "--day", str(THE_DAY.date())).returncode == 0
    assert figures(settled) == [(6, 2, 4, "mended")]
    assert problems(settled.sandbox) == []


def test_once_audits_a_day_that_is_due_and_sends_what_was_missing(unseen):
    """For cron. It audits a day once, and asks for no report after that."""
    before = reports_asked_for(unseen.sandbox)
    for _ in range(3):
        assert unseen.run("once").returncode == 0
    assert figures(unseen) == [(4, 2, 2, "mended")]
    assert problems(unseen.sandbox) == []
    due = 2 if datetime.now(UTC).hour >= 6 else 1  # yesterday, too
    assert reports_asked_for(unseen.sandbox) - before == due


@pytest.mark.parametrize("point", ["commit.events:1", "transaction.committed:1", "transaction.commit:2"])
def test_an_audit_that_is_killed_is_done_anew(unseen, point):
    """Before what it found is written, after that, and before the day's row: no figure is lost."""
    unseen.settings["GLADLY_SEGMENT_FAILPOINT"] = point
    assert unseen.run("audit").returncode == -signal.SIGKILL
    del unseen.settings["GLADLY_SEGMENT_FAILPOINT"]
    assert unseen.run("once").returncode == 0
    assert figures(unseen) == [(4, 2, 2, "mended")]
    assert problems(unseen.sandbox) == []


def test_a_day_that_cannot_be_proved_says_why_and_is_proved_later(unseen):
    """Gladly was down, then a row could not be read. What could be read is sent at once."""
    faults, day = unseen.sandbox.faults, str(THE_DAY.date())
    faults.add("gladly", "/api/v1/reports", Fault(400, times=1))
    done = unseen.run("audit", "--day", day)
    assert done.returncode == 1
    assert ("unproved" in done.stdout, "the report was not read" in done.stdout) == (True, True)
    assert figures(unseen) == [(None, None, None, "unproved")]

    faults.rewrite_report(lambda body: body + b"UTC,never,CONVERSATION/CLOSED,x,y" + b"," * 16 + b"\n")
    done = unseen.run("audit", "--day", day)
    assert (done.returncode, "is not an instant" in done.stdout) == (1, True)
    assert figures(unseen) == [(4, 2, 2, "unproved")]
    assert problems(unseen.sandbox) == []
    faults.clear()

    status = json.loads(unseen.run("status", "--json").stdout)
    assert status["proved_until"] is None
    done = unseen.run("audit", "--day", day, "--json")
    assert (done.returncode, json.loads(done.stdout)["outcome"]) == (0, "mended")
    assert json.loads(unseen.run("status", "--json").stdout)["proved_until"] == day


def test_a_report_that_lacks_what_is_known_proves_nothing(settled):
    """An empty one is whole by its form."""
    settled.sandbox.faults.rewrite_report(lambda body: b"")
    done = settled.run("audit", "--day", str(THE_DAY.date()))
    assert (done.returncode, "The report is not complete." in done.stdout) == (1, True)


# A daemon that looks every moment whether a day is due.
EAGER = (
    "-c",
    "from sync.cli.main import main; from sync.runtime.build import Tuning; main(Tuning(prove_every_s=0.2))",
)


def test_no_poll_waits_for_an_audit_and_none_delays_the_end(unseen):
    """The report takes an hour. Polls go on meanwhile, and SIGTERM ends the daemon at once."""
    unseen.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "1s"
    unseen.sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=3_600))
    with Daemon(unseen, program=EAGER) as daemon:
        daemon.wait_for("cycle.finished", times=4)
        began = [from_text(line["cycle"]) for line in daemon.lines("cycle.finished")]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(began)]
        assert max(gaps) < 1.5
        assert daemon.lines("day.audited") == []
        code, seconds = daemon.end()
        assert (code, seconds < 10) == (0, True)
    assert figures(unseen) == []


def test_the_daemon_audits_by_itself(unseen):
    """The next cycle sends what was missing. A day that a kill interrupted is done anew."""
    unseen.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "1s"
    with Daemon(unseen, program=EAGER) as daemon:
        line = daemon.wait_for("day.audited", day=str(THE_DAY.date()))
        assert (line["reported"], line["missing"], line["outcome"]) == (4, 2, "mended")
        daemon.wait_for("cycle.finished", delivered=2)
    assert problems(unseen.sandbox) == []


@pytest.fixture
def with_a_token(tmp_path):
    """Return a sync of three days ago that may ask Segment's Public API."""
    with Sandbox(start=midnight(3), pace=0, lateness_s=0, requests_per_second=None) as sandbox:
        settings = {
            "GLADLY_SEGMENT_SEGMENT__PUBLIC_API_URL": sandbox.public_api_url,
            "SEGMENT_PUBLIC_API_TOKEN": sandbox.segment.public_api_token,
            "GLADLY_SEGMENT_SYNC__AUDIT": "off",
        }
        yield Installation(tmp_path, sandbox, settings)


def test_an_audit_says_what_segment_received_and_what_it_dropped(with_a_token):
    """A tracking plan blocks one event. The day is complete here, and needs a person all the same (6.3)."""
    sandbox, path = with_a_token.sandbox, with_a_token.state_path
    assert with_a_token.run("once").returncode == 0
    sandbox.segment.blocked_events["Gladly Conversation Closed"] = "unplanned"
    sandbox.clock.set(NOON)
    talk = sandbox.world.open_conversation(sandbox.world.add_customer("Ada Example"))
    sandbox.clock.advance(60)
    sandbox.world.close(talk)
    sandbox.clock.advance(60)
    assert with_a_token.run("once").returncode == 0
    # Our clock was two days ahead of that of the sandbox.
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE events SET delivered_at = ?", (to_text(NOON + timedelta(minutes=2)),))
    sandbox.clock.set(datetime.now(UTC))
    assert with_a_token.run("once").returncode == 0
    day = str(THE_DAY.date())
    done = with_a_token.run("audit", "--day", day)
    assert (done.returncode, done.stderr.count("error:")) == (0, 0)
    (row,) = [row for row in audits(path) if row["day"] == day]
    assert (row["outcome"], row["delivered"], row["received"], row["dropped"]) == ("complete", 2, 1, 1)
    assert "Segment dropped 1 of 'Gladly Conversation Closed' after its 200" in row["note"]
    assert "tracking plan" in done.stdout
    needs = json.loads(with_a_token.run("status", "--json").stdout)["needs_attention"]
    assert [(need["what"], need["id"]) for need in needs] == [("dropped events", day)]
    assert with_a_token.run("dismiss", day).returncode == 0
    assert json.loads(with_a_token.run("status", "--json").stdout)["needs_attention"] == []
