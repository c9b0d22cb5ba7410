"""Reads the stored conversations, each with the transitions that are recorded of it."""

import json
from collections.abc import Iterable

from state.instants import from_text
from state.records import Status, StoredConversation, Transition, TransitionRecord
from state.writer.connection import WriterConnection


def stored_conversations(
    connection: WriterConnection, ids: Iterable[str], *, with_transitions: bool = True
) -> dict[str, StoredConversation]:
    """
    Return the conversations among *ids* that are stored, by id.

    Args:
        connection: The connection of the store.
        ids: The conversations.
        with_transitions: Whether to read the transitions that `events` records of each, too.
    """
    found = {
        row[0]: StoredConversation(
            id=row[0],
            customer_id=row[1],
            status=Status(row[2]),
            created_at=from_text(row[3]) if row[3] else None,
            closed_at=from_text(row[4]) if row[4] else None,
            updated_at=from_text(row[5]),
            topic_ids=json.loads(row[6]) if row[6] else None,
        )
        for row in connection.rows_in(
            "SELECT id, customer_id, status, created_at, closed_at, updated_at, topic_ids FROM conversations"
            " WHERE id IN ({})",
            set(ids),
        )
    }
    if not with_transitions:
        return found
    for conversation_id, transition, occurred_at in connection.rows_in(
        "SELECT conversation_id, transition, occurred_at FROM events WHERE conversation_id IN ({})"
        " ORDER BY occurred_at",
        found,
    ):
        found[conversation_id].recorded.append(
            TransitionRecord(Transition(transition), from_text(occurred_at))
        )
    return found
