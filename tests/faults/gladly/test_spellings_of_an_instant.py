"""Gladly may write the same instant in several ways (faults A4)."""

import re
from datetime import timedelta

import pytest

from state.instants import from_text
from state.records import PollOutcome
from support.checker import problems
from support.endpoints import EVENTS
from support.program import OVERLAP, newest_stored
from support.proxy import Proxy
from support.proxy_actions import reframe
from support.worlds import busy_minutes

_TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')


def spelt(instant, digits, hours):
    """
    Return the instant with so many fractional digits, at an offset of so many hours. None as the offset is
    written `Z`.
    """
    local = instant if hours is None else (instant + timedelta(hours=hours))
    fraction = f"{instant.microsecond:06d}"[:digits]
    offset = "Z" if hours is None else f"{hours:+03d}:00"
    return f"{local:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{fraction}{offset}".encode()


@pytest.mark.parametrize("digits", [0, 1, 2, 3, 6], ids=lambda n: f"{n} digits")
@pytest.mark.parametrize("hours", [None, 0, -9, 14], ids=lambda h: "Z" if h is None else f"{h:+}h")
def test_an_instant_may_be_spelt_in_any_way(begin, sandbox, digits, hours):
    """The watermark, the order and the ids depend on the instant, not on its text (faults A4)."""
    at = sandbox.clock.now().replace(microsecond=0) - timedelta(seconds=100)
    if digits:
        at += timedelta(microseconds=int("123456"[: min(digits, 3)].ljust(6, "0")))
    world = sandbox.world
    conversation = world.open_conversation(world.add_customer("Ana", recorded=False), at=at)
    world.close(conversation, at=at + timedelta(seconds=30))
    program = begin()

    def respell(lines):
        return [
            _TIMESTAMP.sub(lambda m: b'"timestamp":"%s"' % spelt(from_text(m[1].decode()), digits, hours), x)
            for x in lines
        ]

    sandbox.faults.rewrite_feed(respell)
    result = program.run()
    assert (result.errors, result.poll.outcome) == ([], PollOutcome.OK)
    assert [e["occurred_at"] for e in program.events()] == [
        spelt(instant, 3, None).decode() for instant in (at, at + timedelta(seconds=30))
    ]
    sandbox.faults.rewrite_feed(None)  # the same changes in another spelling are not new
    program.store.reset_watermark(at - timedelta(seconds=1))
    program.run()
    assert len(sandbox.inbox.attempts) == 2
    assert problems(sandbox) == []


def test_the_watermark_behind_a_cut_compares_instants_where_texts_sort_otherwise(begin, sandbox, impatient):
    """
    The newest instant has an offset that makes it the smallest text. The answer breaks off after it
    (faults A4).
    """
    busy_minutes(sandbox, 12)
    hours = iter([14, 9, 0, -3, -9, -12] * 4)
    sandbox.faults.rewrite_feed(
        lambda lines: [
            _TIMESTAMP.sub(
                lambda m: b'"timestamp":"%s"' % spelt(from_text(m[1].decode()), 3, next(hours, -12)), line
            )
            for line in lines
        ]
    )
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, reframe("close"))
        program = begin(gladly=proxy.url)
        assert program.run().errors == []
        assert program.watermark == newest_stored(program) - OVERLAP
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(rb'"CONVERSATION/([A-Z]+)"', lambda m: m[0].lower(), id="types in lower case"),
        pytest.param(
            rb'"CONVERSATION/([A-Z]+)"',
            lambda m: b'"Conversation/%s"' % m[1].title(),
            id="types with a capital",
        ),
        pytest.param(rb'"timestamp":"([^"]+)Z"', rb'"timestamp":"\1z"', id="z"),
        pytest.param(rb'"timestamp":"([^"]+)T([^"]+)Z"', rb'"timestamp":"\1t\2z"', id="t"),
        pytest.param(rb'"timestamp":"([^"]+)T([^"]+)Z"', rb'"timestamp":"\1 \2 UTC"', id="UTC"),
    ],
)
def test_what_can_mean_one_thing_only_is_read(begin, sandbox, old, new):
    """Types in another case, and instants in another form (faults H1.7)."""
    busy_minutes(sandbox, 3)
    sandbox.faults.rewrite_feed(lambda lines: [re.sub(old, new, line) for line in lines])
    program = begin()
    result = program.run()
    assert (result.errors, result.poll.outcome) == ([], PollOutcome.OK)
    assert problems(sandbox) == []


def test_a_leap_second_is_the_next_second(begin, sandbox):
    """The feed may say `:60` (faults H2.16)."""
    at = sandbox.clock.now().replace(second=0, microsecond=0) - timedelta(seconds=120)
    conversation = sandbox.world.open_conversation(sandbox.world.add_customer(recorded=False), at=at)
    before = (at - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:60").encode()
    sandbox.faults.rewrite_feed(
        lambda lines: [_TIMESTAMP.sub(b'"timestamp":"%s.000Z"' % before, line) for line in lines]
    )
    program = begin()
    assert program.run().poll.outcome == PollOutcome.OK
    assert [e["conversation_id"] for e in program.events()] == [conversation.id]
    assert problems(sandbox) == []
