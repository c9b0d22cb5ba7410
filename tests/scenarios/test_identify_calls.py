"""
An identify call after each event (semantics 1.4): what arrives, in which order, and that nothing confuses it
with an event.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox import Fault
from state.reader import Reader
from support.commands import Outcome
from support.installation import Installation

HAS_OPEN = "has_open_gladly_conversation"
OPENED, CLOSED = "gladly_conversation_opened_ts", "gladly_conversation_closed_ts"


@pytest.fixture
def with_traits(installation: Installation) -> Installation:
    """The program sends identify calls."""
    installation.settings["GLADLY_SEGMENT_IDENTIFY__TRAITS"] = "true"
    return installation


def calls(installation: Installation) -> list[dict[str, Any]]:
    """Return the identify calls that arrived, in order."""
    return [e for e in installation.sandbox.inbox.received if e["type"] == "identify"]


def test_a_call_follows_each_event_and_says_what_was_true_after_it(
    with_traits: Installation, ago: Callable[[float], Any]
) -> None:
    """Two conversations of one customer, read in one poll: each call tells of its own instant."""
    world = with_traits.sandbox.world
    customer = world.add_customer("Ana")
    for opened, closed in ((400, 300), (200, 100)):
        world.close(world.open_conversation(customer, at=ago(opened)), at=ago(closed))
    assert with_traits.run("once").returncode == 0

    received = with_traits.sandbox.inbox.received
    assert [e["type"] for e in received] == ["track", "identify"] * 4
    assert [e["traits"][HAS_OPEN] for e in calls(with_traits)] == [True, False, True, False]
    stamps = [e["timestamp"] for e in calls(with_traits)]
    assert [e["occurred_at"] for e in with_traits.events() if e["type"] == "identify"] == stamps
    assert [e["traits"].get(OPENED) for e in calls(with_traits)] == [stamps[n] for n in (0, 0, 2, 2)]
    assert [e["traits"].get(CLOSED) for e in calls(with_traits)] == [None, stamps[1], stamps[1], stamps[3]]
    assert {e["userId"] for e in received} == {customer.id}
    assert len({e["messageId"] for e in received}) == 8


def test_they_cost_no_request_and_the_events_are_the_same(
    installation: Installation, ago: Callable[[float], Any]
) -> None:
    """Byte for byte, with and without them."""
    world = installation.sandbox.world
    for n in range(3):
        talk = world.open_conversation(world.add_customer(f"Customer {n}"), at=ago(300 - n))
        world.close(talk, at=ago(200 - n))
    assert installation.run("once").returncode == 0
    plain = {e["message_id"]: e["payload"] for e in installation.events()}
    requests = len(installation.sandbox.gladly_requests)
    settings = {"GLADLY_SEGMENT_IDENTIFY__TRAITS": "true", "GLADLY_SEGMENT_STATE__PATH": "with-traits.db"}
    assert replace(installation, settings=installation.settings | settings).run("once").returncode == 0
    with Reader(installation.directory / "with-traits.db") as reader:
        again = reader.events(limit=100)
    assert {e["message_id"]: e["payload"] for e in again if e["type"] == "track"} == plain
    assert len(again) == 2 * len(plain) == 12
    assert len(installation.sandbox.gladly_requests) == 2 * requests


def test_a_reopening_makes_the_trait_true_again_though_its_event_is_not_sent(
    with_traits: Installation, ago: Callable[[float], Any]
) -> None:
    """Marketing must not begin while a customer waits again."""
    world = with_traits.sandbox.world
    talk = world.open_conversation(world.add_customer("Ana"), at=ago(300))
    world.close(talk, at=ago(200))
    world.reopen(talk, at=ago(100))
    assert with_traits.run("once").returncode == 0
    assert [e["traits"][HAS_OPEN] for e in calls(with_traits)] == [True, False, True]
    assert [e["type"] for e in with_traits.sandbox.inbox.received] == [
        *("track", "identify", "track", "identify", "identify")
    ]
    assert with_traits.run("resync", "--since", "10m").returncode == 0
    assert len(with_traits.sandbox.inbox.received) == 5


def test_a_changed_write_key_makes_new_ids_for_calls_too(
    with_traits: Installation, ago: Callable[[float], Any]
) -> None:
    """What is still to be sent gets them, and each stays what it is (semantics 4.2)."""
    world = with_traits.sandbox.world
    world.open_conversation(world.add_customer("Ana"), at=ago(300))
    with_traits.sandbox.faults.add("segment", "/v1/batch", Fault(503, times=None))
    with_traits.run("once")
    before = {e["type"]: e["message_id"] for e in with_traits.events(status="pending")}
    with_traits.sandbox.faults.clear()
    with_traits.settings["SEGMENT_WRITE_KEY"] = "another-key"
    with_traits.run("once")
    after = {e["type"]: e for e in with_traits.events(status="pending")}
    assert before.keys() == after.keys() == {"track", "identify"}
    assert len({*before.values(), *(e["message_id"] for e in after.values())}) == 4
    assert all(e["payload"]["messageId"] == e["message_id"] for e in after.values())


def test_a_deleted_customer_has_no_calls_either(
    with_traits: Installation, ago: Callable[[float], Any]
) -> None:
    """What was sent is erased here, and what was not is suppressed (semantics 5.1)."""
    world = with_traits.sandbox.world
    customer = world.add_customer("Ana")
    talk = world.open_conversation(customer, at=ago(300))
    assert with_traits.run("once").returncode == 0
    world.close(talk)
    world.delete(customer)
    assert with_traits.run("once").returncode == 0
    assert [(e["type"], e["status"], e["payload"]) for e in with_traits.events()] == [
        ("track", "delivered", None),
        ("identify", "delivered", None),
        ("track", "suppressed", None),
        ("identify", "suppressed", None),
    ]
    assert len(with_traits.sandbox.inbox.received) == 2


def test_nothing_confuses_a_call_with_an_event(
    with_traits: Installation,
    ago: Callable[[float], Any],
    gladly_segment: Callable[..., Outcome],
    tmp_path: Path,
) -> None:
    """Daily counts name it apart, and a comparison with what Gladly's integration delivered leaves it out."""
    world = with_traits.sandbox.world
    talk = world.open_conversation(world.add_customer("Ana"), at=ago(300))
    world.close(talk, at=ago(200))
    assert with_traits.run("once").returncode == 0
    theirs = tmp_path / "theirs.json"
    sent = [e | {"receivedAt": e["timestamp"]} for e in with_traits.sandbox.inbox.received]
    theirs.write_text("".join(json.dumps(e) + "\n" for e in sent))
    compared = gladly_segment("compare", str(theirs), "--json", **with_traits.settings)
    found = json.loads(compared.out)
    assert (compared.code, found["matched"], found["skipped"]) == (0, 2, {"identify": 2})
    assert found["only_ours"] == found["only_theirs"] == found["differences"] == []
    shown = with_traits.run("events", "--json").stdout.splitlines()
    assert [json.loads(line)["event"] for line in shown] == [
        *("identify", "Gladly Conversation Closed", "identify", "Gladly Conversation Created")
    ]
