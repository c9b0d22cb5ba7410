"""What the inspector's tests share: a state file with something of everything, and ways to ask for a page."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from inspector.application import Inspector
from state.instants import to_text, utc_now
from state.records import (
    BadLine,
    CustomerMerge,
    Event,
    EventStatus,
    Poll,
    PollOutcome,
    Status,
    StoredConversation,
    TakenIn,
    Transition,
)
from state.store import Store
from support.state_samples import NAMES, event

# Names and ids come from outside: markup, a terminal's escape, a direction override, a closing tag.
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\x1b[31m\u202etxt.exe\"'</pre>"


def make_event(number: int, transition: Transition, at: datetime, **more: Any) -> Event:
    """An event of conversation *number*."""
    conversation, customer = more.get("conversation", f"conversation-{number}"), f"customer-{number}"
    status = more.get("status", EventStatus.PENDING)
    message_id = f"message-{number}-{transition}-{at:%H%M%S}"
    payload = {
        "type": "track",
        "event": NAMES[transition],
        "userId": customer,
        "messageId": message_id,
        "properties": {"conversationId": conversation, "customerName": more.get("name", f"Zoë {number}")},
    }
    made = event(
        message_id,
        conversation=conversation,
        customer=customer,
        transition=transition,
        at=at,
        status=status,
        reason=more.get("reason"),
    )
    if status is EventStatus.SUPPRESSED:
        return made
    return replace(made, payload=json.dumps(payload, ensure_ascii=False).encode())


def make_conversation(
    number: int, at: datetime, closed_at: datetime | None = None, **more: Any
) -> StoredConversation:
    """Conversation *number*."""
    return StoredConversation(
        id=more.get("conversation", f"conversation-{number}"),
        customer_id=f"customer-{number}",
        status=Status.CLOSED if closed_at else Status.OPEN,
        created_at=at,
        closed_at=closed_at,
        updated_at=closed_at or at,
    )


def fill(path: Path, now: datetime | None = None) -> None:
    """A state file with something of everything: every status, a double close, a hostile name, a bad line."""
    now = now or utc_now()

    def ago(minutes: float) -> datetime:
        return now - timedelta(minutes=minutes)

    created, closed = Transition.CREATED, Transition.CLOSED
    with Store(path) as store:
        store.commit(
            TakenIn(
                position=ago(1),
                conversations=[
                    make_conversation(1, ago(50), ago(5)),
                    make_conversation(2, ago(40)),
                    make_conversation(3, ago(30), conversation=HOSTILE),
                    make_conversation(4, ago(26 * 60)),
                ],
                events=[
                    make_event(1, created, ago(50)),
                    make_event(1, closed, ago(20)),
                    make_event(1, closed, ago(5)),
                    make_event(2, created, ago(40)),
                    make_event(3, created, ago(30), conversation=HOSTILE, name=HOSTILE),
                    make_event(
                        4, closed, ago(3), status=EventStatus.SUPPRESSED, reason="customer was deleted"
                    ),
                ],
                merges=[CustomerMerge("customer-9", "customer-1", ago(10))],
                bad_lines=[BadLine("events", "not JSON", b"{")],
            )
        )
        store.record_poll(
            Poll(
                started_at=ago(1),
                finished_at=ago(0.9),
                changes=7,
                created=4,
                closed=3,
                requests=9,
                outcome=PollOutcome.OK,
            )
        )
    touch(
        path,
        "UPDATE events SET status = 'delivered', attempts = 1, delivered_at = ?"
        " WHERE customer_id = 'customer-1'",
        to_text(now),
    )
    touch(
        path,
        "UPDATE events SET status = 'rejected', attempts = 1, reason = ? WHERE customer_id = 'customer-3'",
        "400: " + HOSTILE,
    )


def touch(path: Path, sql: str, *parameters: object) -> None:
    """Change the file as Segment's answers would."""
    with closing(sqlite3.connect(path, timeout=10)) as db, db:
        db.execute(sql, parameters)


def cookie_of(inspector: Inspector) -> str:
    """The cookie that an inspector gives to who opened its address with the token."""

    async def ask() -> str:
        transport = httpx.ASGITransport(app=inspector.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8412") as client:
            answer = await client.get("/", params={"token": inspector.token})
            return answer.headers["set-cookie"].partition(";")[0]

    return asyncio.run(ask())


def at(url: str, page: str) -> str:
    """The address of a page of an inspector, given the address that it printed. It carries the token, too."""
    base, _, token = url.partition("?")
    return f"{base}{page}{'&' if '?' in page else '?'}{token}"


class Browser:
    """Asks an inspector in this process for pages, as a browser on this machine would."""

    def __init__(self, inspector: Inspector) -> None:
        self.inspector = inspector
        self._cookie = cookie_of(inspector)

    def get(self, address: str, *, method: str = "GET", **headers: str) -> httpx.Response:
        sent = {"host": "127.0.0.1:8412", "cookie": self._cookie} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.inspector.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8412") as client:
                return await client.request(method, address, headers=sent)

        return asyncio.run(ask())


@contextmanager
def served(path: Path, *options: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """`inspector.serve` as a process of its own; its address once it answers."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


_SERVE = """
import sys
from pathlib import Path
from inspector.server import serve
port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
serve(Path(sys.argv[1]), port=port, open_browser=False, ready=print)
"""
