"""A million lines are compared in flat memory, and a person sees how far it is (semantics 6.5)."""

import gzip
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from state.instants import to_text
from state.store import Store
from support.documents import ROOT

LINES = int(os.environ.get("GLADLY_SEGMENT_COMPARED", "1000000"))
NAMES = ("Gladly Conversation Created", "Gladly Conversation Closed")
BEGIN = datetime(2026, 9, 1, tzinfo=UTC)


def events(count: int):
    """Yield that many events: of each conversation a creation and a close, in the order of time."""
    random.seed(1)
    for n in range(count // 2):
        id_ = f"{random.getrandbits(96):024x}"
        created = BEGIN + timedelta(seconds=5 * n)
        for name, at in zip(NAMES, (created, created + timedelta(seconds=2)), strict=True):
            properties = {
                "agentId": "agent-1",
                "agentName": "Priya Raman",
                "conversationId": id_,
                "customerName": f"Customer {n}",
                "customAttributes": {"membershipTier": "gold", "visits": n % 9},
                "email": f"customer{n}@example.com",
                "phone": f"+1213555{n:07}",
                "status": "OPEN" if name == NAMES[0] else "CLOSED",
            }
            if name == NAMES[1]:
                properties["topicIds"] = ["topic-1"]
            yield (
                to_text(at),
                {
                    "type": "track",
                    "event": name,
                    "userId": f"u-{id_}",
                    "timestamp": to_text(created),
                    "messageId": f"{name[-3:]}-{id_}",
                    "properties": properties,
                },
            )


def write(directory: Path) -> tuple[Path, Path]:
    """Write a state file and Segment's gzipped lines of it, with one event changed and one left out."""
    state, theirs = directory / "gladly-segment.db", directory / "theirs.gz"
    with Store(state):
        pass
    with closing(sqlite3.connect(state)) as db, db, gzip.open(theirs, "wb", compresslevel=1) as file:
        for n, (at, event) in enumerate(events(LINES)):
            kind = "created" if event["event"] == NAMES[0] else "closed"
            row = (
                event["messageId"],
                event["properties"]["conversationId"],
                event["userId"],
                kind,
                event["event"],
            )
            db.execute(
                "INSERT INTO events (message_id, conversation_id, customer_id, transition, event,"
                " occurred_at, status, payload, created_at, delivered_at)"
                " VALUES (?, ?, ?, ?, ?, ?, 'delivered', ?, ?, ?)",
                (*row, at, json.dumps(event), at, at),
            )
            shown = event | {
                "messageId": f"api-{n}",
                "receivedAt": at,
                "originalTimestamp": event["timestamp"],
            }
            if n == LINES // 2:
                shown["properties"] = shown["properties"] | {"status": "WAITING"}
            if n != LINES // 3:
                file.write(json.dumps(shown | {"context": {"library": {"name": "unknown"}}}).encode() + b"\n")
    return state, theirs


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_million_lines_take_little_memory_and_say_how_far_they_are(tmp_path):
    """Under 100 MB, with a line of progress every ten seconds where there is no terminal."""
    state, theirs = write(tmp_path)
    begun = time.monotonic()
    comparing = subprocess.Popen(
        [sys.executable, "-m", "sync", "compare", str(theirs), "--json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GLADLY_SEGMENT_STATE__PATH": str(state)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    most_kib = 0
    while comparing.poll() is None:
        most_kib = max(most_kib, peak_kib(comparing.pid))
        time.sleep(0.05)
    took_s = time.monotonic() - begun
    out, err = comparing.communicate()
    print(f"{LINES} lines: {most_kib / 1024:.0f} MB, {took_s:.0f} s")
    found = json.loads(out)
    assert comparing.returncode == 1, err
    assert found["matched"] == LINES - 1
    assert [(d["property"], d["count"]) for d in found["differences"]] == [("status", 1)]
    assert [o["count"] for o in found["only_ours"]] == [1]
    assert 0 < most_kib < 100 * 1024
    if took_s > 25:
        assert "reading" in err
        assert "comparing" in err


def peak_kib(pid: int) -> int:
    """Return the most memory that a process has had, in KiB. Return 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
