"""Chunks made by hand and numbered, so that the state file shows how many of them it holds."""

from datetime import UTC, datetime, timedelta

from state.records import Event, EventStatus, Status, StoredConversation, TakenIn, Transition
from state.store import Store
from support.state_file import rows

EPOCH = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def nth_chunk(number: int, events: int = 1) -> TakenIn:
    """Return the n-th chunk. It moves the watermark by a second and adds *events* conversations."""
    position = EPOCH + timedelta(seconds=number)
    ids = [f"conversation-{number}-{n}" for n in range(events)]
    return TakenIn(
        position=position,
        seen=[(f"change-{id_}", position) for id_ in ids],
        conversations=[
            StoredConversation(
                id_,
                f"customer-{id_}",
                Status.CLOSED,  # an open one would be looked up again, and Gladly does not know it
                updated_at=position,
                created_at=position,
                closed_at=position,
            )
            for id_ in ids
        ],
        events=[
            Event(
                message_id=f"message-{id_}",
                conversation_id=id_,
                customer_id=f"customer-{id_}",
                transition=Transition.CREATED,
                event="Gladly Conversation Created",
                occurred_at=position,
                status=EventStatus.PENDING,
                payload=b'{"type":"track","event":"Gladly Conversation Created","userId":"customer-%s",'
                b'"messageId":"message-%s","properties":{"customerName":"%s"}}'
                % (id_.encode(), id_.encode(), b"x" * 300),
            )
            for id_ in ids
        ],
    )


def commits_in(store: Store, events: int = 1) -> int:
    """
    Return how many chunks of `nth_chunk` the file holds. The watermark, the outbox and the rest must agree.
    """
    counts = {
        table: rows(store.path, f"SELECT count(*) FROM {table}")[0][0] / events
        for table in ("events", "conversations", "seen_changes")
    }
    assert rows(store.path, "PRAGMA integrity_check") == [("ok",)]
    position = store.watermark()
    number = 0 if position is None else round((position - EPOCH).total_seconds())
    assert counts == {"events": number, "conversations": number, "seen_changes": number}
    return number
