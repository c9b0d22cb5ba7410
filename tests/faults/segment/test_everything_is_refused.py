"""A write key is cut short, or an address is wrong: everything is answered 400 (semantics 4.4, faults D6)."""

import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from sandbox import Fault
from state.instants import to_text, utc_now
from support.checker import problems
from support.endpoints import BATCH
from support.outbox_samples import fill_outbox, payload_of
from support.proxy_actions import answer
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


def accepted_long_ago(program):
    """Let the last acceptance of every receiver be more than a day ago."""
    with closing(sqlite3.connect(program.path)) as connection, connection:
        connection.execute(
            "UPDATE receivers SET accepted_at = ?", (to_text(utc_now() - timedelta(hours=24, minutes=1)),)
        )


@pytest.mark.parametrize("gzip", ["false", "true"])
@pytest.mark.parametrize("conversations", [1, 60])
def test_a_key_that_is_cut_short_blames_no_event(installation, sandbox, conversations, gzip):
    """
    A few events are tried alone. Then all stay pending, and the sentence names the settings. The right key
    delivers everything (semantics 4.4, 4.7).
    """
    busy_minutes(sandbox, conversations)
    installation.settings["SEGMENT_WRITE_KEY"] = sandbox.segment.write_key[:-1]
    installation.settings["GLADLY_SEGMENT_SEGMENT__GZIP"] = gzip
    done = installation.run("once")
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert "refused every event that was tried (Segment answered 400: " in sentence
    for setting in ("SEGMENT_WRITE_KEY", "segment.write_key_file", "segment.region", "segment.base_url"):
        assert setting in sentence
    assert "nothing is lost" in sentence
    assert sandbox.segment.write_key[:-1] not in done.stderr
    assert [e["status"] for e in installation.events()] == ["pending"] * 2 * conversations
    assert len(sandbox.segment_requests) <= (5 if gzip == "false" else 10)
    del installation.settings["SEGMENT_WRITE_KEY"]
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


def test_what_another_key_was_given_proves_nothing(installation, sandbox):
    """A key that is cut short after a good day blames no event either (semantics 4.4)."""
    busy_minutes(sandbox, 2)
    assert installation.run("once").returncode == 0
    sandbox.world.open_conversation(sandbox.world.add_customer("Wren"))
    installation.settings["SEGMENT_WRITE_KEY"] = sandbox.segment.write_key[:9]
    assert installation.run("once").returncode == 1
    assert [e["status"] for e in installation.events()] == ["delivered"] * 4 + ["pending"]
    del installation.settings["SEGMENT_WRITE_KEY"]
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


@pytest.mark.parametrize("status", [400, 413])
def test_an_address_that_refuses_everything_blames_no_event(installation, sandbox, proxy, status):
    """What Segment itself took earlier proves nothing about another address (semantics 4.4)."""
    busy_minutes(sandbox, 2)
    assert installation.run("once").returncode == 0
    sandbox.world.open_conversation(sandbox.world.add_customer("Wren"))
    proxy.on(BATCH, answer(status, {}, b"no"))
    installation.settings["GLADLY_SEGMENT_SEGMENT__BASE_URL"] = proxy.url
    done = installation.run("once")
    assert done.returncode == 1
    assert f"(Segment answered {status}: no)" in done.stderr
    assert [e["status"] for e in installation.events()] == ["delivered"] * 4 + ["pending"]


def test_an_event_that_is_refused_alone_is_blamed_within_a_day_of_another(begin, sandbox):
    """The same key had another event accepted. It need not be in the same batch (semantics 4.4)."""
    busy_minutes(sandbox, 1)
    program = begin()
    assert program.run().errors == []
    sandbox.world.open_conversation(sandbox.world.add_customer("Wren"))
    sandbox.faults.reject_message(lambda event: True)
    program.restart()
    assert program.run().errors == []
    assert [e["status"] for e in program.events()] == ["delivered", "delivered", "rejected"]
    assert len(sandbox.segment_requests) == 2


def test_an_event_that_is_refused_alone_waits_for_another_to_be_accepted(begin, sandbox):
    """After more than a day. It is blamed as soon as the key has another event accepted (semantics 4.4)."""
    busy_minutes(sandbox, 1)
    program = begin()
    assert program.run().errors == []
    accepted_long_ago(program)
    world = sandbox.world
    bad = world.open_conversation(world.add_customer("Wren"))
    sandbox.faults.reject_message(lambda event: event["properties"]["conversationId"] == bad.id)
    for _ in range(2):
        (error,) = program.run().errors
        assert exit_code_of(error) == 1
        assert "refused every event that was tried" in str(error)
    assert [e["status"] for e in program.events()] == ["delivered", "delivered", "pending"]
    world.open_conversation(world.add_customer("Ida"))
    assert program.run().errors == []
    assert [e["status"] for e in program.events()] == ["delivered", "delivered", "rejected", "delivered"]


@pytest.mark.parametrize("bad", [1, 3, 5])
def test_bad_events_at_the_front_do_not_hold_up_the_others(begin, sandbox, bad):
    """
    Events that are tried alone are chosen by chance, beyond the first two. So a good one is found, whatever
    stands at the front (semantics 4.4).
    """
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(60)], sandbox.clock.now())
    sandbox.faults.reject_message(lambda event: int(event["messageId"].removeprefix("message-")) < bad)
    for _ in range(10):  # each finds one with a chance of more than 99 %
        if program.run().errors == []:
            break
    assert [e["status"] for e in program.events()] == ["rejected"] * bad + ["delivered"] * (60 - bad)
    assert sorted(a.message_id for a in sandbox.inbox.attempts) == sorted(
        f"message-{n}" for n in range(bad, 60)
    )


def test_a_new_receiver_that_refuses_everything_for_a_while_blames_no_event(begin, sandbox):
    """It heals, and everything leaves in order (semantics 4.4)."""
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(40)], sandbox.clock.now())
    sandbox.faults.add("segment", BATCH, Fault(400, times=None))
    for _ in range(3):
        assert len(program.run().errors) == 1
    assert program.statuses() == {"pending"}
    sandbox.faults.clear()
    assert program.run().errors == []
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(40)]
