"""
Decide what a change means, and make its event. This room is pure: it has no I/O and no clock.

May import: `state.records` and `state.instants`, and nothing that opens a socket or a file.

Doors:

* `changes`: the Events API and the report are both read as `Change` and `Chunk`.
* `transitions`: `decide_all` is the diff. `known_closes`: `moments_to_recall` says what the diff must know.
* `at_the_change`: `agent_and_topics` says what was true when a conversation was closed, and `traits_after`
  what was true of its customer after a change.
* `track`: `track_event` and `identify_call` make the bytes to send. `message_id` makes their ids. `options`
  says how they may differ.
* `schema`: `json_schema`, `segment_rules` and `rudderstack_plan` describe the form of the events.
* `gladly_objects`: `GladlyConversation` and `Profile` are what Gladly shows now.
"""
