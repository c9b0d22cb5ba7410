"""
The world's time: the clock that both services show, and the way in which Gladly writes instants.

May import: nothing of the sandbox.

Doors: `Clock` (clock.py); `floor_ms`, `event_time`, `object_time`, `parse_instant` (instants.py).
"""
