"""The feed holds values that break many programs (faults A10)."""

import re
from datetime import timedelta

import pytest

from support.checker import problems, verdicts
from support.endpoints import PROFILES
from support.feed_lines import line_of
from support.proxy import Proxy, RawResponse
from support.proxy_actions import rewrite
from support.state_file import quarantined
from support.worlds import busy_minutes

_HOSTILE = {
    "a lone surrogate": rb'"\ud800"',
    "two surrogates the wrong way round": rb'"\udc00\ud800"',
    "NUL": rb'"a\u0000b"',
    "a raw NUL": b'"a\0b"',
    "U+2028": '"a\u2028b"'.encode(),
    "U+0085": '"a\u0085b"'.encode(),
    "a number of 5000 digits": b"1" * 5000,
    "a huge exponent": b"1e999999",
    "NaN": b"NaN",
    "100,000 levels of nesting": b"[" * 100_000 + b"]" * 100_000,
    "bytes that are not UTF-8": b'"\xc3\x28\xff"',
    "a very long string": b'"' + b"x" * 900_000 + b'"',
}


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in _HOSTILE.items()])
def test_hostile_values_break_no_more_than_their_own_line(begin, sandbox, value):
    """
    The value stands in each field in turn. The line is understood or quarantined, and the others are
    processed (faults A10).
    """
    busy_minutes(sandbox, 4)
    whole = line_of("from-nowhere", sandbox).rstrip(b"}\n")
    spoilt = [
        whole.replace(old, b'"%s": %s' % (name, value)) + b"}}\n"
        for old, name in (
            (b'"id": "change-from-nowhere"', b"id"),
            (b'"type": "CONVERSATION/CREATED"', b"type"),
            (re.search(rb'"timestamp": "[^"]+"', whole)[0], b"timestamp"),
            (b'"customerId": "nobody"', b"customerId"),
            (b'"conversationId": "from-nowhere"', b"conversationId"),
        )
    ]
    spoilt.append(b'{"content": %s, "id": "y", "type": "CUSTOMER/MERGED", "timestamp": "2026"}\n' % value)
    spoilt.append(b'{"id": "z", %s: 1, "type": "A/B", "timestamp": "2026-11-02T12:00:00Z"}\n' % value)
    sandbox.faults.rewrite_feed(lambda lines: [*lines[:3], *spoilt, *lines[3:]] if lines else [])
    program = begin()
    for _ in range(2):
        assert program.run().errors == []
    assert problems(sandbox) == []
    assert program.watermark > sandbox.clock.now() - timedelta(minutes=2)
    kept = quarantined(program.path)
    assert all(reason for _, reason in kept)
    assert all(len(line.encode()) <= 3 * 4096 for line, _ in kept)
    assert any("conversationId" in line or len(line) >= 4000 for line, _ in kept)


@pytest.mark.parametrize("value", [pytest.param(value, id=name) for name, value in _HOSTILE.items()])
def test_a_hostile_value_beside_what_matters_loses_no_transition(begin, sandbox, value):
    """
    The value stands in a field that the sync does not read. The transition is sent, or its line is in
    quarantine. One of the two always holds (faults A10).
    """
    ids = busy_minutes(sandbox, 3)
    sandbox.faults.rewrite_feed(
        lambda lines: [
            *lines[:2],
            lines[2].replace(b'"content":{', b'"content":{"new":%s,' % value),
            *lines[3:],
        ]
    )
    program = begin()
    assert program.run().errors == []
    lost = verdicts(problems(sandbox))
    assert lost in ([], [("lost", ids[1])])
    assert len(quarantined(program.path)) == len(lost)


def test_line_ends_are_newlines_and_nothing_else(begin, sandbox):
    """
    U+2028, U+0085 and similar characters may stand in strings. Two lines are two lines, not four
    (faults A10).
    """
    for _ in range(2):
        sandbox.world.record("CONVERSATION/NOTE_CREATED", {"text": "a\u2028b\u0085c\u2029d\x0be\x1cf\r"})
    program = begin()
    assert program.run().poll.changes == 2
    assert quarantined(program.path) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param(rb"a\u0000b", "a\0b", id="NUL"),
        pytest.param("a\u2028b\u0085c".encode(), "a\u2028b\u0085c", id="U+2028 and U+0085"),
        pytest.param(rb"a\ud800b", "a\ufffdb", id="a lone surrogate"),
        pytest.param(rb"\ud83d\ude00", "\U0001f600", id="a proper pair"),
        pytest.param(rb"a\u001b[31m\r\nb", "a\x1b[31m\r\nb", id="a terminal's escape and a line break"),
    ],
)
def test_a_customer_may_be_called_anything(begin, sandbox, name, shown):
    """
    The name arrives as it is. Half a surrogate pair, which no encoding can hold, arrives as U+FFFD
    (faults A10).
    """
    busy_minutes(sandbox, 1)

    def renamed(answer):
        return RawResponse(200, "OK", answer.headers, answer.body.replace(b"Customer 0", name))

    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(PROFILES, rewrite(renamed))
        assert begin(gladly=proxy.url).run().errors == []
    assert [e["properties"]["customerName"] for e in sandbox.inbox.received] == [shown] * 2
