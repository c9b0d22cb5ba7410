"""One cycle: it polls and delivers, and neither end being down stops the other."""

import time
from datetime import timedelta

import pytest
import structlog
from structlog.testing import capture_logs

from sandbox import Fault
from state.errors import StateError
from state.instants import to_text
from state.records import PollOutcome
from support.checker import problems
from support.endpoints import BATCH, EVENTS
from support.outbox_samples import fill_outbox, payload_of
from support.state_file import rows
from support.worlds import busy_minutes
from sync.errors import StoppedError
from sync.pipeline.cycle import Cycle
from sync.reports import CycleObserver
from sync.stop import Stop


def cycles_written(program):
    """Return the outcome and the error of every cycle in the state file, oldest first."""
    return rows(program.path, "SELECT outcome, error FROM polls ORDER BY started_at")


def test_a_cycle_polls_and_delivers(begin, sandbox):
    """Its report, its row in the state file and what Segment received agree."""
    busy_minutes(sandbox, 3)
    program = begin()
    report = program.run()
    assert (report.poll.changes, report.poll.created, report.poll.closed, report.poll.delivered) == (
        6,
        3,
        3,
        6,
    )
    assert (report.poll.outcome, report.errors) == (PollOutcome.OK, [])
    assert report.poll.requests == len(sandbox.gladly_requests)
    columns = "changes, created, closed, delivered, requests, outcome, error"
    written = rows(program.path, f"SELECT {columns} FROM polls")
    assert written == [(6, 3, 3, 6, report.poll.requests, "ok", None)]
    assert problems(sandbox) == []


def test_with_gladly_down_the_outbox_is_delivered(begin, sandbox, down):
    """The cycle has failed, and says at which end."""
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(3)], sandbox.clock.now())
    sandbox.faults.add("gladly", EVENTS, down)
    report = program.run()
    assert "Gladly" in str(report.gladly_error)
    assert (report.segment_error, report.poll.delivered, program.statuses()) == (None, 3, {"delivered"})
    assert cycles_written(program) == [("failed", str(report.gladly_error))]


def test_with_segment_down_the_poll_goes_on(begin, sandbox, down):
    """What happened is taken in, and waits in the outbox."""
    busy_minutes(sandbox, 3)
    sandbox.faults.add("segment", BATCH, down)
    program = begin()
    report = program.run()
    assert "Segment" in str(report.segment_error)
    assert (report.gladly_error, report.poll.created, program.statuses()) == (None, 3, {"pending"})
    assert cycles_written(program) == [("failed", str(report.segment_error))]


def test_with_both_ends_down_the_row_names_both(begin, sandbox, down):
    """Gladly's error comes first."""
    program = begin()
    fill_outbox(program.store, [payload_of(1)], sandbox.clock.now())
    for end in ("gladly", "segment"):
        sandbox.faults.add(end, "*", down)
    report = program.run()
    assert len(report.errors) == 2
    assert cycles_written(program) == [("failed", " ".join(str(error) for error in report.errors))]


def test_a_line_that_cannot_be_read_makes_a_cycle_degraded(begin, sandbox):
    """Everything else is taken in and delivered."""
    busy_minutes(sandbox, 1)
    sandbox.faults.rewrite_feed(lambda lines: [b"{\n", *lines])
    program = begin()
    assert program.run().poll.outcome is PollOutcome.DEGRADED
    assert cycles_written(program) == [("degraded", None)]
    assert problems(sandbox) == []


def test_a_cycle_without_news_is_written_only_now_and_then(begin, sandbox, tuned):
    """Each commit is a write to the disk. One with news is written at once, with its watermark."""
    tuned(cycle={"uneventful_every_s": 3_600.0})
    program = begin()
    for _ in range(3):
        program.run()
    assert len(cycles_written(program)) == 1
    before = program.watermark
    sandbox.clock.advance(100)
    sandbox.world.open_conversation(sandbox.world.add_customer())
    program.run()
    assert len(cycles_written(program)) == 2
    assert program.watermark > before


def test_payloads_past_their_retention_are_erased(begin, sandbox, tuned):
    """The rows stay. What is pending keeps its payload, however old it is."""
    tuned(cycle={"retention_every_s": 0.0})
    busy_minutes(sandbox, 2)
    program = begin(STATE__RETENTION="0.3s")
    program.run()
    assert [event["payload"] is None for event in program.events()] == [False] * 4
    time.sleep(0.4)
    sandbox.clock.advance(60)  # retention goes by Gladly's clock, too
    program.restart()
    sandbox.faults.add("segment", BATCH, Fault(401))
    fill_outbox(program.store, [payload_of(1)], sandbox.clock.now())
    program.run()
    assert [event["payload"] is None for event in program.events(status="delivered")] == [True] * 4
    assert [event["payload"] is None for event in program.events(status="pending")] == [False]


def test_a_state_file_that_was_removed_ends_the_cycle(begin, sandbox):
    """Whatever was written to it now would be lost. Neither end is asked for anything."""
    program = begin()
    program.path.unlink()
    with pytest.raises(StateError):
        program.run()
    assert sandbox.gladly_requests == []


def test_a_stop_ends_a_cycle(begin, sandbox):
    """It is no failure of an end, and nothing is written."""
    busy_minutes(sandbox, 1)
    program = begin()
    program.stop.set()
    with pytest.raises(StoppedError):
        program.run()
    assert (cycles_written(program), program.events()) == ([], [])


def test_the_observer_and_the_log_hear_what_a_cycle_came_to(parts_of, sandbox):
    """The line carries the id of the cycle, which is the instant at which it began."""
    told = []

    class Observer(CycleObserver):
        def delivered(self, events):
            told.append(len(events))

        def finished(self, report):
            told.append(report)

    busy_minutes(sandbox, 2)
    observer = Observer()
    parts = parts_of(observer=observer)
    cycle = Cycle(
        ends=parts.ends,
        poller=parts.poller,
        look_up=parts.look_up,
        deliverer=parts.deliverer,
        store=parts.store,
        stop=Stop(),
        retention=timedelta(days=30),
        observer=observer,
    )
    before = cycle.progress
    with capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        report = cycle.run()
    assert told == [4, report]
    assert cycle.progress > before
    (line,) = [line for line in logs if line["event"] == "cycle.finished"]
    assert line["cycle"] == to_text(report.poll.started_at)
    assert (line["outcome"], line["created"], line["delivered"]) == ("ok", 2, 4)


@pytest.mark.parametrize("part", ["record", "look up", "deliver"])
def test_what_nobody_expected_fails_one_part_and_no_other(begin, sandbox, part):
    """It is said and written down. The next cycle does what is left (faults H2.7)."""
    busy_minutes(sandbox, 2)
    program = begin()
    owner, name = {
        "record": (program.store, "commit"),
        "look up": (program.store.recorded, "finish"),
        "deliver": (program.store.outbox, "mark_delivered"),
    }[part]
    works = getattr(owner, name)

    def breaks(*_, **__):
        raise LookupError("half \ud83d")

    setattr(owner, name, breaks)
    with capture_logs() as logs:
        report = program.run()
    assert [line["part"] for line in logs if line["log_level"] == "error"] == [part]
    (error,) = report.errors
    assert f"The cycle failed to {part}: LookupError" in str(error)
    assert cycles_written(program)[-1][0] == "failed"
    setattr(owner, name, works)
    assert program.run().errors == []
    assert program.statuses() == {"delivered"}
    assert {e["messageId"] for e in sandbox.inbox.received} == {e["message_id"] for e in program.events()}


def conditions(program):
    return rows(program.path, "SELECT id, what FROM conditions")


def test_a_full_disk_is_written_down_while_there_is_room_for_a_row(begin, sandbox):
    """The cycle fails as ever. The row goes with the next cycle that can be written."""
    program = begin()
    busy_minutes(sandbox, 60)
    database = program.store._connection
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError):
        program.run()
    assert conditions(program) == [("disk", "full disk")]
    database.execute("PRAGMA max_page_count = 1000000")
    assert program.run().errors == []
    assert conditions(program) == []
    assert problems(sandbox) == []


def test_who_refuses_is_written_down_when_it_begins_and_ends_and_not_in_between(begin, sandbox, tuned):
    """A cycle in which nothing changes writes nothing more than before."""
    tuned(refused_pause_s=0.0)
    busy_minutes(sandbox, 1)
    sandbox.faults.add("segment", BATCH, Fault(status=401, times=None))
    program = begin()
    program.run()
    assert conditions(program) == [("segment-credentials", "refused key")]
    statements = []
    program.store._connection.set_trace_callback(statements.append)
    program.run()
    program.store._connection.set_trace_callback(None)
    assert [sql for sql in statements if "conditions" in sql] == []
    sandbox.faults.clear()
    program.run()
    assert conditions(program) == []


def test_the_state_file_says_how_often_cycles_come(begin):
    """Said by whoever runs them, once; `once` is known by the time between its runs."""
    program = begin()
    for _ in range(2):
        program.pipeline.cycle.run(every=timedelta(minutes=5))
    assert rows(program.path, "SELECT role, every_s FROM schedules") == [("daemon", 300.0)]
    program.pipeline.cycle.run(is_alone=True)
    assert rows(program.path, "SELECT role, every_s FROM schedules") == [("daemon", 300.0), ("once", 0.0)]
