"""When stored conversations were compared with Gladly's."""

from datetime import timedelta

import pytest

from state.instants import utc_now
from support.state_samples import commit, conversation, eight


@pytest.mark.parametrize("ahead", [timedelta(minutes=1), timedelta(days=365), timedelta(days=3_650)])
def test_a_comparison_noted_by_a_clock_that_was_ahead_does_not_turn_comparing_off(store, ahead):
    """Only what was noted up to now counts (faults H1.19)."""
    commit(store, conversations=[conversation("c-1"), conversation("c-2")])
    now = utc_now()
    store.reconciliation.mark_checked(["c-1"], now + ahead)
    assert store.reconciliation.last_reconciled(now) is None
    store.reconciliation.mark_checked(["c-2"], eight(60))
    assert store.reconciliation.last_reconciled(now) == eight(60)
    assert store.reconciliation.last_reconciled(eight(59)) is None
