"""Lines of Gladly's feed, as the feed shows them or made by hand."""

import json
from datetime import timedelta

from sandbox import Sandbox


def feed_lines(sandbox: Sandbox, minutes: float = 30) -> list[bytes]:
    """Return the lines that the feed shows now."""
    now = sandbox.clock.now()
    changes = sandbox.world.feed(now - timedelta(minutes=minutes), now, ["CONVERSATION"])
    return [change.line() for change in changes]


def line_of(conversation_id: str, sandbox: Sandbox) -> bytes:
    """Return a correct line of the feed about a conversation that Gladly does not know."""
    at = sandbox.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    event = {
        "id": f"change-{conversation_id}",
        "type": "CONVERSATION/CREATED",
        "timestamp": at,
        "content": {"customerId": "nobody", "conversationId": conversation_id},
    }
    return json.dumps(event).encode() + b"\n"
