"""
Serve a Gladly and a Segment with canned answers on one loopback port, to read and send at full speed.

The server is one process of plain asyncio. It is about ten times as fast as the sandbox, and equally fast for
every program measured against it. It reads commands as JSON lines from standard input, answers as JSON lines
on standard output, and ends when its input ends. Every transition has a conversation and a customer of its
own, so that each costs both look-ups: the worst case.
"""

import asyncio
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

AGENTS = [{"id": f"agent{n}", "name": f"Agent {n}", "emailAddress": f"a{n}@example.com"} for n in range(5)]
_OTHERS = (
    "CONVERSATION/TOPIC_ADDED",
    "CONVERSATION/NOTE_CREATED",
    "CONVERSATION_ASSIGNEE/UPDATED",
    "CONVERSATION/TOPIC_REMOVED",
)
_BLOCK_LINES = 400


def text(instant: datetime) -> str:
    """Return an instant as Gladly writes it."""
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Feed:
    """
    A window of changes, evenly spread, that ends *ago_s* before now.

    Args:
        changes: How many changes the window has.
        transitions: How many of the changes are creations and closes, in turn.
        salt: Decides the ids. Another salt gives other ids and so other events.
        over_s: The length of the window in seconds.
        ago_s: How many seconds before now the window ends.
        start: The instant at which the window begins, instead of *ago_s*. The same window has the same
            events.
    """

    def __init__(
        self,
        *,
        changes: int,
        transitions: int,
        salt: int = 1,
        over_s: float = 3_600.0,
        ago_s: float = 180.0,
        start: str | None = None,
    ) -> None:
        self.changes, self.transitions, self.salt = changes, transitions, salt
        ago = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=over_s + ago_s)
        self.start = datetime.fromisoformat(start) if start else ago
        self._step_s = over_s / (changes + 1)

    def lines(self, since: datetime) -> Iterator[bytes]:
        """Yield the changes from *since* on, as JSON lines in blocks."""
        first = max(0, int((since - self.start).total_seconds() / self._step_s))
        block = []
        for n in range(first, self.changes):
            at = self.start + timedelta(seconds=self._step_s * n)
            if at >= since:
                block.append(self._line(n, text(at)))
            if len(block) == _BLOCK_LINES:
                yield "".join(block).encode()
                block = []
        if block:
            yield "".join(block).encode()

    def _line(self, n: int, at: str) -> str:
        k = n * self.transitions // self.changes
        if (n + 1) * self.transitions // self.changes > k:
            type_ = "CONVERSATION/CLOSED" if k % 2 else "CONVERSATION/CREATED"
        else:
            type_ = _OTHERS[n % len(_OTHERS)]
        return (
            f'{{"id":"{self.salt:06d}change{n:010d}","type":"{type_}","timestamp":"{at}",'
            f'"initiator":{{"id":"agent{n % 5}","type":"AGENT"}},"content":{{'
            f'"customerId":"{self._id("u", k)}","conversationId":"{self._id("c" if k % 2 else "o", k)}",'
            f'"topicId":"topic1",'
            f'"context":{{"assignee":{{"inboxId":"inbox1","agentId":"agent{k % 16 % 5}"}}}}}}}}\n'
        )

    def recorded_at(self, k: int) -> datetime:
        """Return the instant of the *k*-th transition."""
        n = -(-(k + 1) * self.changes // self.transitions) - 1
        return self.start + timedelta(seconds=self._step_s * n)

    def _id(self, kind: str, k: int) -> str:
        """Return an id of 22 characters without an order. Its 13th character is the kind."""
        mixed = hashlib.blake2b(f"{self.salt} {k}".encode(), digest_size=6).hexdigest()
        return f"{mixed}{kind}{k:09x}"


class Ends:
    """What both ends answer, and the requests that they saw since the last `feed` command."""

    def __init__(self) -> None:
        self.take_feed({"changes": 0, "transitions": 0})

    def take_feed(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Answer from another window from now on. Forget the requests seen so far."""
        self.feed = Feed(**feed)
        self.kinds: Counter[str] = Counter()
        self.bodies: list[bytes] = []
        self.last_post_at: float | None = None
        self.first_request_at: float | None = None
        self.created_at = text(self.feed.start)
        return {"start": text(self.feed.start)}

    def seen(self) -> dict[str, Any]:
        """Return the number of requests by kind, and the counts and the digest of the events that arrived."""
        digest, ids, size, count = 0, set(), 0, 0
        for body in self.bodies:
            for event in json.loads(body)["batch"]:
                count += 1
                ids.add(event["messageId"])
                canonical = json.dumps(event, sort_keys=True).encode()
                size += len(canonical)
                digest ^= int.from_bytes(hashlib.blake2b(canonical, digest_size=8).digest(), "big")
        gladly = {kind: n for kind, n in self.kinds.items() if kind != "batch"}
        return {
            "gladly": sum(gladly.values()),
            "kinds": gladly,
            "posts": len(self.bodies),
            "posted_bytes": sum(map(len, self.bodies)),
            "events": count,
            "distinct": len(ids),
            "digest": f"{digest:016x}",
            "event_bytes": size,
            "first_request_at": self.first_request_at,
            "last_post_at": self.last_post_at,
        }

    def conversation(self, id_: str) -> bytes:
        """Return the answer to `GET /conversations/{id}`."""
        is_closed = id_[12:13] == "c"
        closed_at = text(self.feed.recorded_at(int(id_[13:], 16)))
        more = f',"closedAt":"{closed_at}","topicIds":["topic1","topic2"]' if is_closed else ""
        return (
            f'{{"id":"{id_}","customerId":"{id_[:12]}u{id_[13:]}","createdAt":"{self.created_at}",'
            f'"inboxId":"inbox1","agentId":"agent{int(id_[-1:], 16) % 5}",'
            f'"status":"{"CLOSED" if is_closed else "OPEN"}"{more}}}'
        ).encode()

    def profile(self, id_: str) -> bytes:
        """Return the answer to `GET /customer-profiles/{id}`."""
        return (
            f'{{"id":"{id_}","name":"Customer {id_[-4:]}","address":"1 Main Street, Springfield",'
            f'"emails":[{{"normalized":"{id_}@example.com","original":"{id_}@Example.com","primary":true}}],'
            '"phones":[{"normalized":"+12125550123","original":"(212) 555-0123","regionCode":"US",'
            '"type":"MOBILE","primary":true}],"customAttributes":{"membershipTier":"gold","orders":17},'
            f'"createdAt":"{self.created_at}","updatedAt":"{self.created_at}"}}'
        ).encode()


class Connection(asyncio.Protocol):
    """One connection that is kept alive. It answers requests one after another."""

    def __init__(self, ends: Ends) -> None:
        self._ends = ends
        self._buffer = bytearray()
        self._writable = asyncio.Event()
        self._writable.set()
        self._streaming: asyncio.Task[None] | None = None
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_over = True
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end]).decode("latin-1")
            length = 0
            if head.startswith("POST"):
                headers = head.lower()
                at = headers.find("content-length:")
                length = int(headers[at + 15 :].split("\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = bytes(self._buffer[end + 4 : end + 4 + length])
            del self._buffer[: end + 4 + length]
            self._answer(head.split(" ", 2)[1], body)

    def _answer(self, target: str, body: bytes) -> None:
        ends = self._ends
        if ends.first_request_at is None:
            ends.first_request_at = time.monotonic()
        path = target.split("?", 1)[0]
        kind, _, id_ = path.removeprefix("/api/v1/").partition("/")
        if path == "/v1/batch":
            ends.bodies.append(body)
            ends.last_post_at = time.monotonic()
            self._send(b'{"success":true}')
            return
        ends.kinds[kind] += 1
        if kind == "events":
            since = datetime.fromisoformat(parse_qs(urlsplit(target).query)["startAt"][0])
            self._streaming = asyncio.get_running_loop().create_task(self._stream(since))
        elif kind == "conversations":
            self._send(ends.conversation(id_))
        elif kind == "customer-profiles":
            self._send(ends.profile(id_))
        elif kind == "agents":
            self._send(json.dumps(AGENTS).encode())
        elif kind == "organization":
            self._send(b'{"id":"bench","name":"Bench","timezone":"UTC"}')
        else:
            self._send(b"{}", b"404 Not Found")

    def _send(self, body: bytes, status: bytes = b"200 OK") -> None:
        self._transport.write(
            b"HTTP/1.1 %b\r\nDate: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (status, _date(), len(body), body)
        )

    async def _stream(self, since: datetime) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nDate: %b\r\nContent-Type: application/x-jsonlines\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" % _date()
        )
        for block in self._ends.feed.lines(since):
            self._transport.write(b"%x\r\n%b\r\n" % (len(block), block))
            await asyncio.sleep(0)  # look-ups for the changes already read are answered in between
            await self._writable.wait()
            if self._is_over:
                return
        self._transport.write(b"0\r\n\r\n")


def _date() -> bytes:
    return format_datetime(datetime.now(UTC), usegmt=True).encode()


async def serve() -> None:
    """Serve until standard input ends."""
    loop, ends = asyncio.get_running_loop(), Ends()
    server = await loop.create_server(lambda: Connection(ends), "127.0.0.1", 0, backlog=512)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    _say({"gladly": url, "segment": url})
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        name, value = next(iter(json.loads(line).items()))
        _say(ends.take_feed(value) if name == "feed" else ends.seen())


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve())
