"""
The pure middle: what a change means, and the event that it makes. No I/O and no clock.

May import: `state.records` and `state.instants`, and nothing that opens a socket or a file.

Doors:

* `changes`: `Change` and `Chunk` are what both of Gladly's sources give.
* `transitions`: `decide_all` is the diff. `known_closes`: `moments_to_recall` says what it must know.
* `track`: `track_event` makes the event's bytes; `message_id` makes its id; `options` says how it may differ.
* `gladly_objects`: a conversation and a profile, as Gladly shows them now.
"""
