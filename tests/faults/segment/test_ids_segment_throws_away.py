"""Segment takes an event with an unusable id, and throws it away (faults D12)."""

import json

import pytest

from state.records import PollOutcome
from support.checker import problems
from support.endpoints import PROFILES
from support.feed_lines import line_of
from support.proxy import Proxy, RawResponse
from support.proxy_actions import rewrite
from support.state_file import quarantined
from support.worlds import busy_minutes


def _profile(**changes):
    def change(answer):
        profile = json.loads(answer.body) | changes
        shown = {key: value for key, value in profile.items() if value is not ...}
        return RawResponse(200, "OK", answer.headers, json.dumps(shown).encode())

    return rewrite(change)


@pytest.mark.parametrize("id_", [..., ""], ids=["left out", "empty"])
def test_a_profile_without_an_id_is_sent_under_the_id_it_was_asked_for(begin, sandbox, id_):
    """
    The event always has a userId. Segment would take an event without one, and throw it away (faults D12).
    """
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(PROFILES, _profile(id=id_))
        assert begin(gladly=proxy.url).run().errors == []
    assert problems(sandbox) == []
    assert sandbox.inbox.dropped == []


@pytest.mark.parametrize("id_", [17, None, True, ["x"], {"id": "x"}, 1.5], ids=repr)
def test_a_profile_whose_id_is_not_the_customer_s_holds_its_events_back(begin, sandbox, impatient, id_):
    """
    The sync invents no id and sends nothing. Once Gladly has corrected the id, nothing is missing (faults
    D12).
    """
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(PROFILES, _profile(id=id_))
        program = begin(gladly=proxy.url)
        assert program.run().errors == []
        assert {event["status"] for event in program.events()} == {"recorded"}
        assert "customer-profiles" in program.events()[0]["reason"]
        assert sandbox.segment_requests == []
        proxy.script.clear()
        program.store.recorded.retry(None)
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "customer", [b'""', b"null", b"17", b'"a b"', b'"a\\nb"', b'["x"]', b'"' + b"x" * 300 + b'"']
)
def test_a_change_without_a_customer_is_kept_aside(begin, sandbox, customer):
    """
    A line whose customer id cannot be one goes to quarantine with its reason. The sync looks nothing up for
    it, and sends nothing (faults D12).
    """
    busy_minutes(sandbox, 1)
    bad = line_of("from-nowhere", sandbox).replace(b'"nobody"', customer)
    sandbox.faults.rewrite_feed(lambda lines: [*lines, bad])
    program = begin()
    result = program.run()
    assert (result.errors, result.poll.outcome) == ([], PollOutcome.DEGRADED)
    ((line, reason),) = quarantined(program.path)
    assert "from-nowhere" in line
    assert "customer" in reason.lower()
    assert problems(sandbox) == []
    assert sandbox.inbox.dropped == []


@pytest.mark.parametrize("length", [100, 200])
def test_a_long_id_is_sent_whole(begin, sandbox, length):
    """No id is cut or dropped because of its length (faults D12)."""
    world = sandbox.world
    customer = world.add_customer("Ana", id="c" * length, recorded=False)
    world.open_conversation(customer, id="v" * length)
    assert begin().run().errors == []
    assert problems(sandbox) == []
    assert sandbox.inbox.dropped == []
