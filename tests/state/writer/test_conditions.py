"""What is wrong and goes on, as the state file says it."""

from datetime import timedelta

from state.findings import Condition
from state.instants import to_text
from state.store import Store
from support.state_samples import eight, query

REFUSED = Condition("gladly-credentials", "refused token", "Gladly refuses the token.", "mend it")


def rows(path):
    return query(path, "SELECT * FROM conditions")


def test_a_condition_keeps_when_it_began(path, store):
    """Another reason is written, and the beginning stays, also for the next process."""
    store.conditions.set(REFUSED, eight())
    store.conditions.set(REFUSED._replace(reason="Gladly refuses it still."), eight(60))
    assert rows(path) == [
        ("gladly-credentials", "refused token", "Gladly refuses it still.", to_text(eight()), "mend it")
    ]
    store.close()
    with Store(path) as later:
        assert later.conditions.since("gladly-credentials") == eight()
        assert later.conditions.clear("gladly-credentials")
    assert rows(path) == []


def test_a_condition_that_is_noted_again_costs_no_write(path, store):
    """Nor does the end of one that was not noted."""
    store.conditions.set(REFUSED, eight())
    changes = store._connection.total_changes
    store.conditions.set(REFUSED, eight() + timedelta(hours=1))
    assert not store.conditions.clear("segment-credentials")
    assert store._connection.total_changes == changes
    assert store.conditions.since("segment-credentials") is None
