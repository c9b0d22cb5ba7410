"""
The sync: every Gladly conversation created or closed, one Segment track event, once.

In the order a change passes through: `gladly` (the HTTP edge), `transitions` (the diff), `track` (the
event), the state store, `segment` (the HTTP edge). `cycle` is where they meet.
"""

__version__ = "0.1.0"
