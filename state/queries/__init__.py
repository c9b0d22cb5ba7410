"""
Answers the questions about the state file. Each is defined once: a function that takes an open connection.

`Reader` asks them for `status`, `events`, `explain` and the metrics; the inspector asks the same ones for its
pages. No question writes, each is bounded, and each finds its rows by an index of `state.schema.steps`, so
that two million events take no longer to look at than two hundred.

* `state.queries.status`: what `status` says, and the limits it measures against.
* `state.queries.counts`: how many events and conversations there are; the oldest pending event.
* `state.queries.cycles`: the watermark, the cycles, the requests to Gladly.
* `state.queries.attention`: what needs a person, grouped.
* `state.queries.schedules`: how often a cycle is expected.
* `state.queries.events`: events for `events`; `state.queries.event_list`: events for the debugger page.
* `state.queries.conversations`: one conversation, its changes, its customer; the list of conversations.
* `state.queries.charts`: the figures of the Overview's charts.
"""
