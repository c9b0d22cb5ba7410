"""The audit finds changes that the feed never showed (faults A2)."""

import subprocess
import time
from datetime import timedelta

from state.reader import Reader
from support.checker import problems, verdicts


def test_a_close_that_shows_beyond_the_overlap_is_found_by_the_audit(begin, sandbox):
    """
    No poll can see that close any more. The audit finds it, and it is sent as if the feed had shown it in
    time (faults A2).
    """
    world = sandbox.world
    sandbox.clock.advance(-3_600)  # so that no other clock holds back Gladly's, which this test moves
    customer = world.add_customer("Ana", recorded=False)
    conversation = world.open_conversation(customer, at=sandbox.clock.now() - timedelta(hours=2))
    without = begin(SYNC__START="3h", SYNC__RECONCILE="off")
    without.run()
    closed_at = sandbox.clock.now()
    world.close(conversation, late_s=400)
    for _ in range(5):
        sandbox.clock.advance(100)
        without.restart()
        without.run()
    assert without.watermark > closed_at
    assert verdicts(problems(sandbox)) == [("lost", conversation.id)]
    without.close()
    with_it = begin(SYNC__START="3h", SYNC__RECONCILE="1s")
    with_it.run()
    assert problems(sandbox) == []
    with_it.store.reset_watermark(closed_at - timedelta(seconds=1))  # the feed's own line is the same close
    with_it.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 2


def test_a_close_that_the_feed_never_showed_is_found_by_looking(installation, ago):
    """
    The conversation is open and has been quiet for long. The audit compares it with Gladly, and the close is
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
    assert installation.run("once").returncode == 0
    query = "SELECT id, status FROM conversations ORDER BY status"
    shown = subprocess.run(
        ["sqlite3", installation.state_path, query], capture_output=True, text=True, check=True
    ).stdout
    assert f"{merged.id}|MERGED" in shown
    assert f"{deleted.id}|DELETED" in shown
    assert [e["payload"] for e in installation.events() if e["customer_id"] == eve.id] == [None]


def test_an_audit_stays_within_its_budget(installation, ago):
    """The next audit goes on with the conversations that have been unchecked the longest."""
    from sync.audit.reconcile import BUDGET

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
