"""Reads the stored conversations, the transitions recorded of each, and changes taken in earlier."""

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from state.instants import from_text, to_text
from state.records import (
    OTHER_INBOX,
    UNKNOWN_INBOX,
    ChangeRecord,
    CustomerConversation,
    EventStatus,
    Status,
    StoredConversation,
    TopicChange,
    Transition,
    TransitionRecord,
)
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
            topic_changes=_topic_changes(row[6]),
        )
        for row in connection.rows_in(
            "SELECT id, customer_id, status, created_at, closed_at, updated_at, topic_changes"
            " FROM conversations WHERE id IN ({})",
            set(ids),
        )
    }
    if not with_transitions:
        return found
    for conversation_id, transition, occurred_at in connection.rows_in(
        "SELECT conversation_id, transition, occurred_at FROM events WHERE conversation_id IN ({})"
        " AND type = 'track' ORDER BY occurred_at",
        found,
    ):
        found[conversation_id].recorded.append(
            TransitionRecord(Transition(transition), from_text(occurred_at))
        )
    return found


# No customer needs more. A robot's conversations may be many thousands, and each of its events asks for them.
_MOST_CONVERSATIONS = 200


def conversations_of(
    connection: WriterConnection, customers: Iterable[str], until: datetime
) -> list[CustomerConversation]:
    """
    Return the stored conversations of some customers, with what `events` records of each up to an instant.

    They are the newest 200, the open ones before the others. Few customers have as many: a robot, perhaps.

    Args:
        connection: The connection of the store.
        customers: The customers.
        until: The instant, inclusive.
    """
    found = list(
        connection.rows_in(
            "SELECT id, status, updated_at, created_at, closed_at FROM conversations"  # noqa: S608 (a constant)
            " WHERE customer_id IN ({}) ORDER BY status IN ('OPEN', 'WAITING') DESC, updated_at DESC"
            f" LIMIT {_MOST_CONVERSATIONS}",
            set(customers),
        )
    )
    recorded: dict[str, list[TransitionRecord]] = {row[0]: [] for row in found}
    left_out: set[str] = set()
    for conversation_id, transition, occurred_at, status, reason in connection.rows_in(
        "SELECT conversation_id, transition, occurred_at, status, reason FROM events"  # noqa: S608 (an instant)
        f" WHERE conversation_id IN ({{}}) AND occurred_at <= '{to_text(until)}'"
        " ORDER BY occurred_at, rowid",
        recorded,
    ):
        recorded[conversation_id].append(TransitionRecord(Transition(transition), from_text(occurred_at)))
        if status == EventStatus.SUPPRESSED and reason in (OTHER_INBOX, UNKNOWN_INBOX):
            left_out.add(conversation_id)
        elif status != EventStatus.RECORDED:
            left_out.discard(conversation_id)
    return [
        CustomerConversation(
            id=id_,
            status=Status(status),
            updated_at=from_text(updated_at),
            created_at=from_text(created_at) if created_at else None,
            closed_at=from_text(closed_at) if closed_at else None,
            recorded=recorded[id_],
            is_left_out=id_ in left_out,
        )
        for id_, status, updated_at, created_at, closed_at in found
    ]


def changes_near(
    connection: WriterConnection, moments: Iterable[tuple[str, datetime]], within: timedelta
) -> list[ChangeRecord]:
    """
    Return the changes of conversations that were taken in earlier and recorded near some instants.

    Args:
        connection: The connection.
        moments: Each an id of a conversation, and an instant. What is asked is answered from the index by
            time, so that the size of the file does not matter.
        within: How far from the instant a change may lie.
    """
    found = {}
    for conversation_id, at in moments:
        for row in connection.rows(
            "SELECT id, change_id, conversation_id, type, recorded_at, status_before, status_after,"
            " transition, why, agent_id FROM changes INDEXED BY changes_once"
            " WHERE recorded_at BETWEEN ? AND ? AND conversation_id = ?",
            (to_text(at - within), to_text(at + within), conversation_id),
        ):
            found[row[0]] = ChangeRecord(
                change_id=row[1],
                conversation_id=row[2],
                type=row[3],
                recorded_at=from_text(row[4]),
                status_before=Status(row[5]) if row[5] else None,
                status_after=Status(row[6]),
                transition=Transition(row[7]) if row[7] else None,
                why=row[8],
                agent_id=row[9],
            )
    return [found[id_] for id_ in sorted(found)]


def _topic_changes(text: str | None) -> list[TopicChange] | None:
    if text is None:
        return None
    return [TopicChange(from_text(at), topic_id, is_added) for at, topic_id, is_added in json.loads(text)]
