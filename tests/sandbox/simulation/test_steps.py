"""What happens by itself keeps Gladly's rules at every tempo."""

from datetime import timedelta

import pytest

from support.sandbox_clients import lived


@pytest.mark.parametrize("tempo", [0.5, 1, 20, 100])
def test_two_closes_of_one_conversation_lie_apart_at_every_tempo(tempo):
    world = lived(3, tempo, [20_000 / tempo])
    last_close = {}
    again = 0
    for truth in world.truth():
        if truth.kind != "closed":
            continue
        if truth.conversation_id in last_close:
            assert truth.recorded_at - last_close[truth.conversation_id] >= timedelta(seconds=6)
            again += 1
        last_close[truth.conversation_id] = truth.recorded_at
    assert again > 5


def test_a_simulation_keeps_gladly_s_rules():
    """
    One open conversation a customer; nothing happens to who or what is gone; created comes before closed.
    """
    world = lived(7, 1, [6 * 3600])
    state = {}
    for truth in world.truth():
        before = state.get(truth.conversation_id)
        assert (before, truth.kind) in {(None, "created"), ("open", "closed"), ("closed", "reopened")}
        state[truth.conversation_id] = "closed" if truth.kind == "closed" else "open"
        talk = world.conversations[truth.conversation_id]
        assert talk.gone_at is None or truth.recorded_at <= talk.gone_at
    for customer in world.customers.values():
        ids = [id for id in customer.conversation_ids if world.conversations[id].is_open and customer.is_here]
        assert len(ids) <= 1
        assert ids == ([customer.open_conversation_id] if customer.open_conversation_id else [])
    for talk in world.conversations.values():
        assert [version.at for version in talk.versions] == sorted(version.at for version in talk.versions)
