"""
A local Gladly and a local Segment on loopback, around a small world that lives on its own.

Clients of either service cannot tell the difference. `Sandbox` runs both; `World` is what Gladly tells of,
`Clock` its time, `Faults` what goes wrong between them and their clients. Faults in the bytes themselves,
below HTTP, are in a proxy in `tests/support`.
"""

from sandbox.segment.inbox import Inbox
from sandbox.server import Sandbox, serve
from sandbox.service.faults import Fault, Faults
from sandbox.service.middleware import RequestSeen
from sandbox.timekeeping.clock import Clock
from sandbox.world.world import World

__all__ = ["Clock", "Fault", "Faults", "Inbox", "RequestSeen", "Sandbox", "World", "serve"]
