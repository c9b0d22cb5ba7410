"""
The sync: sends one Segment track event for each Gladly conversation created or closed.

A change passes through the rooms in this order: `gladly` reads it, `events` decides which transition it means
    and makes
the track event, `pipeline` stores the event with `state`, and `segment` delivers it. `pipeline` runs these
steps in a cycle, and `audit` proves the result against a second source. `runtime` runs cycles on a schedule,
`telemetry` tells what they did, `settings` configures them, `http` has the connections, and `cli` is the
terminal.

The files at this level (`errors`, `stop`, `printable`, `reports`) import nothing of `sync` except each other.
"""

__version__ = "0.1.0"
