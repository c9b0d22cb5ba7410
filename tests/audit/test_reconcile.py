"""Reconcile compares quiet open conversations with Gladly, and takes in what the feed never showed."""

import subprocess
import time

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from state.instants import to_text
from state.reader import Reader
from support.checker import problems
from support.endpoints import CONVERSATIONS
from support.state_file import a_minute_later
from sync.audit.reconcile import BUDGET


@pytest.fixture
def quiet(begin, ago, sandbox):
    """A sync that reconciles whenever it is asked, and the one open conversation that it has stored."""
    talk = sandbox.world.open_conversation(sandbox.world.add_customer("Ana", recorded=False), at=ago(500))
    program = begin(SYNC__RECONCILE="0.1s")
    program.run()
    return program, talk


def reconcile(program):
    """
    Wait until the next step is due, make it, and run a cycle, which sends what was found.

    Return what the step took in, the cycle's report, and what the step logged.
    """
    time.sleep(0.15)
    with capture_logs() as logs:
        reconciled = program.pipeline.reconciler.run()
    report = program.run()
    return reconciled.figures, report, [line for line in logs if line["event"] == "reconciled"]


def test_a_close_is_taken_in_with_the_instant_that_gladly_gives(quiet, sandbox, ago):
    """The instant of the comparison does not count. The feed may show the same close after all."""
    program, talk = quiet
    sandbox.world.close(talk, at=ago(300), late_s=100_000)
    figures, report, logged = reconcile(program)
    assert (figures.closed, [line["differences"] for line in logged]) == (1, [1])
    assert report.poll.delivered == 1
    (closed,) = [event for event in program.events() if event["transition"] == "closed"]
    assert closed["occurred_at"] == to_text(ago(300))
    assert problems(sandbox) == []


def test_a_look_up_that_fails_is_made_again_by_the_next_step(quiet, sandbox, ago):
    """Nothing counts as compared, and the close is not lost."""
    program, talk = quiet
    sandbox.world.close(talk, at=ago(300), late_s=100_000)
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(400))
    _, report, logged = reconcile(program)
    assert (report.errors, [line["compared"] for line in logged]) == ([], [0])
    figures, report, _ = reconcile(program)
    assert (report.errors, figures.closed) == ([], 1)
    assert problems(sandbox) == []


def test_what_has_not_changed_is_left_as_it_is(quiet, sandbox):
    """It is compared and no event is made. It is not compared again until the interval is over."""
    program, talk = quiet
    figures, _, logged = reconcile(program)
    assert (figures.changes, logged[0]["compared"], logged[0]["differences"]) == (0, 1, 0)
    asked = [r.path for r in sandbox.gladly_requests].count(f"/api/v1/conversations/{talk.id}")
    program.pipeline.reconciler.run()
    again = [r.path for r in sandbox.gladly_requests].count(f"/api/v1/conversations/{talk.id}")
    assert again == asked


def test_without_an_interval_nothing_is_compared(begin, sandbox, ago):
    """`sync.reconcile = "off"`. A close that the feed never shows is not found then."""
    talk = sandbox.world.open_conversation(sandbox.world.add_customer("Ana", recorded=False), at=ago(500))
    program = begin(SYNC__RECONCILE="off")
    program.run()
    sandbox.world.close(talk, at=ago(300), late_s=100_000)
    figures, report, logged = reconcile(program)
    assert (figures.closed, report.poll.closed, logged) == (0, 0, [])


def test_a_close_that_the_feed_never_showed_is_found_by_looking(installation, ago):
    """
    The conversation is open and has been quiet for long. `once` compares it with Gladly, and the close is
    sent once.
    """
    sandbox, world = installation.sandbox, installation.sandbox.world
    conversation = world.open_conversation(world.add_customer("Ana"), at=ago(500))
    untouched = world.open_conversation(world.add_customer("Bea"), at=ago(400))
    installation.settings["GLADLY_SEGMENT_SYNC__RECONCILE"] = "1s"
    assert installation.run("once").returncode == 0
    world.close(conversation, at=ago(300), late_s=100_000)  # invisible in the feed
    time.sleep(1.1)
    done = installation.run("once")
    assert done.returncode == 0
    assert problems(sandbox) == []
    assert [e["transition"] for e in installation.events()] == ["created", "created", "closed"]
    with Reader(installation.state_path) as reader:
        assert reader.conversation_counts()["open"] == 1
    assert untouched.id in {e["conversation_id"] for e in installation.events()}
    assert '"differences":1' in done.stderr.replace(" ", "")
    time.sleep(1.1)
    installation.run("once")
    assert problems(sandbox) == []


def test_a_conversation_that_is_gone_is_found_too(installation, ago):
    """
    A conversation that was merged away never closes. Nothing is kept of one that was deleted with its
    customer.
    """
    world = installation.sandbox.world
    ana, bea, eve = (world.add_customer(name) for name in ("Ana", "Bea", "Eve"))
    merged = world.open_conversation(ana, at=ago(500))
    world.open_conversation(bea, at=ago(500))
    deleted = world.open_conversation(eve, at=ago(500))
    installation.settings["GLADLY_SEGMENT_SYNC__RECONCILE"] = "1s"
    assert installation.run("once").returncode == 0
    world.merge(ana, bea, at=ago(300), late_s=100_000)
    world.close(deleted, at=ago(300), late_s=100_000)
    world.delete(eve, at=ago(299), late_s=100_000)
    time.sleep(1.1)
    for _ in range(2):  # one 404 is not believed
        assert installation.run("once").returncode == 0
        a_minute_later(installation.state_path)
        time.sleep(1.1)
    query = "SELECT id, status FROM conversations ORDER BY status"
    shown = subprocess.run(
        ["sqlite3", installation.state_path, query], capture_output=True, text=True, check=True
    ).stdout
    assert f"{merged.id}|MERGED" in shown
    assert f"{deleted.id}|DELETED" in shown
    assert [e["payload"] for e in installation.events() if e["customer_id"] == eve.id] == [None]


def test_a_step_stays_within_its_budget(installation, ago):
    """The next step goes on with the conversations that have been unchecked the longest."""
    world = installation.sandbox.world
    for number in range(BUDGET + 20):
        world.open_conversation(world.add_customer(f"C{number}"), at=ago(300))
    installation.settings["GLADLY_SEGMENT_SYNC__RECONCILE"] = "1s"
    assert installation.run("once").returncode == 0
    time.sleep(1.1)
    for expected in (BUDGET, BUDGET):
        before = len(installation.sandbox.gladly_requests)
        assert installation.run("once").returncode == 0
        assert len(installation.sandbox.gladly_requests) - before == 1 + expected
        time.sleep(1.1)
