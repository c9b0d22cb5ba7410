"""
Gladly's REST API, read only: the one end from which changes come.

May import: `sync.events`, `sync.http`, the root files of `sync`, `state.records`, `state.instants`,
`state.failpoints`.

Doors:

* `client`: `GladlyClient` makes the requests, each answer judged once.
* `feed`: `ChangeFeed` shows what happened as one stream of changes.
* `lookups`: `Lookups` fetches and keeps what conversations, profiles, agents and topics look like now.
* `clock`: `GladlyClock` weighs what the clocks say. `GladlyClient.gladly_clock` is fed by all answers.
* `limits`: `GladlyLimits` holds what Gladly allows, and every number of this room.

Behind them: `events_api` reads the Events API, `event_lines` its lines, `report` asks for the report a day at
a time, `report_rows` reads its CSV, `models` says what is read of an answer.
"""
