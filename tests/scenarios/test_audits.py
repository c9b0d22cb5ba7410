"""
Past days are proved by Gladly's report: what the feed never showed arrives all the same (semantics 6.2).

A week passes in which the feed leaves out a line in twenty and says nothing of it. Each day is proved by one
request for a report, also when the audit is killed, and no poll waits for it.
"""

import json
import os
import signal
import time
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text
from state.reader import Reader
from support.checker import problems
from support.daemon import Daemon
from support.endpoints import reports_asked_for
from support.installation import Installation
from support.state_file import rows

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
