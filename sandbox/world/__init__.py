"""
The organization behind the local Gladly: its people, their conversations, and every recorded change.

A world only does what it is told to do. `sandbox/simulation` makes one live on its own.

May import: `sandbox/timekeeping`.

Doors: `World` (world.py); `fill`, which makes a large history in little time (bulk.py); the records that a
world keeps and returns (records.py).
"""
