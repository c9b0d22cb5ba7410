"""The figures of the charts: by bucket of time, and by age."""

import sqlite3
from contextlib import closing

from state.instants import to_text
from state.queries.charts import delivery_lags, first_event, open_by_age, transitions
from state.records import Status, Transition
from support.state_samples import EIGHT, commit, conversation, eight, event

HOUR = int(EIGHT.timestamp()) // 3_600


def test_transitions_are_counted_by_bucket(store, answer):
    """Those before the chart begins are not counted."""
    commit(
        store,
        event("m-1", at=eight(-1)),
        event("m-2", at=eight(10)),
        event("m-3", at=eight(20)),
        event("m-4", at=eight(3_700), transition=Transition.CLOSED),
    )
    found = answer(transitions, EIGHT, 3_600)
    assert [(row["bucket"], row["transition"], row["n"]) for row in found] == [
        (HOUR, "created", 2),
        (HOUR + 1, "closed", 1),
    ]
    assert answer(first_event) == eight(-1)


def test_delivery_lags_are_seconds_from_the_record_to_the_delivery(path, store, answer):
    """Sorted in each bucket; an event that is not delivered has none."""
    commit(store, event("m-1", at=eight(0)), event("m-2", at=eight(10)), event("m-3", at=eight(20)))
    store.outbox.mark_delivered(["m-1", "m-2"])
    with closing(sqlite3.connect(path)) as somebody, somebody:
        somebody.execute(
            "UPDATE events SET delivered_at = ? WHERE delivered_at IS NOT NULL", (to_text(eight(60)),)
        )
    lags = answer(delivery_lags, EIGHT, 3_600)
    assert {bucket: [round(lag) for lag in some] for bucket, some in lags.items()} == {HOUR: [50, 60]}


def test_open_conversations_are_counted_by_age(store, answer):
    """Open and waiting ones, each under the first limit above its age; the last figure is the rest."""
    stored = [
        conversation("new"),
        conversation("waiting", status=Status.WAITING),
        conversation("old"),
        conversation("closed", status=Status.CLOSED),
    ]
    stored[2].created_at = eight(-7_200)
    commit(store, conversations=stored)
    assert answer(open_by_age, eight(60), [3_600.0, 5_000.0]) == [2, 0, 1]
