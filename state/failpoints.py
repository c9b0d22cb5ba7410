"""
Lets a test end, break or hang the process at named points, to prove that nothing is lost (faults C1, F).

`GLADLY_SEGMENT_FAILPOINT=name:n` kills the process with SIGKILL at the n-th pass of a point. `name:n:raise`
raises there, `name:n:exit` calls `sys.exit`, `name:n:sleep` hangs. While the variable is not set, a point
costs one comparison.
"""

import os
import signal
import sys
import time

# All points, in the order in which a first cycle passes them. A test passes each at least once.
NAMES = (
    "cycle.begin",
    "migrate.begin",
    "migrate.commit",
    "gladly.request",
    "gladly.answer",
    "commit.begin",
    "commit.seen",
    "commit.conversations",
    "commit.events",
    "commit.watermark",
    "transaction.commit",
    "transaction.committed",
    "lookup.begin",
    "lookup.conversations",
    "lookup.events",
    "segment.request",
    "segment.answer",
    "poll.record",
    "cycle.end",
    "tidy.end",
)


class FailpointError(Exception):
    """A test asked for this error. Nothing else raises it."""


def _armed() -> tuple[str, int, str] | None:
    name, _, rest = os.environ.get("GLADLY_SEGMENT_FAILPOINT", "").partition(":")
    if not name:
        return None
    number, _, action = rest.partition(":")
    return name, int(number or 1), action or "kill"


_ARMED = _armed()
_passes = 0


def failpoint(name: str) -> None:
    """Pass the point *name*: go on, or do what the environment asks for."""
    if _ARMED is not None and _ARMED[0] == name:
        _fail(*_ARMED)


def _fail(name: str, at: int, action: str) -> None:
    global _passes  # noqa: PLW0603 (a process has one count)
    _passes += 1
    if _passes != at:
        return
    match action:
        case "raise":
            raise FailpointError(name)
        case "exit":
            sys.exit(f"failpoint {name}")
        case "sleep":
            time.sleep(3_600)
        case _:
            os.kill(os.getpid(), signal.SIGKILL)
