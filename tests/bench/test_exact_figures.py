"""Commits, POSTs, requests and SQLite steps are counted exactly, so they need no benchmark."""

import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Iterator

import pytest

from sandbox.world.bulk import fill
from state.store import Store
from support.installation import Installation
from sync.gladly.limits import GladlyLimits
from sync.pipeline.look_up.timing import LookUpTiming
from sync.reports import CycleReport
from sync.runtime.build import build_pipeline
from sync.segment.limits import SegmentLimits
from sync.settings.loading import load
from sync.stop import Stop

BATCH_MAX_BYTES = SegmentLimits().batch_max_bytes
CHUNK_TRANSITIONS = GladlyLimits().chunk_transitions

# Requests to Gladly per event. A close that was just recorded needs its customer's profile anew: an update
# becomes visible up to 15 seconds late, so a copy from before the close may be out of date.
COLD, WARM = 2.05, 2.05
EVENTS = "/api/v1/events"


class Program:
    """The sync runs in this process, and every statement that it gives SQLite is noted."""

    def __init__(self, installation: Installation) -> None:
        self._path = installation.state_path
        self.commits = 0
        self.writes_alone: list[str] = []  # outside a transaction, each would be a commit of its own
        self._begin()

    def _begin(self) -> None:
        self._store = Store(self._path)
        self._pipeline = build_pipeline(load(None), self._store, Stop())
        self._store._connection.set_trace_callback(self._note)

    def restart(self) -> None:
        """Close everything, and open it again on the same state file, as a new process would."""
        self.close()
        self._begin()

    def _note(self, statement: str) -> None:
        word = statement.split(None, 1)[0].upper()
        self.commits += word == "COMMIT"
        if "began_at" in statement:
            return  # once in the life of a file: where its first poll begins
        if word in ("INSERT", "UPDATE", "DELETE") and not self._store._connection.in_transaction:
            self.writes_alone.append(statement)

    def run(self) -> CycleReport:
        """Run one cycle without an error. Commits are counted from its beginning."""
        self.commits = 0
        result = self._pipeline.cycle.run()
        assert result.errors == []
        return result

    def steps_of_a_cycle(self) -> int:
        """Return how many instructions SQLite executes for one cycle, rounded to tens."""
        steps = 0

        def count() -> None:
            nonlocal steps
            steps += 10

        self._store._connection.set_progress_handler(count, 10)
        self.run()
        self._store._connection.set_progress_handler(None, 0)
        return steps

    def close(self) -> None:
        self._pipeline.close()
        self._store.close()


@pytest.fixture
def program(installation, monkeypatch) -> Iterator[Program]:
    for name in [name for name in os.environ if name.startswith("GLADLY_")]:
        monkeypatch.delenv(name)
    installation.settings["GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND"] = "100000"
    for name, value in installation.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(installation.directory)
    program = Program(installation)
    yield program
    program.close()


def test_a_chunk_a_step_and_a_batch_are_one_commit_each_and_no_event_has_one(program, sandbox):
    """
    Each recorded chunk, step of look-ups and acknowledged batch is one commit, and so is the note of the
    cycle. There is no other.
    """
    transitions = 700
    fill(sandbox.world, conversations=transitions, closed_fraction=0.0, over_s=300)
    result = program.run()
    assert result.poll.delivered == transitions
    chunks = math.ceil(transitions / CHUNK_TRANSITIONS)
    posts = len(sandbox.segment_requests)
    steps = math.ceil(transitions / LookUpTiming().step_events) + chunks
    assert program.commits <= chunks + steps + posts + 1
    assert program.writes_alone == []


def test_events_leave_in_as_few_posts_as_the_limit_on_bytes_allows(program, sandbox):
    """There is at most one POST more than the bytes need."""
    fill(sandbox.world, conversations=700, closed_fraction=1.0, over_s=300)
    assert program.run().poll.delivered == 1_400
    sizes = [request.body_bytes for request in sandbox.segment_requests]
    assert max(sizes) <= BATCH_MAX_BYTES
    assert len(sizes) <= math.ceil(sum(sizes) / BATCH_MAX_BYTES) + 1


def test_a_cold_cycle_asks_gladly_at_most_twice_for_an_event(program, sandbox):
    """
    This is the worst case: each event has another conversation and another customer, and nothing is known.
    """
    fill(sandbox.world, conversations=100, closed_fraction=0.0, over_s=300)
    assert program.run().poll.delivered == 100
    assert len(sandbox.gladly_requests) / 100 <= COLD


def test_a_warm_cycle_asks_gladly_at_most_twice_for_an_event(program, sandbox):
    """The conversations are created in one poll and closed in a later one, a moment before it."""
    program.run()
    before = len(sandbox.gladly_requests)
    agent = sandbox.world.add_agent("Ada")
    customers = [sandbox.world.add_customer(recorded=False) for _ in range(50)]
    talks = [sandbox.world.open_conversation(customer, agent=agent) for customer in customers]
    assert program.run().poll.delivered == 50
    for talk in talks:
        sandbox.world.close(talk)
    assert program.run().poll.delivered == 50
    assert (len(sandbox.gladly_requests) - before) / 100 <= WARM


def test_an_idle_cycle_is_one_request_no_post_and_one_commit(program, sandbox):
    """This is the cost of a cycle in which nothing has happened."""
    program.run()
    before = len(sandbox.gladly_requests)
    program.run()
    assert [request.path for request in sandbox.gladly_requests[before:]] == [EVENTS]
    assert sandbox.segment_requests == []
    assert program.commits <= 1
    assert program.writes_alone == []


def test_an_idle_once_is_exactly_one_request_to_gladly(installation, sandbox):
    """The same holds for a process, from its start to its end."""
    assert installation.run("once").returncode == 0
    before = len(sandbox.gladly_requests)
    assert installation.run("once").returncode == 0
    assert [request.path for request in sandbox.gladly_requests[before:]] == [EVENTS]
    assert sandbox.segment_requests == []


def test_what_an_idle_cycle_asks_of_the_state_file_does_not_grow_with_it(installation, program):
    """The test counts steps of SQLite's machine, which are the same on every computer."""
    program.run()
    program.restart()
    little = program.steps_of_a_cycle()
    with contextlib.closing(sqlite3.connect(installation.state_path)) as db, db:
        db.execute(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000)"
            " INSERT INTO events (message_id, conversation_id, customer_id, transition, event, occurred_at,"
            " status, payload, attempts, created_at, delivered_at) SELECT 'm' || n, 'c' || n, 'u' || n,"
            " 'created', 'Gladly Conversation Created', at, 'delivered', '{}', 1, at, at"
            " FROM n, (SELECT strftime('%Y-%m-%dT%H:%M:%fZ') AS at)"
        )
    program.restart()  # the first cycle of a process looks at everything
    assert program.steps_of_a_cycle() <= little * 1.15


def test_empty_polls_of_the_daemon_commit_at_most_once_a_minute(installation, sandbox):
    """Twenty empty polls run within seconds. They do not wake a sleeping disk each time."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.05s"
    process = installation.start("run")
    try:
        _wait_for_polls(sandbox, 3)
        time.sleep(0.2)
        with contextlib.closing(sqlite3.connect(f"file:{installation.state_path}?mode=ro", uri=True)) as db:
            versions, polls = set(), sandbox_polls(sandbox)
            while sandbox_polls(sandbox) < polls + 20:
                assert process.poll() is None
                # SQLite counts up what others committed (PRAGMA data_version).
                versions.add(db.execute("PRAGMA data_version").fetchone()[0])
                time.sleep(0.005)
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert len(versions) - 1 <= 1


def sandbox_polls(sandbox) -> int:
    return sum(request.path == EVENTS for request in sandbox.gladly_requests)


def _wait_for_polls(sandbox, count: int) -> None:
    deadline = time.monotonic() + 20
    while sandbox_polls(sandbox) < count:
        assert time.monotonic() < deadline, "no daemon polls"
        time.sleep(0.02)
