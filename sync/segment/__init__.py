"""
Deliver events to Segment's HTTP Tracking API.

May import: `sync.events`, `sync.http`, the root files of `sync`, `state.records`, `state.failpoints`.

Doors:

* `client`: `SegmentClient` sends batches and says what became of each event (`Delivered`, `Rejected`).
* `batches`: `pack` puts events into batches. `body_of` makes a request's body from a batch.
* `limits`: `SegmentLimits` holds what Segment accepts, and every number of this room. `is_segments_own` and
  `looks_like_a_write_key` tell how Segment's own hosts and keys look.
"""
