"""Types and fields are new, or have another name (faults A9)."""

import json
from datetime import timedelta

import pytest

from state.records import PollOutcome
from support.checker import problems, verdicts
from support.endpoints import EVENTS
from support.state_file import quarantined
from support.worlds import busy_minutes


def test_types_and_fields_nobody_has_heard_of_are_passed_over_at_no_cost(begin, sandbox):
    """
    Gladly may add types and fields at any time. A change of an unknown type is counted, and is no transition
    (faults A9).
    """
    world = sandbox.world
    for type_ in (
        "CONVERSATION/TELEPORTED",
        "CUSTOMER/BLESSED",
        "CONVERSATION",
        "",
        "CONVERSATION/CREATED/2",
    ):
        world.record(type_ if "/" in type_ else f"CONVERSATION/{type_}", {"new": [1, {"deep": None}]})
    program = begin()
    result = program.run()
    assert (result.poll.changes, result.poll.outcome) == (5, PollOutcome.OK)
    assert {r.path for r in sandbox.gladly_requests} <= {EVENTS, "/api/v1/organization"}
    assert (program.events(), quarantined(program.path)) == ([], [])


def test_new_fields_beside_those_we_know_change_nothing(begin, sandbox):
    """
    The new fields are in the event, in its content and in its context, and hold values of every kind
    (faults A9).
    """

    def drift(lines):
        grown = []
        for line in lines:
            event = json.loads(line)
            event |= {"schemaVersion": 7, "actor": {"kind": "robot"}, "tags": ["a", None]}
            event["content"] |= {"channel": None, "customer": {"id": 5}}
            event["content"]["context"] |= {"queue": [1, 2], "assigneeHistory": {}}
            grown.append(json.dumps(event).encode() + b"\n")
        return grown

    busy_minutes(sandbox, 5)
    sandbox.faults.rewrite_feed(drift)
    program = begin()
    assert program.run().poll.outcome is PollOutcome.OK
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"timestamp":', b'"occurredAt":'),
        (b'"conversationId":', b'"conversation_id":'),
        (b'"type":', b'"kind":'),
    ],
    ids=["timestamp", "conversationId", "type"],
)
def test_a_renamed_field_is_a_bad_line_with_its_reason(begin, sandbox, old, new):
    """
    One event in the middle has the renamed field. The others are processed, and the reason names the field
    (faults A9).
    """
    ids = busy_minutes(sandbox, 3)
    sandbox.faults.rewrite_feed(lambda lines: [*lines[:2], lines[2].replace(old, new, 1), *lines[3:]])
    program = begin()
    result = program.run()
    assert (result.errors, result.poll.outcome) == ([], PollOutcome.DEGRADED)
    ((_, reason),) = quarantined(program.path)
    assert old.strip(b'":').decode() in reason
    assert verdicts(problems(sandbox)) == [("lost", ids[1])]
    sandbox.faults.rewrite_feed(None)  # a resync finds it once Gladly has corrected it
    program.store.reset_watermark(sandbox.clock.now() - timedelta(minutes=10))
    program.run()
    assert problems(sandbox) == []
