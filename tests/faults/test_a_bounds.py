"""Answers of Gladly's that are too much, too long or too slow (rows A11, A12, A20)."""

import functools
import time
import zlib
from datetime import timedelta

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text
from support.checker import problems
from support.installation import Installation
from support.program import (
    CONVERSATIONS,
    EVENTS,
    PROFILES,
    answering,
    busy_minutes,
    feed_lines,
    linux_only,
    quarantined,
    rows,
    run_measured,
)
from support.raw_server import Proxy, drip
from sync.cli.main import exit_code_of

pytestmark = pytest.mark.long

MB = 1_000_000

JSON_LINES = "Content-Type: application/x-jsonlines"


@pytest.fixture
def proxy(sandbox):
    with Proxy(sandbox.gladly_url) as running:
        yield running


@pytest.fixture
def through(tmp_path, sandbox, proxy):
    """The program as a process, with Gladly behind the proxy; and what it holds when nothing is wrong."""
    settings = {"GLADLY_SEGMENT_SYNC__START": "23h", "GLADLY_SEGMENT_GLADLY__BASE_URL": proxy.url}
    return Installation(tmp_path, sandbox, settings)


@pytest.fixture(scope="module")
def idle_bytes(tmp_path_factory):
    """What the program holds where nothing is wrong and nothing to do."""
    with Sandbox() as quiet:
        return run_measured(Installation(tmp_path_factory.mktemp("idle"), quiet)).peak_bytes


@functools.cache
def bomb_of_300_mb():
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(b'{"id":"')]
    parts += [packer.compress(b" " * MB) for _ in range(300)]
    return b"".join([*parts, packer.compress(b'"}'), packer.flush()])


@linux_only
def test_a11_a_line_of_64_mb_is_quarantined_without_being_held(through, sandbox, proxy, idle_bytes):
    """Read in time that grows with its length only, kept cut to a few KB; the lines around it count."""
    busy_minutes(sandbox, 3)
    first, *rest = feed_lines(sandbox)

    def body():
        yield first + b'{"id":"'
        for _ in range(64):
            yield b"x" * MB
        yield b'"}\n' + b"".join(rest)

    proxy.on(EVENTS, answering(body, JSON_LINES, "Connection: close"))
    done = run_measured(through)
    assert (done.returncode, problems(sandbox)) == (0, []), done.stderr
    ((line, reason),) = quarantined(through.state_path)
    assert len(line) <= 4096
    assert "over 1000000 bytes" in reason
    assert done.peak_bytes - idle_bytes < 25 * MB
    assert done.seconds < 15


@linux_only
def test_a11_a_line_without_an_end_is_given_up(through, sandbox, proxy, idle_bytes):
    """So many bytes and no more are read of it; memory stays flat, the error says why, nothing moves."""
    sent = 0

    def body():
        nonlocal sent
        yield b'{"id":"'
        while True:
            sent += MB
            yield b"x" * MB

    proxy.on(EVENTS, answering(body, JSON_LINES, "Connection: close"))
    start = sandbox.clock.now() - timedelta(hours=23)
    done = run_measured(through)
    assert done.returncode == 1
    assert "without an end" in done.stderr
    assert done.peak_bytes - idle_bytes < 25 * MB
    assert sent < 3 * 110 * MB
    ((position,),) = (row.values() for row in rows(through.state_path, "SELECT position FROM watermark"))
    assert from_text(position) <= start
    assert quarantined(through.state_path) == []


@linux_only
@pytest.mark.parametrize("path", [EVENTS, CONVERSATIONS, PROFILES], ids=["feed", "conversation", "profile"])
def test_a11_a_gzip_bomb_is_not_unpacked(through, sandbox, proxy, idle_bytes, path):
    """0.3 MB that would be 300 MB: refused, or read no further than an answer can be long."""
    busy_minutes(sandbox, 1)
    bomb = bomb_of_300_mb()
    headers = (JSON_LINES, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    proxy.on(path, answering(lambda: iter([bomb]), *headers))
    done = run_measured(through)
    assert done.returncode == 1
    assert "Gladly" in done.stderr or "compresses" in done.stderr
    assert done.peak_bytes - idle_bytes < 60 * MB
    assert done.seconds < 15
    proxy.script.clear()
    assert run_measured(through).returncode == 0
    assert problems(sandbox) == []


@linux_only
@pytest.mark.parametrize("size", [40 * MB])
def test_a11_an_answer_longer_than_any_object_is_refused(through, sandbox, proxy, idle_bytes, size):
    """A profile without an end, uncompressed: no more is read than the largest answer there is."""
    busy_minutes(sandbox, 1)
    proxy.on(
        PROFILES,
        answering(lambda: (b" " * MB for _ in range(size // MB)), JSON_LINES, f"Content-Length: {size}"),
    )
    done = run_measured(through)
    assert done.returncode == 1
    assert "bytes" in done.stderr
    assert done.peak_bytes - idle_bytes < 60 * MB


@linux_only
def test_a12_half_a_million_lines_are_read_in_flat_memory(through, sandbox, proxy, idle_bytes):
    """Committed chunk by chunk, none held longer; the conversations among them are sent."""
    busy_minutes(sandbox, 3)
    lines, seconds = 500_000, 80_000
    template = (
        b'{"id":"%07d","type":"CONVERSATION/NOTE_CREATED","timestamp":"%s","initiator":{"id":"a","type":'
        b'"AGENT"},"content":{"customerId":"c","conversationId":"v","noteId":"n"}}\n'
    )
    begin, per_second = time.time() - seconds - 600, lines // seconds + 1
    wanted = b"".join(feed_lines(sandbox))

    def body():
        for first in range(0, lines, 50 * per_second):
            at = time.gmtime(begin + first / per_second)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", at).encode()
            yield b"".join([template % (n, stamp) for n in range(first, min(lines, first + 50 * per_second))])
        yield wanted

    proxy.on(EVENTS, answering(body, JSON_LINES, "Connection: close"))
    done = run_measured(through)
    assert (done.returncode, problems(sandbox)) == (0, []), done.stderr
    assert rows(through.state_path, "SELECT sum(changes) AS n FROM polls") == [{"n": lines + 6}]
    assert done.peak_bytes - idle_bytes < 12 * MB


# Row A20


@pytest.fixture
def hurried(tuned):
    """Deadlines of a second or less in place of half a minute, and two attempts a call."""
    tuned(retry={"max_attempts": 2})
    deadlines = ("events_head_deadline_s", "events_line_deadline_s", "request_deadline_s")
    tuned(gladly=dict.fromkeys(deadlines, 0.4))


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
def test_a20_a_slow_drip_ends_at_the_deadline(begin, sandbox, proxy, impatient, hurried, path, slow):
    """A byte now and then keeps no call alive: a whole answer, or a whole line, is due in time."""
    busy_minutes(sandbox, 1)
    program = begin(gladly=proxy.url)
    proxy.on(path, slow)
    began = time.monotonic()
    result = program.run()
    assert time.monotonic() - began < 6
    assert exit_code_of(result.gladly_error) == 1
    assert "in time" in str(result.gladly_error)
    assert program.events() == []
    proxy.script.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []


def test_a20_a_head_that_never_comes_ends_at_the_deadline(begin, sandbox, impatient, hurried):
    """Also where not a single byte is sent."""
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
