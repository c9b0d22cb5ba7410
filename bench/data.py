"""
Make large state files: the program's own `Store` creates the file, plain SQL fills it.

    python -m bench.data pending PATH EVENTS
    python -m bench.data history PATH CONVERSATIONS
    python -m bench.data jsonl PATH EVENTS
"""

import json
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from state.instants import to_text
from state.store import Store

DAY_S = 86_400.0


def track(n: int) -> dict[str, Any]:
    """Return the *n*-th event, like the events of a busy day."""
    is_closed = bool(n % 2)
    id_ = f"{uuid.uuid5(uuid.NAMESPACE_OID, str(n // 2)).hex[:22]}"
    properties: dict[str, Any] = {
        "agentId": f"agent{n % 5}",
        "agentName": f"Agent {n % 5}",
        "conversationId": id_,
        "customerName": f"Customer {n}",
        "email": f"customer{n}@example.com",
        "phone": "+12125550123",
        "customAttributes": {"membershipTier": "gold", "orders": 17},
        "status": "CLOSED" if is_closed else "OPEN",
    }
    if is_closed:
        properties["topicIds"] = ["topic1", "topic2"]
    return {
        "type": "track",
        "event": f"Gladly Conversation {'Closed' if is_closed else 'Created'}",
        "userId": f"customer{n}",
        "timestamp": "2026-11-20T08:00:00.000Z",
        "messageId": str(uuid.uuid5(uuid.NAMESPACE_URL, str(n))),
        "properties": properties,
    }


@contextmanager
def filling(path: Path, *, watermark: datetime | None) -> Iterator[sqlite3.Connection]:
    """
    Create a state file and open it for filling.

    Rows enter its indexes one by one, as in use. An index made afterwards is packed full, and the first
    inserts into it split or rearrange every page they meet.
    """
    with Store(path) as store:
        if watermark is not None:
            store.reset_watermark(watermark)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -1000000")
        db.execute("BEGIN")
        yield db
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def pending(path: Path, events: int) -> None:
    """Make a backlog: *events* events that Segment has not taken yet."""
    now = datetime.now(UTC)
    began = now - timedelta(hours=20)
    with filling(path, watermark=now - timedelta(seconds=60)) as db:
        db.executemany(
            "INSERT INTO events (message_id, conversation_id, customer_id, transition, event, occurred_at,"
            " status, payload, attempts, created_at) VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, 0, ?)",
            (
                (
                    event["messageId"],
                    event["properties"]["conversationId"],
                    event["userId"],
                    "closed" if n % 2 else "created",
                    event["event"],
                    to_text(began + timedelta(seconds=n * 36_000 / events)),
                    json.dumps(event, separators=(",", ":")),
                    to_text(now),
                )
                for n in range(events)
                for event in (track(n),)
            ),
        )


def history(path: Path, conversations: int) -> None:
    """
    Make a history of three years: *conversations* closed conversations and twice as many events.

    Only the events of the last month have a payload.
    """
    now = datetime.now(UTC)
    day_s = 3 * 365 * DAY_S / conversations  # seconds from one conversation to the next
    with filling(path, watermark=now - timedelta(seconds=60)) as db:
        db.create_function("instant", 1, lambda n: to_text(now - timedelta(seconds=3_600 + n * day_s)))
        db.execute(
            "CREATE TEMP TABLE n AS WITH RECURSIVE c (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c"
            " WHERE n < ? - 1) SELECT n, substr(lower(hex(randomblob(11))), 1, 22) AS id,"
            " 'customer' || (n % (? / 3 + 1)) AS customer, instant(n) AS at FROM c ORDER BY n DESC",
            (conversations, conversations),
        )
        db.execute(
            "INSERT INTO conversations (id, customer_id, status, created_at, closed_at, updated_at)"
            " SELECT id, customer, 'CLOSED', at, at, at FROM n"
        )
        payload = json.dumps(track(1), separators=(",", ":"))
        for transition, name in (("created", "Created"), ("closed", "Closed")):
            db.execute(
                "INSERT INTO events (message_id, conversation_id, customer_id, transition, event,"
                " occurred_at, status, payload, attempts, created_at, delivered_at) SELECT"
                " lower(hex(randomblob(16))), id,"
                " customer, ?, 'Gladly Conversation ' || ?, at, 'delivered',"
                " CASE WHEN n * ? < 29 * 86400 THEN ? END, 1, at, at FROM n",
                (transition, name, day_s, payload),
            )
        db.execute(
            "INSERT INTO polls (started_at, finished_at, window_start, window_end, changes, created, closed,"
            " delivered, requests, outcome) SELECT at, at, at, at, 0, 0, 0, 0, 1, 'ok' FROM n LIMIT 500000"
        )
        db.execute("DROP TABLE n")


def jsonl(path: Path, events: int) -> None:
    """Write the events of `pending` as JSON lines."""
    with path.open("w") as file:
        for n in range(events):
            file.write(json.dumps(track(n)) + "\n")


if __name__ == "__main__":
    made = {"pending": pending, "history": history, "jsonl": jsonl}
    made[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
