"""Only conversations of some inboxes are sent (`sync.inboxes`), so that brands go to different sources."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from sandbox import Sandbox
from support.installation import Installation

NOT_SENT = "its conversation is in none of the inboxes of sync.inboxes"


@pytest.fixture
def inboxes(installation: Installation) -> dict[str, str]:
    """Return the ids of the sandbox's inboxes by their names."""
    return {inbox.name: id_ for id_, inbox in installation.sandbox.world.inboxes.items()}


def open_in(installation: Installation, inbox: str, at: Any) -> Any:
    """Open a conversation of a new customer in an inbox."""
    world = installation.sandbox.world
    return world.open_conversation(world.add_customer("Ana"), inbox=inbox, at=at)


def paths(installation: Installation, part: str) -> list[str]:
    """Return the requests to Gladly whose path holds a part."""
    return [r.path for r in installation.sandbox.gladly_requests if part in r.path]


@pytest.mark.parametrize("named_by", ["name", "id", "a list of names", "another case"])
def test_only_conversations_of_these_inboxes_are_sent(
    installation: Installation, inboxes: dict[str, str], ago: Callable[[float], Any], named_by: str
) -> None:
    """The others are suppressed with that reason, and nobody asks for their customers' profiles."""
    general, wholesale = inboxes["General"], inboxes["Wholesale"]
    ours, theirs = (
        open_in(installation, general, ago(300)),
        open_in(installation, wholesale, ago(200)),
    )
    installation.sandbox.world.close(theirs, at=ago(100))
    setting = {
        "name": "General",
        "id": general,
        "a list of names": '["Returns, repairs and \\"VIP\\"", "General"]',
        "another case": "general ",
    }[named_by]
    installation.settings["GLADLY_SEGMENT_SYNC__INBOXES"] = setting
    assert installation.run("once").returncode == 0
    assert [e["properties"]["conversationId"] for e in installation.sandbox.inbox.received] == [ours.id]
    events = installation.events()
    assert [(e["conversation_id"], e["status"], e["reason"]) for e in events] == [
        (ours.id, "delivered", None),
        (theirs.id, "suppressed", NOT_SENT),
        (theirs.id, "suppressed", NOT_SENT),
    ]
    assert [e["payload"] for e in events[1:]] == [None, None]
    assert len(paths(installation, "/customer-profiles/")) == 1
    assert len(paths(installation, "/inboxes")) == 1


def test_each_brand_of_one_organization_has_a_source_of_its_own(
    installation: Installation, inboxes: dict[str, str], ago: Callable[[float], Any]
) -> None:
    """Two settings and two state files: each event arrives once, at its own source."""
    talks = {name: open_in(installation, id_, ago(300)) for name, id_ in inboxes.items()}
    with Sandbox() as other:
        sources = {"General": installation.sandbox, "Wholesale": other}
        for name, source in sources.items():
            brand = replace(
                installation,
                settings=installation.settings
                | {
                    "GLADLY_SEGMENT_SYNC__INBOXES": name,
                    "GLADLY_SEGMENT_STATE__PATH": f"{name}.db",
                    "GLADLY_SEGMENT_SEGMENT__BASE_URL": source.segment_url,
                },
            )
            assert brand.run("once").returncode == 0
        for name, source in sources.items():
            arrived = [e["properties"]["conversationId"] for e in source.inbox.received]
            assert arrived == [talks[name].id]


def test_a_conversation_that_was_sent_is_sent_to_its_end(
    installation: Installation, inboxes: dict[str, str], ago: Callable[[float], Any]
) -> None:
    """Wherever it is moved. One that is moved in is sent from then on."""
    world = installation.sandbox.world
    out = open_in(installation, inboxes["General"], ago(500))
    into = open_in(installation, inboxes["Wholesale"], ago(450))
    installation.settings |= {
        "GLADLY_SEGMENT_SYNC__INBOXES": "General",
        "GLADLY_SEGMENT_IDENTIFY__TRAITS": "true",
    }
    assert installation.run("once").returncode == 0
    world.assign(out, None, inbox=inboxes["Wholesale"])
    world.close(out)
    assert installation.run("once").returncode == 0
    received = installation.sandbox.inbox.received
    assert [e.get("event", "identify") for e in received] == [
        *("Gladly Conversation Created", "identify", "Gladly Conversation Closed", "identify")
    ]
    assert [e["traits"]["has_open_gladly_conversation"] for e in received[1::2]] == [True, False]

    world.assign(into, None, inbox=inboxes["General"])
    world.close(into)
    assert installation.run("once").returncode == 0
    later = installation.sandbox.inbox.received[4:]
    assert [e.get("event") for e in later] == ["Gladly Conversation Closed", None]


def test_a_name_that_gladly_does_not_know_is_said(
    installation: Installation, ago: Callable[[float], Any]
) -> None:
    """In the log of the cycle, and by `check`, which names the inboxes that there are."""
    open_in(installation, next(iter(installation.sandbox.world.inboxes)), ago(300))
    installation.settings["GLADLY_SEGMENT_SYNC__INBOXES"] = "Shop A"
    cycle = installation.run("once")
    assert cycle.returncode == 0
    assert "inbox.unknown" in cycle.stderr
    checked = installation.run("check")
    assert checked.returncode == 2
    assert "sync.inboxes: Gladly has no inbox 'Shop A'. Its inboxes are General, " in checked.stdout
