"""
What our pages ask of the state file: every query bounded, and carried by an index of `state/schema.py`, so
that two million events take no longer to look at than two hundred.
"""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from inspector.database import StateDatabase
from state.instants import from_text, to_text

Row = dict[str, Any]

EVENT_STATUSES = ("pending", "delivered", "rejected", "suppressed")
CONVERSATION_STATUSES = ("OPEN", "WAITING", "CLOSED", "MERGED", "DELETED")

PAGE = 100

# A shorter beginning of an id would match half of them; it must be the whole id.
_SHORTEST_PREFIX = 4

# Of each kind of id, a search looks at so many events.
_MATCHES = 1_000

# A chart is drawn from at most so many events, the newest; it says so.
CHARTED_EVENTS = 100_000
CHARTED_DELIVERIES = 20_000
CHARTED_CONVERSATIONS = 200_000

# At most a cycle a second: so many rows hold the last hour.
_POLLS_OF_AN_HOUR = 3_600

# A count that took long is not counted again before this many times as long has passed.
_REST = 10

_LISTED = """
    rowid AS place, message_id, conversation_id, customer_id, transition, event, occurred_at, status, reason,
    CASE WHEN json_valid(payload) THEN json_extract(payload, '$.properties.customerName') END AS customer_name
"""

# `+` keeps SQLite from walking an index in the wanted order past everything that does not match.
_SEARCH = f"""
    SELECT {_LISTED} FROM events
    WHERE rowid IN (
        SELECT rowid FROM (
            SELECT rowid FROM events WHERE message_id >= :q AND message_id < :q_end LIMIT {_MATCHES})
        UNION SELECT rowid FROM (
            SELECT rowid FROM events WHERE conversation_id >= :q AND conversation_id < :q_end
            LIMIT {_MATCHES})
        UNION SELECT rowid FROM (
            SELECT rowid FROM events WHERE customer_id >= :q AND customer_id < :q_end LIMIT {_MATCHES})
        UNION SELECT place FROM (
            SELECT events.rowid AS place FROM conversations CROSS JOIN events
            ON events.conversation_id = conversations.id
            WHERE conversations.customer_id >= :q AND conversations.customer_id < :q_end LIMIT {_MATCHES})
    )
    AND (:status IS NULL OR +status = :status)
    AND (:before_at IS NULL OR (+occurred_at, +rowid) < (:before_at, :before_place))
    ORDER BY +occurred_at DESC, +rowid DESC LIMIT :limit
"""  # noqa: S608  # constants joined; the values are parameters


class Questions:
    """Questions about one state file."""

    def __init__(self, database: StateDatabase) -> None:
        self._database = database

    async def _rows(self, sql: str, **parameters: object) -> list[Row]:
        found = await self._database.execute(sql, parameters)
        return [dict(row) for row in found.rows]

    async def _row(self, sql: str, **parameters: object) -> Row | None:
        rows = await self._rows(sql, **parameters)
        return rows[0] if rows else None

    async def _rested(self, key: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        """The answer, or the last one while asking again would cost more than a tenth of the time."""
        memory = self._database.answers
        until, answer = memory.get(key, (0.0, None))
        if time.monotonic() >= until:
            began = time.monotonic()
            answer = await ask()
            ended = time.monotonic()
            memory[key] = (ended + _REST * (ended - began), answer)
        return answer

    # The debugger

    async def head(self) -> int:
        """The place of the newest event in the order of arrival."""
        row = await self._row("SELECT coalesce(max(rowid), 0) AS head FROM events")
        return int(row["head"]) if row else 0

    async def events(
        self,
        *,
        status: str | None = None,
        q: str | None = None,
        before: tuple[str, int] | None = None,
        limit: int = PAGE,
    ) -> list[Row]:
        """
        Events, newest first.

        Args:
            q: A conversation's, a customer's or a message's id, or the beginning of one.
            before: Only those older than this (`occurred_at`, place).
        """
        at, place = before or (None, None)
        if q:
            end = q + "\U0010ffff" if len(q) >= _SHORTEST_PREFIX else q + "\x00"
            return await self._rows(
                _SEARCH, q=q, q_end=end, status=status, before_at=at, before_place=place, limit=limit
            )
        wheres = ["status = :status"] if status else []
        if before:
            wheres.append("(occurred_at, rowid) < (:at, :place)")
        where = f"WHERE {' AND '.join(wheres)}" if wheres else ""
        # S608: constants joined; the values are parameters.
        sql = f"SELECT {_LISTED} FROM events {where} ORDER BY occurred_at DESC, rowid DESC LIMIT :limit"  # noqa: S608
        return await self._rows(sql, status=status, at=at, place=place, limit=limit)

    async def events_after(self, place: int, limit: int = PAGE) -> list[Row]:
        """Events that arrived after *place*, the newest *limit* of them, newest first."""
        return await self._rows(
            f"SELECT {_LISTED} FROM events WHERE rowid > :place ORDER BY rowid DESC LIMIT :limit",  # noqa: S608
            place=place,
            limit=limit,
        )

    async def events_at(self, places: list[int]) -> list[Row]:
        """The events at these places, as they are now."""
        if not places:
            return []
        numbers = ", ".join(str(int(place)) for place in places)
        return await self._rows(f"SELECT {_LISTED} FROM events WHERE rowid IN ({numbers})")  # noqa: S608

    async def event(self, message_id: str) -> Row | None:
        """One event, whole."""
        return await self._row(
            "SELECT rowid AS place, * FROM events WHERE message_id = :message_id", message_id=message_id
        )

    # The overview

    async def watermark(self) -> str | None:
        """Every change recorded before this has been taken in."""
        row = await self._row("SELECT position FROM watermark")
        return row["position"] if row else None

    async def last_poll(self) -> Row | None:
        """The newest cycle."""
        return await self._row("SELECT * FROM polls ORDER BY id DESC LIMIT 1")

    async def last_success(self) -> str | None:
        """When a cycle last ended `ok` or `degraded`."""
        row = await self._row(
            "SELECT finished_at FROM polls WHERE outcome <> 'failed' ORDER BY id DESC LIMIT 1"
        )
        return row["finished_at"] if row else None

    async def polls(self, limit: int = 40) -> list[Row]:
        """The latest cycles, newest first."""
        return await self._rows("SELECT * FROM polls ORDER BY id DESC LIMIT :limit", limit=limit)

    async def requests_last_hour(self, now: datetime) -> int:
        """Requests to Gladly within the hour before *now*."""
        row = await self._row(
            "SELECT coalesce(sum(requests), 0) AS requests FROM polls"
            " WHERE id > (SELECT coalesce(max(id), 0) FROM polls) - :polls AND started_at >= :since",
            polls=_POLLS_OF_AN_HOUR,
            since=to_text(now - timedelta(hours=1)),
        )
        return int(row["requests"]) if row else 0

    async def event_counts(self) -> dict[str, int]:
        """Events by status."""

        async def ask() -> dict[str, int]:
            rows = await self._rows("SELECT status, count(*) AS n FROM events GROUP BY status")
            counts = {row["status"]: int(row["n"]) for row in rows}
            return {status: counts.get(status, 0) for status in EVENT_STATUSES}

        answer: dict[str, int] = await self._rested("event_counts", ask)
        return answer

    async def conversation_counts(self) -> dict[str, int]:
        """Conversations by status, in lower case as `status` says them."""

        async def ask() -> dict[str, int]:
            rows = await self._rows("SELECT status, count(*) AS n FROM conversations GROUP BY status")
            counts = {row["status"]: int(row["n"]) for row in rows}
            return {status.lower(): counts.get(status, 0) for status in CONVERSATION_STATUSES}

        answer: dict[str, int] = await self._rested("conversation_counts", ask)
        return answer

    async def oldest_pending(self) -> str | None:
        """When the oldest event still to be delivered was recorded."""
        row = await self._row("SELECT min(occurred_at) AS oldest FROM events WHERE status = 'pending'")
        return row["oldest"] if row else None

    async def needs_attention(self, limit: int = 20) -> list[Row]:
        """What needs a person, and the command that mends it."""
        return await self._rows("SELECT * FROM needs_attention LIMIT :limit", limit=limit)

    async def first_event(self) -> datetime | None:
        """When the earliest event was recorded."""
        row = await self._row("SELECT min(occurred_at) AS first FROM events")
        return from_text(row["first"]) if row and row["first"] else None

    async def transitions(self, since: datetime, step_s: int) -> list[Row]:
        """How many of each transition since then, in buckets of *step_s* seconds of the epoch."""

        async def ask() -> list[Row]:
            return await self._rows(
                "SELECT cast(strftime('%s', occurred_at) AS integer) / :step AS bucket, transition,"
                " count(*) AS n FROM (SELECT occurred_at, transition FROM events WHERE occurred_at >= :since"
                " ORDER BY occurred_at DESC LIMIT :cap) GROUP BY bucket, transition",
                step=step_s,
                since=to_text(since),
                cap=CHARTED_EVENTS,
            )

        answer: list[Row] = await self._rested(f"transitions {step_s}", ask)
        return answer

    async def lags(self, since: datetime, step_s: int) -> dict[int, list[float]]:
        """Seconds from recorded to delivered, of the events recorded since then, by bucket; sorted."""

        async def ask() -> dict[int, list[float]]:
            rows = await self._rows(
                "SELECT cast(strftime('%s', occurred_at) AS integer) / :step AS bucket,"
                " (julianday(delivered_at) - julianday(occurred_at)) * 86400 AS seconds"
                " FROM events WHERE status = 'delivered' AND occurred_at >= :since"
                " ORDER BY occurred_at DESC LIMIT :cap",
                step=step_s,
                since=to_text(since),
                cap=CHARTED_DELIVERIES,
            )
            found: dict[int, list[float]] = {}
            for row in rows:
                if row["seconds"] is not None:
                    found.setdefault(row["bucket"], []).append(max(0.0, row["seconds"]))
            return {bucket: sorted(lags) for bucket, lags in found.items()}

        answer: dict[int, list[float]] = await self._rested(f"lags {step_s}", ask)
        return answer

    async def open_by_age(self, now: datetime, limits_s: list[float]) -> list[int]:
        """How many open conversations are younger than each limit, but not than the one before; the rest."""

        async def ask() -> list[int]:
            cases = " ".join(
                f"WHEN since > '{to_text(now - timedelta(seconds=limit))}' THEN {number}"
                for number, limit in enumerate(limits_s)
            )
            rows = await self._rows(
                f"SELECT CASE {cases} ELSE {len(limits_s)} END AS age, count(*) AS n FROM"  # noqa: S608
                " (SELECT coalesce(created_at, updated_at) AS since FROM conversations"
                " WHERE status IN ('OPEN', 'WAITING') LIMIT :cap) GROUP BY age",
                cap=CHARTED_CONVERSATIONS,
            )
            counts = {row["age"]: int(row["n"]) for row in rows}
            return [counts.get(number, 0) for number in range(len(limits_s) + 1)]

        answer: list[int] = await self._rested("open_by_age", ask)
        return answer

    # The conversation

    async def conversation(self, conversation_id: str) -> Row | None:
        """A conversation as stored."""
        return await self._row("SELECT * FROM conversations WHERE id = :id", id=conversation_id)

    async def events_of(self, conversation_id: str) -> list[Row]:
        """Its events, oldest first."""
        return await self._rows(
            "SELECT rowid AS place, * FROM events WHERE conversation_id = :id"
            " ORDER BY occurred_at, rowid LIMIT 500",
            id=conversation_id,
        )

    async def changes_of(self, conversation_id: str) -> list[Row]:
        """Its changes as Gladly recorded them, and what was decided; none in a file of an older release."""
        if not await self._row("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'changes'"):
            return []
        return await self._rows(
            "SELECT * FROM changes WHERE conversation_id = :id ORDER BY recorded_at, id LIMIT 500",
            id=conversation_id,
        )

    async def customer(self, customer_id: str) -> Row | None:
        """What is known of a customer: merged away, or deleted; None for everyone else."""
        return await self._row("SELECT * FROM customers WHERE id = :id", id=customer_id)

    async def others_of(self, customer_id: str, but: str) -> list[Row]:
        """The customer's other conversations."""
        return await self._rows(
            "SELECT id, status, created_at, updated_at FROM conversations"
            " WHERE customer_id = :customer AND id <> :but LIMIT 20",
            customer=customer_id,
            but=but,
        )

    async def latest_conversations(self) -> list[Row]:
        """The conversations with the newest events."""
        return await self._rows(
            "SELECT c.id, c.customer_id, c.status, c.created_at, c.updated_at, count(*) AS events FROM"
            " (SELECT conversation_id, occurred_at FROM events ORDER BY occurred_at DESC LIMIT 60) AS e"
            " JOIN conversations AS c ON c.id = e.conversation_id GROUP BY c.id"
            " ORDER BY max(e.occurred_at) DESC LIMIT 20"
        )


def utc_of(bucket: int, step_s: int) -> datetime:
    """When a bucket begins."""
    return datetime.fromtimestamp(bucket * step_s, UTC)
