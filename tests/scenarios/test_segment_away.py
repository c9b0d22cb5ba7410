"""Segment is away for long. Polling goes on, and afterwards everything is delivered in order."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault, Sandbox
from sandbox.world.bulk import fill
from state.reader import Reader
from support.installation import Installation

pytestmark = pytest.mark.long

EVENTS = int(os.environ.get("GLADLY_SEGMENT_BACKLOG", "2400"))
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_a_day_without_segment_is_delivered_in_order_and_within_limits(tmp_path):
    """
    Polls go on and record changes. Then everything is delivered in recorded order, in batches within
    Segment's limits.
    """
    with Sandbox(start=NOON, pace=0, lateness_s=0, requests_per_second=None) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        installation.settings["GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND"] = "100000"
        assert installation.run("once").returncode == 0
        sandbox.faults.add("segment", "*", Fault(status=503, times=None))
        for hour in range(2):
            fill(
                sandbox.world,
                conversations=EVENTS // 4,
                closed_fraction=1.0,
                at=NOON + timedelta(hours=5 * hour + 1),
                over_s=3 * 3_600,
            )
            sandbox.clock.set(NOON + timedelta(hours=5 * hour + 5))
            done = installation.run("once", timeout=100)
            assert done.returncode == 1
            assert "Segment" in done.stderr
            with Reader(installation.state_path) as reader:
                assert reader.last_poll()["changes"] >= EVENTS // 2
        with Reader(installation.state_path) as reader:
            assert reader.event_counts()["pending"] == EVENTS
        sandbox.faults.clear()
        assert installation.run("once", timeout=100).returncode == 0
        stored = [event["message_id"] for event in installation.events(status="delivered")]
        received = [event["messageId"] for event in sandbox.inbox.received]
        assert len(received) == EVENTS
        assert received == stored
        assert sandbox.inbox.dropped == []
        posts = [request for request in sandbox.segment_requests if request.status == 200]
        size = sum(request.body_bytes for request in posts)
        assert all(request.body_bytes <= 500_000 for request in posts)
        assert len(posts) <= size // 500_000 + 2
