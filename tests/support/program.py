"""What the fault tests share: the sync run inside the test's process, and the worlds it reads."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox import Sandbox
from state import Event, EventStatus, Reader, Store, TakenIn, Transition
from support.installation import Installation
from support.raw_server import Proxy, RawRequest
from sync.events.track import NAMES, encode
from sync.reports import CycleReport
from sync.runtime.build import DEFAULT_TUNING, Tuning, build_pipeline
from sync.settings.config import load
from sync.stop import Stop

EVENTS = "/api/v1/events"
PROFILES = "/api/v1/customer-profiles/*"
CONVERSATIONS = "/api/v1/conversations/*"
BATCH = "/v1/batch"

OVERLAP = timedelta(seconds=60)


class Program:
    """The sync in this process: real HTTP, a real state file, a cycle at a time."""

    def __init__(
        self, installation: Installation, monkeypatch: pytest.MonkeyPatch, tuning: Tuning = DEFAULT_TUNING
    ) -> None:
        for name in [name for name in os.environ if name.startswith("GLADLY_")]:
            monkeypatch.delenv(name)
        for name, value in installation.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(installation.directory)
        self.path = installation.state_path
        self._config = load(None)
        self._tuning = tuning
        self._begin()

    def _begin(self) -> None:
        self.store = Store(self.path)
        self._is_open = True
        self._pipeline = build_pipeline(self._config, self.store, Stop(), tuning=self._tuning)

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._pipeline.close()
            self.store.close()

    def restart(self) -> None:
        """End the process, so to speak, and start another on the same state file."""
        self.close()
        self._begin()

    def run(self) -> CycleReport:
        """One cycle."""
        return self._pipeline.cycle.run()

    @property
    def watermark(self) -> datetime:
        position = self.store.watermark()
        assert position is not None
        return position

    def events(self, **filters: Any) -> list[dict[str, Any]]:
        """What the state file holds, oldest first."""
        with Reader(self.path) as reader:
            return reader.events(limit=1_000_000, **filters)[::-1]

    def statuses(self) -> set[str]:
        return {event["status"] for event in self.events()}

    def rows(self, sql: str) -> list[dict[str, Any]]:
        return rows(self.path, sql)


def rows(path: Path, sql: str) -> list[dict[str, Any]]:
    """What the state file answers to *sql*."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql)]


def quarantined(path: Path) -> list[tuple[str, str]]:
    """The lines in quarantine and why, in the order they were put there."""
    return [(row["line"], row["reason"]) for row in rows(path, "SELECT * FROM quarantine ORDER BY rowid")]


def busy_minutes(sandbox: Sandbox, conversations: int, over_s: float = 480) -> list[str]:
    """
    Conversations begun evenly over the last *over_s* seconds, each closed again some seconds on.

    The newest change is a minute and a half back; customers show in the feed only through conversations.
    """
    now, ids = sandbox.clock.now() - timedelta(seconds=90), []
    for n in range(conversations):
        at = now - timedelta(seconds=over_s * (conversations - n) / conversations)
        customer = sandbox.world.add_customer(f"Customer {n}", recorded=False)
        conversation = sandbox.world.open_conversation(customer, at=at)
        sandbox.world.close(conversation, at=at + timedelta(seconds=over_s / conversations / 2))
        ids.append(conversation.id)
    return ids


def verdicts(found: list[str]) -> list[tuple[str, str]]:
    """What the checker found, in short: lost, unexpected, twice or wrong, and the id it names."""
    return [(problem.split(":")[0], problem.split()[-1]) for problem in found]


def feed_lines(sandbox: Sandbox, minutes: float = 30) -> list[bytes]:
    """The lines that the feed shows now."""
    now = sandbox.clock.now()
    changes = sandbox.world.feed(now - timedelta(minutes=minutes), now, ["CONVERSATION"])
    return [change.line() for change in changes]


def line_of(conversation_id: str, sandbox: Sandbox) -> bytes:
    """A line of the feed that nothing is wrong with, of a conversation that Gladly does not know."""
    at = sandbox.clock.now().strftime("%Y-%m-%dT%H:%M:%S.000Z")
    event = {
        "id": f"change-{conversation_id}",
        "type": "CONVERSATION/CREATED",
        "timestamp": at,
        "content": {"customerId": "nobody", "conversationId": conversation_id},
    }
    return json.dumps(event).encode() + b"\n"


def pending(n: int, payload: bytes, at: datetime) -> Event:
    """An event as an earlier release may have left it in the outbox."""
    return Event(
        message_id=f"message-{n}",
        conversation_id=f"conversation-{n}",
        customer_id=f"customer-{n}",
        transition=Transition.CREATED,
        event=NAMES[Transition.CREATED],
        occurred_at=at + timedelta(milliseconds=n),
        status=EventStatus.PENDING,
        payload=payload,
    )


def payload_of(n: int, size: int | None = None) -> bytes:
    """A small track event, or one of exactly *size* bytes."""
    event: dict[str, Any] = {
        "type": "track",
        "event": NAMES[Transition.CREATED],
        "userId": f"customer-{n}",
        "timestamp": "2026-11-02T12:00:00.000Z",
        "messageId": f"message-{n}",
        "properties": {"conversationId": f"conversation-{n}"},
    }
    payload = encode(event)
    if size is None:
        return payload
    event["properties"]["x"] = "x" * (size - len(payload) - len(',"x":""'))
    payload = encode(event)
    assert len(payload) == size
    return payload


def fill_outbox(store: Store, payloads: list[bytes], at: datetime) -> None:
    """Put events into the outbox, as taking in a chunk does."""
    store.take_in(TakenIn(events=[pending(n, payload, at) for n, payload in enumerate(payloads)]))


class Measured(NamedTuple):
    """A command that has ended: what it cost."""

    returncode: int
    stderr: str
    peak_bytes: int
    seconds: float


# The program as it is, but for how often it tries; it says what it held in memory at the most.
_MEASURED = """
import atexit, re, sys
from functools import partial
from sync.http.retry import RetryPolicy
from sync.runtime import build
tuning = build.Tuning(retry=RetryPolicy(max_attempts=int(sys.argv.pop(1))))
build.build_pipeline = partial(build.build_pipeline, tuning=tuning)

@atexit.register
def say():
    print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

from sync.cli.main import main
main()
"""


def run_measured(installation: Installation, *, attempts: int = 1, timeout: float = 60) -> Measured:
    """Run `once` with so many attempts a call, and measure its peak of resident memory."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, str(attempts), "once"],
        cwd=installation.directory,
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    return Measured(done.returncode, done.stderr, int(done.stdout) * 1024, time.monotonic() - began)


linux_only = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def answering(body: Callable[[], Iterator[bytes]], *headers: str) -> Callable[[Any], bool | None]:
    """An action: answer 200 with these headers and a body written as it is made."""

    def action(exchange: Any) -> bool | None:
        exchange.send_head(200, "OK", [tuple(h.split(": ", 1)) for h in (date_header(), *headers)])
        with contextlib.suppress(OSError):
            for part in body():
                exchange.sock.sendall(part)
                if exchange.closing.is_set():
                    break
        return None

    return action


def date_header(offset_s: float = 0) -> str:
    """A `Date` header of now."""
    return "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + offset_s))


def certificate(directory: Path, host: str) -> tuple[Path, Path]:
    """A certificate for *host* that nobody vouches for, and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    is_ip = re.fullmatch(r"[\d.]+", host)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", str(key), "-out", str(cert)]
    command += ["-addext", f"subjectAltName={'IP' if is_ip else 'DNS'}:{host}"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


class TlsProxy(Proxy):
    """
    What `HTTPS_PROXY` names: takes `CONNECT`, then is the host itself, with a certificate, in front of a real
    server. `connects` holds what was asked for.
    """

    def __init__(self, upstream_url: str, cert: Path, key: Path) -> None:
        import ssl

        super().__init__(upstream_url)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(cert, key)
        self.connects: list[str] = []

    def _pass(self, request: RawRequest, sock: Any) -> bool | None:
        if request.method != "CONNECT":
            return super()._pass(request, sock)
        self.connects.append(request.target)
        sock.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        with contextlib.suppress(OSError), self._context.wrap_socket(sock, server_side=True) as encrypted:
            self._converse(encrypted)
        return None
