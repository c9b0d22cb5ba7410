"""
A local Gladly and a local Segment on loopback, around a small world that lives on its own.

Clients of either service cannot tell the difference. `Sandbox` runs both; `World` is what Gladly tells of,
`Clock` its time, `Faults` what goes wrong between them and their clients. Faults in the bytes themselves,
below HTTP, are in a proxy in `tests/support`.
"""

from sandbox.clock import Clock
from sandbox.edge import RequestSeen
from sandbox.faults import Fault, Faults
from sandbox.inbox import Inbox
from sandbox.server import Sandbox, serve
from sandbox.world import World

__all__ = ["Clock", "Fault", "Faults", "Inbox", "RequestSeen", "Sandbox", "World", "serve"]
