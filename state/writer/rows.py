"""
Writes records as rows: plain SQL, inside a transaction that `Store` has begun.

These run in every cycle. *now* is the present instant: the caller knows it better than this machine's clock.
The upserts of sqlite-utils would cost two to three times as much.
"""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from state.instants import to_text
from state.records import (
    QUARANTINED_LINE_BYTES,
    BadLine,
    Poll,
    Status,
    StoredConversation,
    TakenIn,
    TopicChange,
)

FEED = "conversations"  # the key of the one row of `watermark`


def _as_json(changes: list[TopicChange] | None) -> str | None:
    """Return topic changes as JSON: for each, when it was recorded, the topic, and whether it was added."""
    if changes is None:
        return None
    return json.dumps([[to_text(at), topic_id, is_added] for at, topic_id, is_added in changes])


def write_conversations(db: sqlite3.Connection, conversations: Sequence[StoredConversation]) -> None:
    """Write conversations as they are now, stored before or not."""
    db.executemany(
        "INSERT INTO conversations (id, customer_id, status, created_at, closed_at, updated_at,"
        " topic_changes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id,"
        " status = excluded.status, created_at = excluded.created_at, closed_at = excluded.closed_at,"
        " updated_at = excluded.updated_at, topic_changes = excluded.topic_changes",
        (
            (
                c.id,
                c.customer_id,
                c.status.value,
                to_text(c.created_at) if c.created_at else None,
                to_text(c.closed_at) if c.closed_at else None,
                to_text(c.updated_at),
                _as_json(c.topic_changes),
            )
            for c in conversations
        ),
    )


def free_what_is_explained(db: sqlite3.Connection, conversations: Sequence[StoredConversation]) -> None:
    """
    Let events be looked up at once that waited for a conversation which the feed now tells to be gone.

    The second answer that a 404 needs has come that way.
    """
    db.executemany(
        "UPDATE events SET next_attempt_at = NULL WHERE conversation_id = ? AND status = 'recorded'",
        ((c.id,) for c in conversations if c.status is Status.MERGED),
    )


def write_merges(db: sqlite3.Connection, taken: TakenIn) -> None:
    """Note which customers were merged, and give their conversations to the customer that remains."""
    for merge in taken.merges:
        db.execute(
            "INSERT INTO customers (id, merged_into, merged_at) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET merged_into = excluded.merged_into,"
            " merged_at = excluded.merged_at",
            (merge.source_id, merge.destination_id, to_text(merge.recorded_at)),
        )
        db.execute(
            # Gladly does not say what a merge does to topics.
            "UPDATE conversations SET customer_id = ?, topic_changes = NULL WHERE customer_id IN (?, ?)",
            (merge.destination_id, merge.source_id, merge.destination_id),
        )


def write_changes(db: sqlite3.Connection, taken: TakenIn, now: datetime) -> None:
    """
    Write what was decided about each change.

    A change read again keeps its first decision. One exception: a close that was taken for another one, and
    turns out to be its own, says so (semantics 2.0.1).
    """
    at = to_text(now)
    db.executemany(
        "INSERT INTO changes (conversation_id, type, recorded_at, change_id, status_before, status_after,"
        " transition, why, agent_id, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (recorded_at, conversation_id, type) DO UPDATE SET"
        " status_before = excluded.status_before, status_after = excluded.status_after,"
        " transition = excluded.transition, why = excluded.why"
        " WHERE changes.transition IS NULL AND excluded.transition = 'closed'",
        (
            (
                c.conversation_id,
                c.type,
                to_text(c.recorded_at),
                c.change_id,
                c.status_before and c.status_before.value,
                c.status_after.value,
                c.transition and c.transition.value,
                c.why,
                c.agent_id,
                at,
            )
            for c in taken.changes
        ),
    )


def write_events(db: sqlite3.Connection, taken: TakenIn, now: datetime) -> None:
    """Write events. An event already recorded under the same message id is left as it is."""
    at = to_text(now)
    db.executemany(
        "INSERT OR IGNORE INTO events (message_id, conversation_id, customer_id, transition, event,"
        " occurred_at, status, reason, payload, attempts, created_at, agent_id, type)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)",
        (
            (
                e.message_id,
                e.conversation_id,
                e.customer_id,
                e.transition.value,
                e.event,
                to_text(e.occurred_at),
                e.status.value,
                e.reason,
                e.payload.decode() if e.payload is not None else None,
                at,
                e.agent_id,
                e.type.value,
            )
            for e in taken.events
        ),
    )


def write_bad_lines(db: sqlite3.Connection, lines: Sequence[BadLine], now: datetime) -> None:
    """Put lines into quarantine, cut to `QUARANTINED_LINE_BYTES`. A line already there is left as it is."""
    at = to_text(now)
    db.executemany(
        "INSERT OR IGNORE INTO quarantine (id, seen_at, source, reason, line) VALUES (?, ?, ?, ?, ?)",
        (
            (
                bad.id,
                at,
                bad.source,
                bad.reason,
                bad.line[:QUARANTINED_LINE_BYTES].decode("utf-8", "replace"),
            )
            for bad in lines
        ),
    )


def move_watermark(db: sqlite3.Connection, position: datetime, now: datetime) -> None:
    """Put the watermark at *position*."""
    db.execute(
        "INSERT INTO watermark (feed, position, updated_at) VALUES (?, ?, ?) ON CONFLICT (feed) DO UPDATE"
        " SET position = excluded.position, updated_at = excluded.updated_at",
        (FEED, to_text(position), to_text(now)),
    )


def write_poll(db: sqlite3.Connection, poll: Poll) -> None:
    """Write a finished cycle."""
    db.execute(
        "INSERT INTO polls (started_at, finished_at, window_start, window_end, changes, created, closed,"
        " delivered, requests, outcome, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            to_text(poll.started_at),
            *(to_text(at) if at else None for at in (poll.finished_at, poll.window_start, poll.window_end)),
            poll.changes,
            poll.created,
            poll.closed,
            poll.delivered,
            poll.requests,
            poll.outcome.value,
            poll.error,
        ),
    )
