"""Ids in the feed's lines are not as Gladly makes them (faults H3.2)."""

import json

import pytest

from support.checker import problems
from support.endpoints import CONVERSATIONS, PROFILES
from support.state_file import quarantined, rows
from support.worlds import busy_minutes

VALUES = {
    "an escape": "x\x1b[31mred",
    "a line break": 'x\n{"event": "forged"}',
    "a change of direction": "x\u202egnp.exe",
    "not ASCII": "кофе",
    "a space": "a b",
    "100 KB": "x" * 100_000,
    "201 characters": "x" * 201,
    "blank": "   ",
}

FIELDS = [
    ("CONVERSATION/CREATED", ("customerId",)),
    ("CONVERSATION/CREATED", ("conversationId",)),
    ("CONVERSATION/TOPIC_ADDED", ("topicId",)),
    ("CUSTOMER/MERGED", ("sourceCustomerId",)),
    ("CUSTOMER/MERGED", ("destinationCustomerId",)),
    ("CUSTOMER/MERGED", ("sourceConversationId",)),
    ("CUSTOMER_PROFILE/DELETED", ("customerId",)),
    ("CONVERSATION/CREATED", ()),  # the event's own id
]

CONTENT = {
    "customerId": "c1",
    "conversationId": "v1",
    "topicId": "t1",
    "sourceCustomerId": "c1",
    "destinationCustomerId": "c2",
    "sourceConversationId": "v1",
    "destinationConversationId": "v2",
}


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in VALUES.items()])
def test_an_id_is_checked_where_it_enters(begin, sandbox, value):
    """
    The line goes to quarantine, whatever field the id stands in. It is asked for nowhere, and stored nowhere
    else (faults H3.2).
    """
    busy_minutes(sandbox, 2)
    at = sandbox.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    spoilt = []
    for n, (type_, path) in enumerate(FIELDS):
        content = json.loads(json.dumps({**CONTENT, "context": {"assignee": {"agentId": "a1"}}}))
        event = {"id": f"e{n}", "type": type_, "timestamp": at, "content": content}
        held = content
        for name in path[:-1]:
            held = held[name]
        if path:
            held[path[-1]] = value
        else:
            event["id"] = value
        spoilt.append(json.dumps(event).encode() + b"\n")
    sandbox.faults.rewrite_feed(lambda lines: [*lines, *spoilt])
    program = begin()
    assert program.run().errors == []
    assert len(quarantined(program.path)) == len(FIELDS)
    for table in ("conversations", "events", "changes", "seen_changes"):
        if rows(program.path, f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"):
            assert not any(
                isinstance(cell, str) and value in cell
                for row in rows(program.path, f"SELECT * FROM {table}")
                for cell in row
            ), table
    asked = [r.path for r in sandbox.gladly_requests]
    assert len([p for p in asked if "x" * 201 in p]) == 0
    assert problems(sandbox) == []


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in VALUES.items()])
def test_an_agents_id_that_is_none_costs_no_transition(begin, sandbox, value):
    """The agent is looked up instead (faults H3.2)."""
    busy_minutes(sandbox, 1)
    context = b'"context":{"assignee":{"agentId":%s}}' % json.dumps(value).encode()

    def rewritten(lines):
        return [line.replace(b'"content":{', b'"content":{' + context + b",") for line in lines]

    sandbox.faults.rewrite_feed(rewritten)
    program = begin()
    assert program.run().errors == []
    assert quarantined(program.path) == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("id_", ["OOrlNMXeS72gs_WEX2TtMg", "x" * 50, "a-b.c~d", "1"])
def test_an_id_as_gladly_makes_them_is_an_id(begin, sandbox, id_):
    """URL-safe, and up to 50 characters (faults H3.2)."""
    world = sandbox.world
    world.open_conversation(world.add_customer(id=id_, recorded=False), id=id_)
    program = begin()
    assert program.run().errors == []
    assert quarantined(program.path) == []
    assert problems(sandbox) == []
    asked = {request.path for request in sandbox.gladly_requests}
    assert {CONVERSATIONS.replace("*", id_), PROFILES.replace("*", id_)} <= asked
