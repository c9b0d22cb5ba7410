"""Reconcile compares quiet open conversations with Gladly, and takes in what the feed never showed."""

import threading
import time

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from sandbox.world.bulk import fill
from state.instants import to_text
from state.reader import Reader
from state.records import Status, StoredConversation, TakenIn
from support.checker import problems
from support.endpoints import CONVERSATIONS
from support.state_file import a_minute_later, rows
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
    shown = rows(installation.state_path, "SELECT id, status FROM conversations")
    assert (merged.id, "MERGED") in shown
    assert (deleted.id, "DELETED") in shown
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


def test_a_tenth_of_what_is_open_is_compared_each_day(begin, sandbox):
    """
    Where more are open than a hundred a day suffice for, steps follow each other more often, and none of them
    is larger than a step (semantics 6.1).
    """
    fill(sandbox.world, conversations=2_000, closed_fraction=0.0, over_s=500)
    program = begin(SYNC__RECONCILE="2s", GLADLY__REQUESTS_PER_SECOND="5000")
    known = [
        StoredConversation(id_, talk.customer_id, Status.OPEN, talk.created_at, talk.created_at)
        for id_, talk in sandbox.world.conversations.items()
    ]
    program.store.commit(TakenIn(conversations=known))
    compared = []
    for wait_s in (0.0, 0.0, 1.05, 2.1):  # two steps in two seconds
        time.sleep(wait_s)
        compared.append(program.pipeline.reconciler.run().compared)
    assert compared == [BUDGET, 0, BUDGET, 2 * BUDGET]


def test_no_poll_waits_for_a_comparison(quiet, sandbox):
    """Gladly is slow to answer. The turn at the state file is free meanwhile, and a poll goes through."""
    program, talk = quiet
    time.sleep(0.15)
    sandbox.faults.add("gladly", f"/api/v1/conversations/{talk.id}", Fault(delay_s=1.5))
    thread = threading.Thread(target=program.pipeline.reconciler.run)
    thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert program.run().errors == []
    assert time.monotonic() - began < 1.0
    assert thread.is_alive()
    thread.join()


def test_what_a_poll_has_changed_meanwhile_is_left_to_the_poll(quiet, sandbox, ago):
    """The answer is older than what the poll has taken in."""
    program, talk = quiet
    time.sleep(0.15)
    sandbox.faults.add("gladly", f"/api/v1/conversations/{talk.id}", Fault(delay_s=0.5))
    ended = []
    thread = threading.Thread(target=lambda: ended.append(program.pipeline.reconciler.run()))
    thread.start()
    time.sleep(0.2)
    sandbox.world.close(talk, at=ago(1))
    assert program.run().poll.closed == 1
    thread.join()
    assert (ended[0].compared, ended[0].figures.events) == (0, 0)
    assert problems(sandbox) == []
