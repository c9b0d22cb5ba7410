"""
The sync: sends one Segment track event for each Gladly conversation created or closed.

A change passes through the rooms in this order. `gladly` reads it. `events` decides which transition it means
and makes the track event. `pipeline` stores the event with `state`. `segment` delivers it.

Around them, `runtime` runs the cycles of `pipeline` on a schedule, and `audit` compares the result with a
second source. `telemetry` tells what they did, `settings` configures them, `http` has the connections, and
`cli` is the terminal.

The files at this level (`errors`, `stop`, `printable`, `reports`) import nothing of `sync` except each other.
"""

__version__ = "0.1.0"
