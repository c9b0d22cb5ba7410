"""Text from outside would act as a path, a log line, a terminal command or SQL (faults G5)."""

import json
import re

import pytest

from sandbox import Fault
from support.checker import problems
from support.processes import run_all
from support.recovery import assert_nothing_lost
from support.state_file import rows
from support.worlds import history

pytestmark = pytest.mark.long


HOSTILE = {
    "a line break": 'x\n{"event": "forged"}',
    "an escape sequence": "x\x1b[31mred\x1b]0;title\x07",
    "a change of direction": "x\u202egnp.exe",
    "SQL": "x'); DROP TABLE events; --",
    "a path": "../../../../etc/passwd",
    "a null": "x\x00y",
    "a query": "x?admin=1#top",
    "a percent": "%2e%2e%2f",
}


def test_hostile_ids_do_no_harm(installation):
    """
    The text stands in the id of a conversation or a customer. No other path is asked for, no log line is
    forged, nothing reaches a terminal, and no SQL runs. The rest is delivered. An id that cannot be Gladly's
    goes to quarantine (faults G5).
    """
    world = installation.sandbox.world
    history(installation.sandbox)
    honest = {truth.conversation_id for truth in world.truth()}
    hostile = set()
    for text in HOSTILE.values():
        hostile |= {text, text + "-2"}
        world.open_conversation(world.add_customer(id=text + "-customer"), id=text)
        world.open_conversation(world.add_customer(), id=text + "-2")
    done = installation.run("once")
    assert done.returncode == 0, done.stderr
    said = done.stderr + "".join(run_all(installation, ("status",), ("events",), ("status", "--json")))
    assert [c for c in said if not (c.isprintable() or c == "\n")] == []
    for line in done.stderr.splitlines():
        assert json.loads(line)["event"] != "forged"
    for request in installation.sandbox.gladly_requests:
        assert re.fullmatch(
            r"/api/v1/(events|organization|agents|conversations/.+|customer-profiles/.+)", request.path, re.S
        )
        assert request.path == "/api/v1/events" or request.query == ""
    arrived = {e["properties"]["conversationId"] for e in installation.sandbox.inbox.received}
    assert [p for p in problems(installation.sandbox) if any(id_ in p for id_ in honest)] == []
    assert {HOSTILE["a path"], HOSTILE["a query"], HOSTILE["a percent"]} <= arrived
    assert arrived - honest <= hostile
    assert rows(installation.state_path, "SELECT count(*) FROM quarantine") != [(0,)]
    assert installation.run("once").returncode == 0


def test_hostile_names_reach_segment_and_no_terminal(installation):
    """
    A customer may have any name. The name is sent unchanged as data, and escaped on a screen (faults G5).
    """
    world = installation.sandbox.world
    for text in HOSTILE.values():
        customer = world.add_customer(f"{text} Doe", emails=[{"original": f"{text}@example.com"}])
        agent = world.add_agent(f"{text} Agent")
        world.open_conversation(customer, agent=agent)
    assert_nothing_lost(installation)
    names = {e["properties"]["customerName"] for e in installation.sandbox.inbox.received}
    assert names == {f"{text} Doe" for text in HOSTILE.values()}
    said = "".join(run_all(installation, ("events",), ("status",)))
    assert [c for c in said if not (c.isprintable() or c == "\n")] == []


def test_hostile_answers_are_escaped_in_errors(installation):
    """The text of an end's error answer is quoted on one line, without control characters (faults G5)."""
    text = "".join(HOSTILE.values())
    history(installation.sandbox)
    body = json.dumps({"errors": [{"attr": "x", "code": "y", "detail": text}]}, ensure_ascii=False).encode()
    for side in ("gladly", "segment"):
        installation.sandbox.faults.add(side, "*", Fault(status=400, body=body, times=None))
        done = installation.run("once")
        said = done.stdout + done.stderr + "".join(run_all(installation, ("status",), ("events",)))
        assert [c for c in said if not (c.isprintable() or c == "\n")] == []
        assert all(line.startswith(("{", "error: ")) for line in done.stderr.splitlines()), done.stderr
        installation.sandbox.faults.clear()


@pytest.mark.parametrize(
    "name",
    [
        "acme/../evil",
        "evil.example.com",
        "acme:443",
        "acme\\evil",
        "acme evil",
        "-acme",
        "acme.",
        "\u0430cme",
        "acme\x1b[31m",
    ],
)
def test_an_organization_that_would_be_another_host_is_refused(installation, name):
    """
    The command ends with exit 2 before any request, or the host is still the organization's own (faults G5).
    """
    from sync.settings.values import organization_of

    installation.settings["GLADLY_SEGMENT_GLADLY__ORGANIZATION"] = name
    installation.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = ""
    try:
        kept = organization_of(name)
    except ValueError:
        done = installation.run("check")
        assert done.returncode == 2
        said = done.stdout + done.stderr
        assert "The variable GLADLY_SEGMENT_GLADLY__ORGANIZATION" in said
        assert "\x1b" not in said
    else:
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)?", kept)
        assert kept.partition(".")[0] in {"acme", "evil"}
        assert "evil" not in kept
