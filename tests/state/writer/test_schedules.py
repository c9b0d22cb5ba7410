"""How often a cycle is expected: said by the daemon, learned from `once`."""

from datetime import timedelta

import pytest

from state.records import Poll
from support.state_samples import eight, query


def every_of(path, role):
    return query(path, "SELECT every_s FROM schedules WHERE role = ?", role)[0][0]


def run_once(store, *seconds):
    for each in seconds:
        store.record_poll(Poll(eight(each), finished_at=eight(each)), is_alone=True)


def test_the_daemon_says_how_often(path, store):
    """The last word counts."""
    for every in (timedelta(seconds=60), timedelta(hours=1)):
        store.record_poll(Poll(eight(), finished_at=eight()), every=every)
    assert every_of(path, "daemon") == 3_600


@pytest.mark.parametrize(
    ("runs", "learned_s"),
    [
        pytest.param([0], 0, id="one run says nothing"),
        pytest.param([0, 300], 300, id="two runs"),
        pytest.param([0, 10 * 86_400], 86_400, id="ten days between the first two"),
        pytest.param([0, 300, 600, 8 * 3_600], 600, id="an outage of a night"),
        pytest.param([0, 300, 600, 8 * 3_600, 8 * 3_600 + 300], 300, id="and the run after it"),
        pytest.param([0, 3_600, 7_200, 7_260], 1_800, id="a run by hand between two"),
        pytest.param([0, 3_600, 7_200, 7_260, 10_800], 3_540, id="and the run after it, again"),
        pytest.param([0, 300, 200], 150, id="the clock was put back"),
    ],
)
def test_once_learns_how_often_it_runs(path, store, runs, learned_s):
    """Neither an outage nor a run by hand becomes the interval."""
    run_once(store, *runs)
    assert every_of(path, "once") == learned_s


def test_other_cycles_say_nothing(path, store):
    """The daemon has said once how often it runs."""
    store.record_poll(Poll(eight(), finished_at=eight()))
    assert query(path, "SELECT * FROM schedules") == []
