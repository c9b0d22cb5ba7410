"""
Decide what a change means, and make its event. This room is pure: it has no I/O and no clock.

May import: `state.records` and `state.instants`, and nothing that opens a socket or a file.

Doors:

* `changes`: the Events API and the report are both read as `Change` and `Chunk`.
* `transitions`: `decide_all` is the diff. `known_closes`: `moments_to_recall` says what the diff must know.
* `at_the_close`: `agent_and_topics` says what was true when a conversation was closed.
* `track`: `track_event` makes the event's bytes. `message_id` makes its id. `options` says how it may differ.
* `schema`: `json_schema`, `segment_rules` and `rudderstack_plan` describe the form of the events.
* `gladly_objects`: `GladlyConversation` and `Profile` are what Gladly shows now.
"""
