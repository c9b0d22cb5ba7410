"""
The sandbox in a process of its own: its CPU is not counted, and no interpreter lock is shared with it.

    python -m bench.serve '{"latency_s": 0.2, "bulk": {"conversations": 1000}}'

prints its URLs as JSON once it listens, then answers commands that come as JSON lines: `bulk`, `seen`,
`requests`, `freshness`, `open`, `close`. It ends when its input does.
"""

import json
import sys
from typing import Any

from sandbox import Sandbox
from sandbox.world.bulk import fill
from sandbox.world.records import Conversation


class Served:
    """A running sandbox and the commands about it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._open: list[Conversation] = []

    def do(self, name: str, value: Any) -> Any:
        """Run one command."""
        world = self._sandbox.world
        if name == "bulk":
            fill(world, **value)
            self._open = [talk for talk in world.conversations.values() if talk.is_open]
        elif name == "open":
            agent = next(iter(world.agents.values()), None) or world.add_agent("Ada")
            for _ in range(value):
                customer = world.add_customer(recorded=False)
                self._open.append(world.open_conversation(customer, agent=agent))
        elif name == "close":
            for talk in self._open[:value]:
                world.close(talk)
            del self._open[:value]
        elif name == "requests":
            return [(r.path, r.at) for r in self._sandbox.gladly_requests]
        elif name == "freshness":
            return self._freshness()
        return {"gladly": len(self._sandbox.gladly_requests), "events": len(self._sandbox.inbox)}

    def _freshness(self) -> list[float]:
        """Seconds from visible at Gladly to received at Segment, of every event that arrived."""
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
    """Serve until standard input ends."""
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
