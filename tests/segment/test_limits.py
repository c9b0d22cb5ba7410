"""Segment's limits: what is rejected before it is sent, and why."""

import pytest

from sync.segment.limits import SegmentLimits


def test_the_limits_are_segment_s():
    """Segment HTTP Tracking API: 500 KB and 2,500 events a batch, 32 KB an event."""
    limits = SegmentLimits()
    assert (limits.batch_max_bytes, limits.batch_max_events, limits.event_max_bytes) == (
        500_000,
        2_500,
        32_000,
    )


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        pytest.param(2, None, id="small"),
        pytest.param(32_000, None, id="exactly"),
        pytest.param(32_001, "32001 bytes, and Segment takes at most 32000 an event", id="a byte more"),
    ],
)
def test_an_event_that_is_too_large_is_told_with_its_size(size, reason):
    """Up to and including the limit it may be sent (semantics 4.4)."""
    assert SegmentLimits().too_large(b"x" * size) == reason
