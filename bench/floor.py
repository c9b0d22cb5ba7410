"""
Do the job of the sync with a bare script: the floor that the sync is compared with.

The script makes the same requests, rows and bytes with `requests`, `json` and `sqlite3`, in one thread. It
has no pace, no retries, no deadlines, no report, no privacy, and hardly an index.

    python bench/floor.py STATE [--start INSTANT] [--cycles N]

It reads the same environment as the program. With `--cycles` it runs N cycles in this process and prints the
wall and CPU seconds of one cycle as JSON.
"""

import hashlib
import json
import os
import sqlite3
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

NAMESPACE = uuid.UUID("6f2b6a55-6d52-5c0e-9d3f-4b9f1d1c7a10")
NAMES = {
    "CONVERSATION/CREATED": "Gladly Conversation Created",
    "CONVERSATION/CLOSED": "Gladly Conversation Closed",
}
CHUNK_TRANSITIONS, CHUNK_CHANGES = 300, 2_000
BATCH_MAX_BYTES = 500_000
OVERLAP = timedelta(seconds=60)

SCHEMA = """
CREATE TABLE watermark (feed TEXT PRIMARY KEY, position TEXT, updated_at TEXT);
CREATE TABLE conversations (id TEXT PRIMARY KEY, customer_id TEXT, status TEXT, created_at TEXT,
    closed_at TEXT, updated_at TEXT);
CREATE TABLE events (message_id TEXT PRIMARY KEY, conversation_id TEXT, customer_id TEXT, transition TEXT,
    event TEXT, occurred_at TEXT, status TEXT, reason TEXT, payload TEXT, attempts INTEGER, created_at TEXT,
    delivered_at TEXT);
CREATE INDEX events_by_status ON events (status, occurred_at);
CREATE TABLE polls (id INTEGER PRIMARY KEY, started_at TEXT, finished_at TEXT, window_start TEXT,
    window_end TEXT, changes INTEGER, created INTEGER, closed INTEGER, delivered INTEGER, requests INTEGER,
    outcome TEXT, error TEXT);
CREATE TABLE seen_changes (id TEXT PRIMARY KEY, recorded_at TEXT);
CREATE TABLE changes (id INTEGER PRIMARY KEY, conversation_id TEXT, type TEXT, recorded_at TEXT,
    change_id TEXT, status_before TEXT, status_after TEXT, transition TEXT, why TEXT, seen_at TEXT);
CREATE UNIQUE INDEX changes_once ON changes (recorded_at, conversation_id, type);
"""


def text(instant: datetime) -> str:
    """Return an instant as the state file has it."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Floor:
    """A session, a state file, and the steps of a cycle."""

    def __init__(self, path: str, start: str | None) -> None:
        self.gladly = os.environ["GLADLY_SEGMENT_GLADLY__BASE_URL"] + "/api/v1"
        self.segment = os.environ["GLADLY_SEGMENT_SEGMENT__BASE_URL"] + "/v1/batch"
        self.write_key = os.environ["SEGMENT_WRITE_KEY"]
        self.session = requests.Session()
        self.session.trust_env = False
        self.auth = (os.environ["GLADLY_SEGMENT_GLADLY__USERNAME"], os.environ["GLADLY_API_TOKEN"])
        self.fingerprint = hashlib.sha256(self.write_key.encode()).hexdigest()[:16]
        self.host = self.gladly.split("/")[2]
        self.agents: dict[str, str] | None = None
        self.start = start
        is_new = not os.path.exists(path)  # noqa: PTH110 (pathlib costs start-up time)
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = FULL")
        if is_new:
            self.db.executescript(SCHEMA)

    def get(self, path: str) -> Any:
        """Make one request to Gladly and return its JSON answer."""
        answer = self.session.get(self.gladly + path, auth=self.auth, timeout=30)
        answer.raise_for_status()
        return json.loads(answer.content)

    def cycle(self) -> None:
        """Poll, store the changes, deliver, and record the poll."""
        started = text(datetime.now(UTC))
        rows = self.db.execute("SELECT position FROM watermark").fetchall()
        if rows:
            position = rows[0][0]
        else:
            self.get("/organization")  # the first poll asks for Gladly's clock
            position = self.start or started
        seen = {row[0] for row in self.db.execute("SELECT id FROM seen_changes")}
        entities = ["CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE"]
        answer = self.session.get(
            self.gladly + "/events",
            params={"startAt": position, "entities": entities},
            auth=self.auth,
            timeout=30,
            stream=True,
        )
        answer.raise_for_status()
        changes: list[dict[str, Any]] = []
        total = transitions = 0
        for line in self.lines(answer):
            change = json.loads(line)
            changes.append(change)
            transitions += change["type"] in NAMES
            if transitions >= CHUNK_TRANSITIONS or len(changes) >= CHUNK_CHANGES:
                total += self.take_in(changes, seen)
                changes, transitions = [], 0
        total += self.take_in(changes, seen) if changes else 0
        delivered = self.deliver()
        now = datetime.now(UTC)
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.move(text(now - OVERLAP))
            self.db.execute(
                "INSERT INTO polls (started_at, finished_at, window_start, changes, delivered, outcome)"
                " VALUES (?, ?, ?, ?, ?, 'ok')",
                (started, text(now), position, total, delivered),
            )

    def lines(self, answer: requests.Response) -> Any:
        """Yield the lines of a body."""
        held = b""
        for part in answer.iter_content(65_536):
            *ends, held = (held + part).split(b"\n")
            yield from ends

    def take_in(self, changes: list[dict[str, Any]], seen: set[str]) -> int:
        """Look up what one chunk needs, and write its rows in one transaction."""
        changes = [change for change in changes if change["id"] not in seen]
        wanted = [change for change in changes if change["type"] in NAMES]
        conversations, profiles = {}, {}
        for change in wanted:
            id_ = change["content"]["conversationId"]
            if id_ not in conversations:
                conversations[id_] = self.get(f"/conversations/{id_}")
        for conversation in conversations.values():
            id_ = conversation["customerId"]
            if id_ not in profiles:
                profiles[id_] = self.get(f"/customer-profiles/{id_}")
        if wanted and self.agents is None:
            self.agents = {agent["id"]: agent["name"] for agent in self.get("/agents")}
        now = text(datetime.now(UTC))
        rows, events, decided = [], [], []
        for change in wanted:
            at, type_ = change["timestamp"], change["type"]
            now_it_is = conversations[change["content"]["conversationId"]]
            event = self.event(type_, at, now_it_is, profiles[now_it_is["customerId"]])
            transition = "closed" if type_.endswith("CLOSED") else "created"
            status = "CLOSED" if transition == "closed" else now_it_is["status"]
            id_, customer = now_it_is["id"], now_it_is["customerId"]
            closed_at = at if transition == "closed" else None
            rows.append((id_, customer, status, now_it_is["createdAt"], closed_at, at))
            payload = json.dumps(event, separators=(",", ":"), ensure_ascii=False)
            events.append((event["messageId"], id_, customer, transition, event["event"], at, payload, now))
            decided.append((id_, type_, at, change["id"], None, status, transition, "not known before", now))
        high_water = datetime.fromisoformat(changes[-1]["timestamp"]) if changes else datetime.now(UTC)
        near = text(high_water - OVERLAP)
        with self.db:
            self.db.execute("BEGIN IMMEDIATE")
            self.db.execute("DELETE FROM seen_changes WHERE recorded_at < ?", (near,))
            self.db.executemany(
                "INSERT OR IGNORE INTO seen_changes VALUES (?, ?)",
                [(c["id"], c["timestamp"]) for c in changes if c["timestamp"] >= near],
            )
            self.db.executemany("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?, ?)", rows)
            self.db.executemany(
                "INSERT INTO changes (conversation_id, type, recorded_at, change_id, status_before,"
                " status_after, transition, why, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                decided,
            )
            self.db.executemany(
                "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?, 'pending', NULL, ?, 0, ?, NULL)",
                events,
            )
            self.move(text(high_water - OVERLAP))
        return len(changes)

    def event(
        self, type_: str, at: str, conversation: dict[str, Any], profile: dict[str, Any]
    ) -> dict[str, Any]:
        """Return the track event of a transition."""
        transition = "closed" if type_.endswith("CLOSED") else "created"
        parts = [self.fingerprint, self.host, conversation["id"], transition]
        if transition == "closed":
            parts.append(at[:19] + ".000Z")
        email = next(one for one in profile["emails"] if one["primary"])
        phone = next(one for one in profile["phones"] if one["primary"])
        properties = {
            "agentId": conversation["agentId"],
            "agentName": (self.agents or {})[conversation["agentId"]],
            "conversationId": conversation["id"],
            "customerName": profile["name"],
            "email": email["normalized"],
            "phone": phone["normalized"],
            "customAttributes": profile["customAttributes"],
            "status": "OPEN",
        }
        if transition == "closed":
            properties |= {"status": "CLOSED", "topicIds": conversation.get("topicIds", [])}
        return {
            "type": "track",
            "event": NAMES[type_],
            "userId": profile["id"],
            "timestamp": conversation["createdAt"],
            "messageId": str(uuid.uuid5(NAMESPACE, "\n".join(parts))),
            "properties": properties,
        }

    def deliver(self) -> int:
        """Send the pending events, batch by batch. Return how many were delivered."""
        delivered = 0
        while True:
            rows = self.db.execute(
                "SELECT message_id, payload FROM events WHERE status = 'pending'"
                " ORDER BY occurred_at, rowid LIMIT 2500"
            ).fetchall()
            if not rows:
                return delivered
            ids: list[str] = []
            payloads: list[bytes] = []
            size = 12
            for id_, payload in rows:
                encoded = payload.encode()
                if size + len(encoded) + 1 > BATCH_MAX_BYTES:
                    break
                ids.append(id_)
                payloads.append(encoded)
                size += len(encoded) + 1
            answer = self.session.post(
                self.segment,
                data=b'{"batch":[' + b",".join(payloads) + b"]}",
                auth=(self.write_key, ""),
                headers={"Content-Type": "application/json"},
                timeout=30,
            )
            answer.raise_for_status()
            now = text(datetime.now(UTC))
            with self.db:
                self.db.execute("BEGIN IMMEDIATE")
                self.db.executemany(
                    "UPDATE events SET status = 'delivered', delivered_at = ?, attempts = attempts + 1"
                    " WHERE message_id = ?",
                    [(now, id_) for id_ in ids],
                )
            delivered += len(ids)

    def move(self, position: str) -> None:
        """Move the watermark."""
        self.db.execute(
            "INSERT OR REPLACE INTO watermark VALUES ('conversations', ?, ?)",
            (position, text(datetime.now(UTC))),
        )


def main(arguments: list[str]) -> None:
    """Run one cycle, or measure as many as `--cycles` says."""
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    floor = Floor(arguments[0], options.get("--start"))
    if "--cycles" not in options:
        floor.cycle()
        return
    cycles = int(options["--cycles"])
    for _ in range(3):
        floor.cycle()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(cycles):
        floor.cycle()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sys.stdout.write(json.dumps({"wall_s": wall / cycles, "cpu_s": cpu / cycles}))


if __name__ == "__main__":
    main(sys.argv[1:])
