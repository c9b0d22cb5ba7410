"""
Read changes and objects from Gladly's REST API. Nothing is written to Gladly.

May import: `sync.events`, `sync.http`, the root files of `sync`, `state.records`, `state.instants`,
`state.failpoints`.

Doors:

* `client`: `GladlyClient` makes the requests and judges each answer once.
* `feed`: `ChangeFeed` shows what happened as one stream of changes.
* `lookups`: `Lookups` fetches and keeps what conversations, profiles, agents and topics look like now.
* `limits`: `GladlyLimits` holds what Gladly allows, and every number of this room.

Behind them: `events_api` reads the Events API, `report` asks for the report a day at a time, `report_rows`
reads its CSV, `pacer` keeps the pace of requests, `models` defines what is read from an answer.
"""
