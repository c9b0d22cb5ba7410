"""What the commands' tests share: a state file to look into."""

from collections.abc import Callable
from typing import Any

import pytest

from state.records import Event, EventStatus, TakenIn, Transition
from state.store import Store
from support.installation import Installation


@pytest.fixture
def three_events(installation: Installation, ago: Callable[[float], Any]) -> list[str]:
    """A state file with a delivered, a rejected and a pending event, oldest first; their message ids."""
    message_ids = ["delivered-1", "rejected-1", "pending-1"]
    payload = b'{"type":"track","messageId":"%s","userId":"u-1","properties":{"conversationId":"%s"}}'
    with Store(installation.state_path) as store:
        store.commit(
            TakenIn(
                position=ago(60),
                events=[
                    Event(
                        message_id=id_,
                        conversation_id=f"c-{n}",
                        customer_id="u-1",
                        transition=Transition.CREATED,
                        event="Gladly Conversation Created",
                        occurred_at=ago(300 - n),
                        status=EventStatus.PENDING,
                        payload=payload % (id_.encode(), f"c-{n}".encode()),
                    )
                    for n, id_ in enumerate(message_ids)
                ],
            )
        )
        store.outbox.mark_delivered(["delivered-1"])
        store.outbox.mark_rejected("rejected-1", "Segment answered 400: no")
    return message_ids
