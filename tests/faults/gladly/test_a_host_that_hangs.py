"""Gladly answers too slowly, or not at all (faults A20)."""

import time

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import CONVERSATIONS, EVENTS, PROFILES
from support.proxy_actions import drip
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of

pytestmark = pytest.mark.long


@pytest.fixture
def hurried(tuned):
    """Set deadlines of a second or less in place of half a minute, and two attempts for each request."""
    deadlines = (
        "events_head_deadline_s",
        "events_line_deadline_s",
        "request_deadline_s",
        "object_deadline_s",
    )
    tuned(gladly=dict.fromkeys(deadlines, 0.4))
    tuned(retry={"max_attempts": 2}, look_up={"linger_s": 0.0})


def dripping_head(exchange):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/x-jsonlines\r\n" * 2:
        exchange.sock.sendall(bytes([byte]))
        exchange.pause(0.05)


def dripping_chunks(exchange):
    exchange.send_head(
        200, "OK", [("Content-Type", "application/x-jsonlines"), ("Transfer-Encoding", "chunked")]
    )
    for byte in exchange.forward().body[:80]:  # four seconds of it
        exchange.sock.sendall(b"1\r\n%c\r\n" % byte)
        exchange.pause(0.05)


@pytest.mark.parametrize("path", [EVENTS, CONVERSATIONS, PROFILES], ids=["feed", "conversation", "profile"])
@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(drip(bytes_per_s=20), id="the body"),
        pytest.param(dripping_chunks, id="the body in chunks"),
        pytest.param(dripping_head, id="the head"),
    ],
)
def test_a_slow_drip_ends_at_the_deadline(begin, sandbox, proxy, impatient, hurried, path, slow):
    """
    A byte now and then does not keep a request alive. A whole answer, or a whole line, is due in time
    (faults A20).
    """
    busy_minutes(sandbox, 1)
    program = begin(gladly=proxy.url)
    proxy.on(path, slow)
    began = time.monotonic()
    result = program.run()
    assert time.monotonic() - began < 6
    if path == EVENTS:
        assert exit_code_of(result.gladly_error) == 1
        assert "in time" in str(result.gladly_error)
        assert program.events() == []
    else:  # one object that does not answer holds back its own events
        assert result.errors == []
        assert "in time" in program.events()[0]["reason"]
    proxy.script.clear()
    program.store.recorded.retry(None)
    assert program.run().errors == []
    assert problems(sandbox) == []


def test_a_head_that_never_comes_ends_at_the_deadline(begin, sandbox, impatient, hurried):
    """The deadline also holds when the host does not send a single byte (faults A20)."""
    busy_minutes(sandbox, 1)
    program = begin()
    sandbox.faults.add("gladly", EVENTS, Fault(delay_s=30, times=None))
    began = time.monotonic()
    result = program.run()
    assert time.monotonic() - began < 6
    assert "in time" in str(result.gladly_error)
    sandbox.faults.clear()
    program.run()
    assert problems(sandbox) == []
