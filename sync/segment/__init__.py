"""Segment's HTTP Tracking API: `pack` events into batches within its limits, `SegmentClient` sends them."""

from sync.segment.batches import BATCH_MAX_BYTES, BATCH_MAX_EVENTS, body_of, pack
from sync.segment.client import Delivered, Rejected, SegmentClient

__all__ = ["BATCH_MAX_BYTES", "BATCH_MAX_EVENTS", "Delivered", "Rejected", "SegmentClient", "body_of", "pack"]
