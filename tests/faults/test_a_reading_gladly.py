"""What Gladly's feed may do wrong, and what must not come of it (rows A1-A10, A13, A14)."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from sandbox import Fault
from state import PollOutcome
from state.instants import from_text
from support.checker import problems, verdicts
from support.endpoints import CONVERSATIONS, EVENTS, PROFILES
from support.feed_lines import feed_lines, line_of
from support.program import OVERLAP
from support.raw_server import Proxy, RawResponse, cut, gzip, reframe, rewrite
from support.state_file import quarantined, rows
from support.worlds import busy_minutes
from sync.cli.main import exit_code_of


def names_in_order(sandbox):
    return [(e["properties"]["conversationId"], e["event"].split()[-1]) for e in sandbox.inbox.received]


def newest_stored(program):
    return max(from_text(event["occurred_at"]) for event in program.events())


# A1-A3: when changes show, and in which order


def test_a1_a_second_event_of_the_same_millisecond_that_shows_one_poll_later_is_sent(begin, sandbox):
    """Both ends of a window are read again, so an instant is never passed over half read."""
    at = sandbox.clock.now() - timedelta(seconds=1)
    for name, late_s in (("Ana", 0), ("Bea", 10)):
        sandbox.world.open_conversation(sandbox.world.add_customer(name), at=at, late_s=late_s)
    program = begin()
    program.run()
    assert len(sandbox.inbox.received) == 1
    assert program.watermark <= at
    sandbox.clock.advance(12)
    program.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 2


def test_a2_a_close_that_shows_beyond_the_overlap_is_found_by_the_reconciler(begin, sandbox):
    """What no poll could see any more is found by looking, and sent as if the feed had shown it in time."""
    world = sandbox.world
    customer = world.add_customer("Ana", recorded=False)
    conversation = world.open_conversation(customer, at=sandbox.clock.now() - timedelta(hours=2))
    without = begin(SYNC__START="3h", SYNC__RECONCILE="off")
    without.run()
    closed_at = sandbox.clock.now()
    world.close(conversation, late_s=400)
    for _ in range(5):
        sandbox.clock.advance(100)
        without.run()
    assert without.watermark > closed_at
    assert verdicts(problems(sandbox)) == [("lost", conversation.id)]
    without.close()
    with_it = begin(SYNC__START="3h", SYNC__RECONCILE="1s")
    with_it.run()
    assert problems(sandbox) == []
    with_it.store.reset_watermark(
        closed_at - timedelta(seconds=1)
    )  # and the feed's own line is the same close
    with_it.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.attempts) == 2


@pytest.mark.parametrize("late_s", [14.9, 60])
def test_a2_an_event_that_shows_late_and_is_older_than_the_newest_is_sent(begin, sandbox, late_s):
    """The watermark stays the overlap behind Gladly's clock, so what shows within it is still read."""
    world, at = sandbox.world, sandbox.clock.now()
    late = world.open_conversation(world.add_customer("Late"), at=at, late_s=late_s)
    sandbox.clock.advance(1)
    world.open_conversation(world.add_customer("Newer"), late_s=0)
    program = begin()
    while sandbox.clock.now() < at + timedelta(seconds=late_s):
        program.run()
        assert late.id not in {id_ for id_, _ in names_in_order(sandbox)}
        assert program.watermark <= at
        sandbox.clock.advance(5)
    program.run()
    assert problems(sandbox) == []


def test_a3_events_out_of_order_and_repeated_are_sent_once_and_in_recorded_order(begin, sandbox):
    """A change is known by its id, and order is by instant: neither is left to the feed."""
    ids = busy_minutes(sandbox, 20)
    draw = random.Random(3)
    sandbox.faults.rewrite_feed(lambda lines: draw.sample(lines * 3, len(lines) * 3))
    program = begin()
    for _ in range(3):
        assert program.run().errors == []
    assert names_in_order(sandbox) == [(id_, kind) for id_ in ids for kind in ("Created", "Closed")]
    assert len(sandbox.inbox.attempts) == 40
    assert problems(sandbox) == []


def test_a3_an_event_repeated_in_two_answers_is_one_transition(begin, sandbox):
    """The overlap is read again with every poll, and by every new process."""
    conversation = sandbox.world.open_conversation(sandbox.world.add_customer("Ana"))
    program = begin()
    program.run()
    before = sandbox.inbox.attempts[0].raw
    for _ in range(2):
        program.restart()
        sandbox.clock.advance(5)
        program.run()
    sandbox.world.close(conversation)
    program.run()
    assert names_in_order(sandbox) == [(conversation.id, "Created"), (conversation.id, "Closed")]
    assert [a.raw for a in sandbox.inbox.attempts].count(before) == 1
    assert problems(sandbox) == []


# A4: how an instant is written

_TIMESTAMP = re.compile(rb'"timestamp":"([^"]+)"')


def spelt(instant, digits, hours):
    """The same instant with so many fractional digits, at an offset of so many hours (None: Z)."""
    local = instant if hours is None else (instant + timedelta(hours=hours))
    fraction = f"{instant.microsecond:06d}"[:digits]
    offset = "Z" if hours is None else f"{hours:+03d}:00"
    return f"{local:%Y-%m-%dT%H:%M:%S}{'.' if digits else ''}{fraction}{offset}".encode()


@pytest.mark.parametrize("digits", [0, 1, 2, 3, 6], ids=lambda n: f"{n} digits")
@pytest.mark.parametrize("hours", [None, 0, -9, 14], ids=lambda h: "Z" if h is None else f"{h:+}h")
def test_a4_an_instant_may_be_spelt_in_any_way(begin, sandbox, digits, hours):
    """The watermark, the order and the ids go by the instant, not by its text."""
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
    sandbox.faults.rewrite_feed(None)  # the same changes, spelt another way, are no others
    program.store.reset_watermark(at - timedelta(seconds=1))
    program.run()
    assert len(sandbox.inbox.attempts) == 2
    assert problems(sandbox) == []


def test_a4_the_watermark_behind_a_cut_compares_instants_where_texts_sort_otherwise(
    begin, sandbox, impatient
):
    """Offsets that make the newest instant the smallest text, in an answer that breaks off after it."""
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


# A5-A7: answers that are not whole


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a5_a_body_cut_at_the_same_place_again_and_again_moves_the_watermark_to_what_is_stored(
    begin, sandbox, impatient, framing, how
):
    """Each cycle says so and keeps what it has; when the answers are whole again nothing is missing."""
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
def test_a5_a_long_body_cut_ever_further_on_is_read_to_its_end_in_one_cycle(
    begin, sandbox, impatient, framing
):
    """A stream that breaks off is asked for again from the last whole change, while that gets it further."""
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
def test_a6_a_body_without_a_length_that_ends_early_loses_nothing(begin, sandbox, impatient, beyond):
    """Nobody can tell that it was cut, so the watermark follows its newest change, not Gladly's clock."""
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


def test_a6_a_body_without_a_length_and_without_a_line_moves_nothing(begin, sandbox):
    """An empty answer that does not tell its end may have been cut before its first line."""
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


@pytest.mark.parametrize("variant", ["whole", "cut", "bad_crc", "plain"])
def test_a7_events_in_gzip_are_refused_since_a_cut_would_look_like_an_end(begin, sandbox, variant):
    """The feed is asked for uncompressed; where it comes compressed all the same, nothing moves."""
    busy_minutes(sandbox, 10)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        proxy.on(EVENTS, gzip(variant))
        program.run()
        before = program.watermark
        result = program.run()
        assert exit_code_of(result.gladly_error) == 1
        assert "compresses the events although asked not to" in str(result.gladly_error)
        assert (program.events(), program.watermark) == ([], before)
        proxy.script.clear()
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("path", [CONVERSATIONS, PROFILES])
@pytest.mark.parametrize("variant", ["whole", "cut", "bad_crc", "plain"])
def test_a7_a_conversation_or_profile_in_bad_gzip_is_asked_for_again(
    begin, sandbox, impatient, variant, path
):
    """Neither half a body nor one that fails its checksum is taken for the whole; at the latest next time."""
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(path, gzip(variant), times=2)
        program = begin(gladly=proxy.url)
        result = program.run()
        if result.errors:
            assert "Gladly" in str(result.gladly_error)
            assert "<class" not in str(result.gladly_error), "an error is for the person who reads it"
            assert program.events() == []
            assert program.run().errors == []
    assert problems(sandbox) == []


def test_a7_gzip_that_never_becomes_good_is_an_error_after_so_many_tries(begin, sandbox, impatient):
    """Then nothing of the chunk is taken in, and the next cycle that can reads it again."""
    busy_minutes(sandbox, 1)
    with Proxy(sandbox.gladly_url) as proxy:
        program = begin(gladly=proxy.url)
        proxy.on(PROFILES, gzip("bad_crc"))
        result = program.run()
        tries = [path for _, path in proxy.seen if "customer-profiles" in path]
        assert 2 <= len(tries) <= 12
        assert "Gladly could not be reached" in str(result.gladly_error)
        assert program.events() == []
        assert program.watermark <= sandbox.clock.now() - timedelta(minutes=9)
        proxy.script.clear()
        program.run()
    assert problems(sandbox) == []


# A8-A10: lines that are not as they should be

_BAD_LINES = [
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"2026-11-0',
    b"{broken",
    b"\xff\xfe\xfd",
    b"[1,2]",
    b'"text"',
    b"17",
    b"null",
    b"{}",
    b'{"id":"x","type":"CONVERSATION/CREATED"}',
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"yesterday","content":{}}',
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"9999-12-31T23:59:59-09:00","content":{}}',
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"2026-11-02T12:00:00Z"}',
    b'{"id":"x","type":"CONVERSATION/CLOSED","timestamp":"2026-11-02T12:00:00Z","content":{"customerId":"c"}}',
    b'{"id":"x","type":"CUSTOMER/MERGED","timestamp":"2026-11-02T12:00:00Z","content":{}}',
    b'{"id":null,"type":"CONVERSATION/CREATED","timestamp":"2026-11-02T12:00:00Z","content":{}}',
]


def test_a8_lines_that_are_no_events_are_kept_with_their_reason_and_passed_over(installation, sandbox):
    """One bad line does not stop the sync, is not lost, and marks the poll that met it, and only that one."""
    busy_minutes(sandbox, 10)
    sandbox.faults.rewrite_feed(lambda lines: [*lines[:9], *(b + b"\n" for b in _BAD_LINES), *lines[9:]])
    done = installation.run("once")
    assert done.returncode == 0, done.stderr
    kept = quarantined(installation.state_path)
    assert [line.encode() for line, _ in kept if "\ufffd" not in line] == [
        line for line in _BAD_LINES if line.isascii()
    ]
    assert len(kept) == len(_BAD_LINES)
    assert all(reason for _, reason in kept)
    assert done.stderr.count("line.quarantined") == len(_BAD_LINES)
    assert problems(sandbox) == []
    assert installation.run("once").returncode == 0
    polls = rows(installation.state_path, "SELECT outcome FROM polls ORDER BY id")
    assert polls == [("degraded",), ("ok",)]
    assert len(quarantined(installation.state_path)) == len(_BAD_LINES)


@pytest.mark.parametrize("killed_at", ["take_in.events:1", "take_in.watermark:1", "transaction.commit:1"])
def test_a8_the_watermark_never_passes_a_bad_line_that_is_not_stored(installation, sandbox, killed_at):
    """The quarantined row and the watermark are one transaction: killed within it, neither is there."""
    sandbox.faults.rewrite_feed(lambda lines: [*lines, b"{broken\n"])
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = killed_at
    assert installation.run("once").returncode == -9
    assert rows(installation.state_path, "SELECT * FROM watermark") == []
    assert quarantined(installation.state_path) == []
    del installation.settings["GLADLY_SEGMENT_FAILPOINT"]
    assert installation.run("once").returncode == 0
    assert [line for line, _ in quarantined(installation.state_path)] == ["{broken"]
    assert len(rows(installation.state_path, "SELECT * FROM watermark")) == 1


def test_a9_types_and_fields_nobody_has_heard_of_are_passed_over_at_no_cost(begin, sandbox):
    """Gladly adds types and fields as it likes: a change of an unknown type is counted and means nothing."""
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


def test_a9_new_fields_beside_those_we_know_change_nothing(begin, sandbox):
    """In the event, in its content and in the context, of any kind."""

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
def test_a9_a_renamed_field_is_a_bad_line_with_its_reason(begin, sandbox, old, new):
    """Of one event in the middle: the others are processed, and the reason names the field."""
    ids = busy_minutes(sandbox, 3)
    sandbox.faults.rewrite_feed(lambda lines: [*lines[:2], lines[2].replace(old, new, 1), *lines[3:]])
    program = begin()
    result = program.run()
    assert (result.errors, result.poll.outcome) == ([], PollOutcome.DEGRADED)
    ((_, reason),) = quarantined(program.path)
    assert old.strip(b'":').decode() in reason
    assert verdicts(problems(sandbox)) == [("lost", ids[1])]
    sandbox.faults.rewrite_feed(None)  # once it is mended at Gladly, a resync finds it
    program.store.reset_watermark(sandbox.clock.now() - timedelta(minutes=10))
    program.run()
    assert problems(sandbox) == []


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
def test_a10_hostile_values_break_no_more_than_their_own_line(begin, sandbox, value):
    """In every field in turn: the line is understood or quarantined, the rest is processed."""
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
    sandbox.faults.rewrite_feed(lambda lines: [*lines[:3], *spoilt, *lines[3:]])
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
def test_a10_a_hostile_value_beside_what_matters_loses_no_transition(begin, sandbox, value):
    """In a field that nobody reads: the transition is sent, or its line is in quarantine, never neither."""
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


def test_a10_line_ends_are_newlines_and_nothing_else(begin, sandbox):
    """U+2028, U+0085 and the like stand in strings: two lines are two lines, not four."""
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
def test_a10_a_customer_may_be_called_anything(begin, sandbox, name, shown):
    """It arrives as it is; half a surrogate pair, which no encoding has, as U+FFFD."""
    busy_minutes(sandbox, 1)

    def renamed(answer):
        return RawResponse(200, "OK", answer.headers, answer.body.replace(b"Customer 0", name))

    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(PROFILES, rewrite(renamed))
        assert begin(gladly=proxy.url).run().errors == []
    assert [e["properties"]["customerName"] for e in sandbox.inbox.received] == [shown] * 2


# A13, A14: answers that only look like "nothing happened"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("text/html", b"<!doctype html><title>Maintenance</title>", id="a page"),
        pytest.param("text/html; charset=utf-8", b"Be right back.", id="a page without a tag"),
        pytest.param("application/x-jsonlines", b"\n  <html>\n", id="a page that says it is events"),
        pytest.param("text/plain", b"\xef\xbb\xbf<html></html>", id="a page after a byte order mark"),
        pytest.param("application/xml", b"<error/>", id="XML"),
        pytest.param("application/json", b'{"errors":[{"detail":"sorry"}]}', id="an error"),
        pytest.param("application/json", b'{"errors":{"detail":"sorry"}}', id="an error, not in a list"),
        pytest.param(
            "application/json",
            b'{\n  "errors": [\n    {"detail": "sorry"}\n  ]\n}\n',
            id="an error, indented",
        ),
        pytest.param("application/json", b'{"message":"Internal server error"}', id="a gateway's error"),
        pytest.param("application/json", b'{"error":{"code":500}}', id="another gateway's error"),
        pytest.param("text/plain", b"upstream connect error or disconnect/reset before headers", id="text"),
    ],
)
def test_a13_a_page_or_an_error_answered_with_200_is_not_no_events(begin, sandbox, content_type, body):
    """The watermark stays, the error says what came, and the events are read when they come."""
    busy_minutes(sandbox, 2)
    program = begin()
    program.run()
    sandbox.clock.advance(300)
    busy_minutes(sandbox, 3, over_s=60)
    before = program.watermark
    sandbox.faults.add("gladly", EVENTS, Fault(200, body=body, content_type=content_type, times=None))
    for _ in range(2):
        result = program.run()
        sandbox.clock.advance(120)
    assert result.gladly_error is not None
    assert exit_code_of(result.gladly_error) == 1
    assert re.search(r"page|error|something else", str(result.gladly_error))
    assert program.watermark == before
    sandbox.faults.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []


def test_a14_events_that_show_after_many_empty_polls_are_sent(begin, sandbox):
    """However often the answer is empty, the watermark stays the overlap behind Gladly's clock."""
    program = begin()
    program.run()
    world = sandbox.world
    for name in ("Ana", "Bea"):
        world.open_conversation(world.add_customer(name))
    sandbox.faults.rewrite_feed(lambda lines: [])
    watermarks = []
    for _ in range(6):
        sandbox.clock.advance(9.5)
        assert program.run().errors == []
        watermarks.append(program.watermark)
        assert program.watermark == sandbox.clock.now().replace(microsecond=0) - OVERLAP
    assert all(earlier < later for earlier, later in pairwise(watermarks))
    sandbox.faults.rewrite_feed(None)
    program.run()
    assert problems(sandbox) == []
    assert len(sandbox.inbox.received) == 2


def test_a14_the_watermark_follows_gladly_s_clock_not_ours(begin, sandbox):
    """A machine whose clock is a day off reads the same windows."""
    sandbox.clock.set(datetime(2026, 3, 1, 12, tzinfo=UTC))
    program = begin()
    for _ in range(3):
        program.run()
        assert program.watermark == sandbox.clock.now().replace(microsecond=0) - OVERLAP
        sandbox.clock.advance(3600)
