"""The feed's answer breaks off before its end (faults A5, A6)."""

import re
from datetime import timedelta

import pytest

from state.instants import from_text
from support.checker import problems
from support.endpoints import EVENTS
from support.feed_lines import feed_lines
from support.program import OVERLAP, newest_stored
from support.proxy import Proxy
from support.proxy_actions import cut, reframe
from support.state_file import quarantined
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_cut_at_the_same_place_again_and_again_moves_the_watermark_to_what_is_stored(
    begin, sandbox, impatient, framing, how
):
    """
    Each cycle reports the error and keeps what it has read. When the answers are whole again, nothing is
    missing (faults A5).
    """
    busy_minutes(sandbox, 30)
    start = sandbox.clock.now() - timedelta(minutes=10)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        for after_bytes in (0, 100, 900):
            proxy.script.clear()
            proxy.on(EVENTS, cut(after_bytes, how, framing))
            result = program.run()
            assert exit_code_of(result.gladly_error) == 1
            assert re.match(
                r"Gladly could not be reached at 127\.0\.0\.1:\d+: .+\.$", str(result.gladly_error)
            )
            stored = program.events()
            newest = from_text(stored[-1]["occurred_at"]) if stored else start
            assert program.watermark - max(start, newest - OVERLAP) < timedelta(milliseconds=1)
        assert how == "reset" or stored
        assert program.statuses() <= {"delivered"}
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 60


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_long_body_cut_ever_further_on_is_read_to_its_end_in_one_cycle(begin, sandbox, impatient, framing):
    """
    A stream that breaks off is asked for again from its last whole change, for as long as that gets further
    (faults A5).
    """
    busy_minutes(sandbox, 60)
    assert len(b"".join(feed_lines(sandbox))) > 25_000
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(
            EVENTS,
            lambda e: (cut(6_000, "close", framing) if len(e.forward().body) > 6_000 else reframe(framing))(
                e
            ),
        )
        program = begin(gladly=proxy.url)
        result = program.run()
        assert len(proxy.seen) > 5
    assert result.errors == []
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 120


@pytest.mark.parametrize(
    "beyond",
    [
        pytest.param(0, id="at a line end"),
        pytest.param(-1, id="before the newline of a whole line"),
        pytest.param(100, id="inside a line"),
    ],
)
def test_a_body_without_a_length_that_ends_early_loses_nothing(begin, sandbox, impatient, beyond):
    """
    Nobody can tell that such a body was cut. So the watermark follows its newest change, not Gladly's clock
    (faults A6).
    """
    busy_minutes(sandbox, 30)
    lines = feed_lines(sandbox)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        proxy.on(EVENTS, cut(len(b"".join(lines[:20])) + beyond, framing="close"), nth=1)
        proxy.on(EVENTS, cut(len(b"".join(lines[:2])) + beyond, framing="close"))
        result = program.run()
        stored = program.events()
        assert len(stored) == (19 if beyond == -1 else 20)
        assert program.watermark == newest_stored(program) - OVERLAP
        assert [bool(result.errors)] == [beyond != 0]
        assert quarantined(program.path) == []
        for _ in range(3):
            program.run()
            assert program.watermark <= newest_stored(program) - OVERLAP
        proxy.script.clear()
        proxy.on(EVENTS, reframe("close"))
        assert program.run().errors == []
    assert problems(sandbox) == []
    assert quarantined(program.path) == []


def test_a_body_without_a_length_and_without_a_line_moves_nothing(begin, sandbox):
    """An empty answer without a length may have been cut before its first line (faults A6)."""
    busy_minutes(sandbox, 4)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        for _ in range(3):
            proxy.script.clear()
            proxy.on(EVENTS, cut(0, framing="close"))
            program.run()
            sandbox.clock.advance(120)
        proxy.script.clear()
        program.run()
    assert problems(sandbox) == []
