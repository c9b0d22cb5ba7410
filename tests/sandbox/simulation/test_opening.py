"""A living world begins with something of everything."""

from collections import Counter

import pytest

from support.sandbox_clients import lived


@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("tempo", [1, 20])
def test_the_opening_shows_everything(seed, tempo):
    """
    Within 400 seconds at tempo 1: created, closed, closed twice, merged in a chain, and gone after closing.
    """
    world = lived(seed, tempo, [400 / tempo])
    types = Counter(change.type for change in world.changes)
    assert types["CONVERSATION/CREATED"] >= 5
    assert types["CONVERSATION/CLOSED"] >= 4
    assert types["CONVERSATION/REOPENED"] >= 1
    assert types["CUSTOMER/MERGED"] >= 2
    assert types["CONVERSATION_ASSIGNEE/UPDATED"] >= 3
    assert types["CONVERSATION/TOPIC_ADDED"] >= 1
    assert types["CUSTOMER_PROFILE/UPDATED"] >= 1

    closes = Counter(t.conversation_id for t in world.truth() if t.kind == "closed")
    assert max(closes.values()) >= 2
    assert any(talk.gone == "merged" for talk in world.conversations.values())
    assert any(destination in world.merged for destination, _ in world.merged.values()), "merges chain"

    closed_at = {t.customer_id: t.recorded_at for t in world.truth() if t.kind == "closed"}
    waits = [(at - closed_at[who]).total_seconds() for who, at in world.deleted.items() if who in closed_at]
    assert any(0 < wait <= 0.2 for wait in waits), "one is gone at once after a close"
