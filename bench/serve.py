"""
The sandbox in a process of its own, so that its CPU is not counted and it shares no interpreter lock.

    python -m bench.serve '{"latency_s": 0.2, "bulk": {"conversations": 1000}}'

The argument holds the arguments of `Sandbox` and, as `bulk`, those of `fill`. The process prints its URLs
as JSON once it listens. Then it answers commands, one JSON object a line: `bulk`, `seen`, `requests`,
`freshness`, `open`, `close`. It ends when its input ends.
"""

import json
import sys
from typing import Any

from sandbox import Sandbox
from sandbox.world.bulk import fill
from sandbox.world.records import Conversation


class Served:
    """A running sandbox and the commands that it answers."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._open: list[Conversation] = []

    def do(self, name: str, value: Any) -> Any:
        """
        Run one command and return its answer.

        Args:
            name: `bulk`, `open`, `close`, `requests`, `freshness` or `seen`.
            value: For `bulk` the arguments of `fill`; for `open` and `close` a number of conversations.
        """
        world = self._sandbox.world
        if name == "bulk":
            fill(world, **value)
            self._open = [known for known in world.conversations.values() if known.is_open]
        elif name == "open":
            agent = next(iter(world.agents.values()), None) or world.add_agent("Ada")
            for _ in range(value):
                customer = world.add_customer(recorded=False)
                self._open.append(world.open_conversation(customer, agent=agent))
        elif name == "close":
            for conversation in self._open[:value]:
                world.close(conversation)
            del self._open[:value]
        elif name == "requests":
            return [(r.path, r.at) for r in self._sandbox.gladly_requests]
        elif name == "freshness":
            return self._freshness()
        return {"gladly": len(self._sandbox.gladly_requests), "events": len(self._sandbox.inbox)}

    def _freshness(self) -> list[float]:
        """Return, for every event that arrived, the seconds from visible at Gladly to received at Segment."""
        kinds = {"created": "Gladly Conversation Created", "closed": "Gladly Conversation Closed"}
        visible = {
            (kinds[t.kind], t.conversation_id): t.visible_at
            for t in self._sandbox.world.truth()
            if t.kind in kinds
        }
        return [
            (attempt.at - visible[event["event"], event["properties"]["conversationId"]]).total_seconds()
            for attempt in self._sandbox.inbox.attempts
            if (event := json.loads(attempt.raw))
        ]


def serve(given: dict[str, Any]) -> None:
    """Serve a sandbox with the arguments *given* until standard input ends."""
    bulk = given.pop("bulk", None)
    with Sandbox(**given) as sandbox:
        served = Served(sandbox)
        if bulk is not None:
            served.do("bulk", bulk)
        _say({"gladly": sandbox.gladly_url, "segment": sandbox.segment_url})
        for line in sys.stdin:
            name, value = next(iter(json.loads(line).items()))
            _say(served.do(name, value))


def _say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})
