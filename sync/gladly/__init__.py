"""
Read changes and objects from Gladly's REST API. Nothing is written to Gladly.

May import: `sync.events`, `sync.http`, the root files of `sync`, `state.records`, `state.instants`,
`state.failpoints`.

Doors:

* `client`: `GladlyClient` makes the requests and judges each answer once.
* `feed`: `ChangeFeed` shows what happened as one stream of changes.
* `objects`: single objects, looked up and remembered (a room of its own).
* `clock`: `GladlyClock` weighs what the clocks say. `GladlyClient.gladly_clock` is fed by all answers.
* `limits`: `GladlyLimits` holds what Gladly allows, and every number of this room.

Behind them: `events_api` reads the Events API, `event_lines` its lines, `report` asks for the report a day at
a time, `report_rows` reads its CSV, `models` says what is read of an answer.
"""
