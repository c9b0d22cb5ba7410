"""
Deliver events to Segment's HTTP Tracking API, and ask its Public API what became of them.

May import: `sync.events`, `sync.http`, the root files of `sync`, `state.records`, `state.instants`,
`state.failpoints`.

Doors:

* `client`: `SegmentClient` sends batches and says what became of each event (`Delivered`, `Rejected`).
* `batches`: `pack` puts events into batches. `body_of` makes a request's body from a batch.
* `public_api`: `PublicApi` tells which source has a key, and what Segment received and dropped.
* `public_api_answers`: what it tells, as typed values.
* `limits`: `SegmentLimits` and `PublicApiLimits` hold what Segment accepts, and every number of this room.
  `is_segments_own`, `region_of` and `looks_like_a_write_key` tell how Segment's own hosts and keys look.
"""
