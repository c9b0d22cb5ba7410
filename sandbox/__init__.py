"""
A local Gladly and a local Segment on loopback, around a small world: for tests, measurements and the demo.

Clients of either service cannot tell the difference. The sandbox stands alone: it may import nothing of
`sync`, `state` or `inspector`. Of these, only `sync` imports the sandbox, in the commands that run it.

Its parts, from the bottom up:

* `timekeeping`: the world's time;
* `world`: what there is at Gladly, and what happened;
* `simulation`: a world that lives on its own;
* `service`: what both services have in common;
* `gladly`, `segment`: what each service answers;
* `server`: all of it, listening.

The sandbox is a library for tests, so its doors can be imported from here. `Sandbox` and `serve` run both
services. `World` is what Gladly shows, `Clock` is the world's time, `Inbox` holds what reached Segment, and
`Faults` decides what goes wrong between the services and their clients. Two doors are in their own files:
`fill`, which makes a large history (world/bulk.py), and `LivingWorld` (simulation/living_world.py).
"""

from sandbox.segment.inbox import Inbox
from sandbox.server import Sandbox, serve
from sandbox.service.faults import Fault, Faults
from sandbox.service.request_log import RequestSeen
from sandbox.timekeeping.clock import Clock
from sandbox.world.world import World

__all__ = ["Clock", "Fault", "Faults", "Inbox", "RequestSeen", "Sandbox", "World", "serve"]
