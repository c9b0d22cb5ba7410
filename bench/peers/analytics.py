"""
The delivery half by Segment's own client, `segment-analytics-python`, with its defaults (one thread, batches
of 100, a queue of 10,000): events from a file of JSON lines, each queued, then flushed.

    python -m bench.peers.analytics EVENTS.jsonl

It keeps no outbox: what its process had not sent when it ended is lost.
"""

import importlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any


def main(path: Path) -> None:
    """Send every event of the file."""
    client_class: Any = importlib.import_module("segment.analytics.client").Client
    failed: list[object] = []
    client = client_class(
        os.environ["SEGMENT_WRITE_KEY"],
        host=os.environ["GLADLY_SEGMENT_SEGMENT__BASE_URL"],
        on_error=lambda error, _: failed.append(error),
    )
    refused = 0
    with path.open("rb") as file:
        for line in file:
            event = json.loads(line)
            taken, _ = client.track(
                user_id=event["userId"],
                event=event["event"],
                properties=event["properties"],
                timestamp=datetime.fromisoformat(event["timestamp"]),
                message_id=event["messageId"],
            )
            refused += not taken
    client.flush()
    client.join()
    sys.stdout.write(json.dumps({"refused_by_queue": refused, "failed_batches": len(failed)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
