"""The sync has run for years: what only tells the past is forgotten, and its figures are kept."""

from datetime import timedelta

import pytest

from state.instants import to_text, utc_now
from state.queries.cycles import last_poll, last_success
from state.reader import Reader
from state.store import Store
from support.state_samples import query

FIGURES = "cycles, degraded, failed, changes, created, closed, delivered, requests"
SUMS = (
    "count(*), sum(outcome = 'degraded'), sum(outcome = 'failed'), sum(changes), sum(created), sum(closed),"
    " sum(delivered), sum(requests)"
)


def write_cycles(store, now, outcomes, days=1_000, each_day=24):
    """Write *each_day* cycles a day for years, whose outcomes are *outcomes*, over and over."""
    started = now - timedelta(days=days)
    store._connection.execute("BEGIN")
    store._connection.executemany(
        "INSERT INTO polls (started_at, finished_at, changes, created, closed, delivered, requests, outcome)"
        " VALUES (?, ?, ?, 2, 1, 3, 7, ?)",
        (
            (
                at := to_text(started + timedelta(days=1) * n / each_day),
                at,
                n % 5,
                outcomes[n % len(outcomes)],
            )
            for n in range(days * each_day)
        ),
    )
    store._connection.execute("COMMIT")


@pytest.mark.parametrize(
    "outcomes", [["failed"], ["ok", "ok", "degraded", "failed"], ["ok"] + ["failed"] * 23_999]
)
def test_old_cycles_are_forgotten_and_their_figures_kept(tmp_path, outcomes):
    """After years of cycles, a month of them is left, and every day's figures (faults H2.15)."""
    path, now = tmp_path / "state.db", utc_now()
    with Store(path) as store:
        write_cycles(store, now, outcomes)
        with Reader(path) as reader:
            shown = reader.ask(last_poll), reader.ask(last_success)
        before = query(path, f"SELECT {SUMS} FROM polls")
        steps = 0
        while store.erasure.forget_old_rows(now - timedelta(days=30)):
            steps += 1
        assert 4 <= steps <= 6
        assert query(path, "SELECT count(*) FROM polls")[0][0] in (720, 721)
        sums = ", ".join(f"sum({name})" for name in FIGURES.split(", "))
        kept = zip(
            query(path, f"SELECT {sums} FROM poll_days")[0],
            query(path, f"SELECT {SUMS} FROM polls")[0],
            strict=True,
        )
        assert [tuple(a + b for a, b in kept)] == before
        with Reader(path) as reader:
            assert (reader.ask(last_poll), reader.ask(last_success)) == shown


def test_a_day_that_is_forgotten_in_two_steps_is_one_row(tmp_path):
    """A step may end in the middle of a day. The day's figures are added up (faults H2.15)."""
    path, now = tmp_path / "state.db", utc_now()
    with Store(path) as store:
        write_cycles(store, now, ["ok"], days=60)
        while store.erasure.forget_old_rows(now - timedelta(days=30), limit=7):
            pass
        assert query(path, "SELECT max(cycles), count(*) - count(DISTINCT day) FROM poll_days") == [(24, 0)]


def test_a_cycle_forgets_the_rows_of_the_years_before(begin):
    """Decisions, cycles, finished resyncs and single 404s are kept for `state.retention` (faults H2.15)."""
    program = begin()
    db, old, new = program.store._connection, "2021-01-01T00:00:00.000Z", to_text(utc_now())
    for at in (old, new):
        db.execute(
            "INSERT INTO changes (conversation_id, type, recorded_at, seen_at) VALUES ('c', 'CLOSED', ?, ?)",
            (at, at),
        )
        db.execute("INSERT INTO polls (started_at, outcome) VALUES (?, 'failed')", (at,))
        db.execute(
            "INSERT INTO resyncs (since, until, position, started_at, finished_at) VALUES (?, ?, ?, ?, ?)",
            (old, old, old, at, at),
        )
        db.execute("INSERT INTO not_found VALUES ('profile', ?, ?)", (at, at))
    db.execute(
        "INSERT INTO resyncs (since, until, position, started_at) VALUES (?, ?, ?, ?)", (old, old, old, old)
    )
    program.run()
    for table, left in {"changes": 1, "polls": 2, "resyncs": 2, "not_found": 1}.items():
        assert query(program.path, f"SELECT count(*) FROM {table}") == [(left,)], table
    assert query(program.path, "SELECT day, cycles, failed FROM poll_days") == [("2021-01-01", 1, 1)]
