"""Gladly's answers are too large, or have too many lines (faults A11, A12)."""

import functools
import time
import zlib
from datetime import timedelta

import pytest

from sandbox import Sandbox
from state.instants import from_text
from support.answers import answering
from support.checker import problems
from support.endpoints import CONVERSATIONS, EVENTS, PROFILES
from support.feed_lines import feed_lines
from support.installation import Installation
from support.measuring import linux_only, run_measured
from support.state_file import quarantined, rows
from support.worlds import busy_minutes

pytestmark = pytest.mark.long


MB = 1_000_000


JSON_LINES = "Content-Type: application/x-jsonlines"


@pytest.fixture
def through(tmp_path, sandbox, proxy):
    """The program runs as a process, with a proxy between it and Gladly."""
    settings = {"GLADLY_SEGMENT_SYNC__START": "23h", "GLADLY_SEGMENT_GLADLY__BASE_URL": proxy.url}
    return Installation(tmp_path, sandbox, settings)


@pytest.fixture(scope="module")
def idle_bytes(tmp_path_factory):
    """Return how many bytes the program holds in memory when nothing is wrong and there is nothing to do."""
    with Sandbox() as quiet:
        return run_measured(Installation(tmp_path_factory.mktemp("idle"), quiet)).peak_bytes


@functools.cache
def bomb_of_300_mb():
    """Return 0.3 MB of gzip that unpack to 300 MB."""
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(b'{"id":"')]
    parts += [packer.compress(b" " * MB) for _ in range(300)]
    return b"".join([*parts, packer.compress(b'"}'), packer.flush()])


@linux_only
def test_a_line_of_64_mb_is_quarantined_without_being_held(through, sandbox, proxy, idle_bytes):
    """
    The time to read the line grows only with its length. A few KB of it are kept, and the lines around it are
    processed (faults A11).
    """
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
def test_a_line_without_an_end_is_given_up(through, sandbox, proxy, idle_bytes):
    """
    The sync reads a fixed number of bytes of it. Memory stays flat, the error names the reason, and the
    watermark stays (faults A11).
    """
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
    ((position,),) = rows(through.state_path, "SELECT position FROM watermark")
    assert from_text(position) <= start
    assert quarantined(through.state_path) == []


@linux_only
@pytest.mark.parametrize("path", [EVENTS, CONVERSATIONS, PROFILES], ids=["feed", "conversation", "profile"])
def test_a_gzip_bomb_is_not_unpacked(through, sandbox, proxy, idle_bytes, path):
    """
    0.3 MB would unpack to 300 MB. The answer is refused, or read no further than the longest answer allowed
    (faults A11).
    """
    busy_minutes(sandbox, 1)
    bomb = bomb_of_300_mb()
    headers = (JSON_LINES, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    proxy.on(path, answering(lambda: iter([bomb]), *headers))
    done = run_measured(through)
    assert done.returncode == (1 if path == EVENTS else 0)  # one object holds back its own events
    assert "Gladly" in done.stderr or "compresses" in done.stderr
    assert done.peak_bytes - idle_bytes < 60 * MB
    assert done.seconds < 15
    proxy.script.clear()
    through.run("retry", "--all")
    assert run_measured(through).returncode == 0
    assert problems(sandbox) == []


@linux_only
@pytest.mark.parametrize("size", [40 * MB])
def test_an_answer_longer_than_any_object_is_refused(through, sandbox, proxy, idle_bytes, size):
    """
    The profile is uncompressed and never ends. No more of it is read than the longest answer allowed
    (faults A11).
    """
    busy_minutes(sandbox, 1)
    proxy.on(
        PROFILES,
        answering(lambda: (b" " * MB for _ in range(size // MB)), JSON_LINES, f"Content-Length: {size}"),
    )
    done = run_measured(through)
    assert done.returncode == 0
    assert "sent over 1000000 bytes" in done.stderr
    assert done.peak_bytes - idle_bytes < 60 * MB


@linux_only
def test_half_a_million_lines_are_read_in_flat_memory(through, sandbox, proxy, idle_bytes):
    """
    Each chunk is committed and then dropped from memory. The conversations among the lines are sent
    (faults A12).
    """
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
    assert rows(through.state_path, "SELECT sum(changes) FROM polls") == [(lines + 6,)]
    assert done.peak_bytes - idle_bytes < 12 * MB
