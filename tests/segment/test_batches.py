"""Packing events into batches: their order, and Segment's limits to the byte (semantics 4.3, faults D5)."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.records import PendingEvent
from support.outbox_samples import payload_of
from sync.segment.batches import body_of, pack, probes_of
from sync.segment.limits import SegmentLimits

LIMITS = SegmentLimits()
ENVELOPE = len(b'{"batch":[]}')


def pending(*payloads):
    """What the outbox holds."""
    return [PendingEvent(("", n), f"message-{n}", payload) for n, payload in enumerate(payloads)]


@pytest.mark.parametrize(
    ("missing", "batches"),
    [(1, [20]), (0, [20]), (-1, [19, 1])],
    ids=["a byte less", "exactly", "a byte more"],
)
def test_a_batch_takes_as_many_bytes_as_fit_and_not_one_more(missing, batches):
    """On the bytes as sent, the envelope and the commas counted: 500,000, also to the byte."""
    sizes = [25_000] * 19
    sizes.append(LIMITS.batch_max_bytes - ENVELOPE - sum(sizes) - len(sizes) - missing)
    packed = list(pack(pending(*(payload_of(n, size) for n, size in enumerate(sizes))), LIMITS))
    assert [len(batch) for batch in packed] == batches
    if missing >= 0:
        assert len(body_of(packed[0])) == LIMITS.batch_max_bytes - missing


@pytest.mark.parametrize(("count", "batches"), [(2_500, [2_500]), (2_501, [2_500, 1]), (0, [])])
def test_a_batch_takes_2500_events_and_not_one_more(count, batches):
    """However small they are."""
    assert [len(batch) for batch in pack(pending(*[b"{}"] * count), LIMITS)] == batches


def test_the_last_batch_may_be_left_out():
    """It would have taken more; a batch is whole when the next event does not fit."""
    limits = LIMITS._replace(batch_max_events=2)
    assert [len(batch) for batch in pack(pending(*[b"{}"] * 5), limits, whole_only=True)] == [2, 2]
    assert [len(batch) for batch in pack(pending(*[b"{}"] * 4), limits, whole_only=True)] == [2]


@given(
    sizes=st.lists(st.integers(2, 40), max_size=30),
    most_bytes=st.integers(ENVELOPE + 40, 200),
    most_events=st.integers(1, 10),
)
def test_no_event_is_lost_moved_or_sent_beyond_a_limit(sizes, most_bytes, most_events):
    """Whatever the sizes and the limits."""
    events = pending(*(b'"' + b"x" * (size - 2) + b'"' for size in sizes))
    limits = SegmentLimits(batch_max_bytes=most_bytes, batch_max_events=most_events)
    batches = list(pack(events, limits))
    assert [event for batch in batches for event in batch] == events
    assert all(0 < len(batch) <= most_events for batch in batches)
    assert all(len(body_of(batch)) <= most_bytes for batch in batches)


def test_a_body_is_the_stored_bytes():
    """Also those that this release would have written otherwise."""
    first, second = b'{ "a" : 1.50 }', b'{"b":"\\u0061"}'
    body = body_of(pending(first, second))
    assert body == b'{"batch":[' + first + b"," + second + b"]}"
    assert json.loads(body_of([])) == {"batch": []}


def of_conversations(*conversations):
    """Events of these conversations, in order."""
    return pending(*(json.dumps({"properties": {"conversationId": c}}).encode() for c in conversations))


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40), st.integers(1, 6))
def test_events_that_are_tried_alone_leave_no_conversation_out_of_order(conversations, count):
    """The first two, and others of which each is the first of its conversation (semantics 4.4)."""
    batch = of_conversations(*conversations)
    probes = probes_of(batch, count)
    assert probes[:2] == batch[: min(2, count)]
    assert len(probes) == len({probe.message_id for probe in probes}) <= count
    assert probes == sorted(probes)
    for probe in probes[2:]:
        n = probe.position[1]
        assert conversations[n] not in conversations[:n]


def test_events_that_are_tried_alone_are_others_every_time():
    """So that no events at certain places can hold up the others for good (semantics 4.4)."""
    batch = of_conversations(*map(str, range(100)))
    tried = {probe.message_id for _ in range(50) for probe in probes_of(batch, 4)[2:]}
    assert len(tried) > 30


def test_an_event_that_names_no_conversation_is_its_own():
    """An older release may have stored anything."""
    batch = pending(b"{}", b"[]", b'{"properties":{"conversationId":7}}', b"\xff", payload_of(1))
    assert probes_of(batch, 9) == batch


def test_an_identify_call_is_never_tried_alone_by_chance():
    """It follows its track event, which may be in the same batch (semantics 1.4)."""
    call = b'{"type":"identify","userId":"u","messageId":"m","traits":{"has_open_gladly_conversation":true}}'
    batch = pending(*(payload for n in range(20) for payload in (payload_of(n), call)))
    for _ in range(20):
        assert [e for e in probes_of(batch, 6)[2:] if e.payload == call] == []
