"""`forget`: a person who asks is erased and suppressed as a deleted one, and the proof is made anew."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from state.locks import RESYNC
from state.records import BadLine, CustomerMerge
from state.search import count_in_files
from state.store import Store
from support.daemon import Daemon, watched
from support.state_samples import commit, event
from support.terminal import terminal

NAME = "Wren Archer"
WREN = "wren@example.com"
ANA = "ana@example.com"


@pytest.fixture
def wren(installation, gladly_segment, ago):
    """The id of a customer with a delivered event, and with one that Segment refuses."""
    world = installation.sandbox.world
    customer = world.add_customer(NAME, emails=[{"normalized": WREN, "primary": True}])
    other = world.add_customer("Ana Bell", emails=[{"normalized": ANA, "primary": True}])
    talk = world.open_conversation(customer, at=ago(90))
    world.open_conversation(other, at=ago(80))
    world.close(talk, at=ago(70))
    installation.sandbox.faults.reject_message(
        lambda sent: sent["userId"] == customer.id and sent["event"].endswith("Closed")
    )
    assert gladly_segment("once").code == 0
    installation.sandbox.faults.reject_message(None)
    return customer.id


def rows(installation, sql, *parameters):
    with closing(sqlite3.connect(installation.state_path)) as db:
        return db.execute(sql, parameters).fetchall()


def found_in_files(installation, *texts):
    return sum(count_in_files(installation.state_path, texts).values())


def test_a_forgotten_customer_is_erased_and_suppressed(gladly_segment, installation, wren):
    """Payloads are gone from rows and bytes, what was not sent is suppressed, others are as before."""
    assert found_in_files(installation, WREN, NAME) > 0
    ended = gladly_segment("forget", wren, "--yes")
    assert ended.code == 0
    assert "left           nothing, except ids and times" in ended.out
    assert found_in_files(installation, WREN, NAME) == 0
    assert rows(
        installation, "SELECT status, reason, payload FROM events WHERE customer_id = ? ORDER BY status", wren
    ) == [
        ("delivered", None, None),
        ("suppressed", "customer was forgotten on request", None),
    ]
    assert found_in_files(installation, ANA) > 0
    ((reason, wiped),) = rows(installation, "SELECT reason, wiped_at FROM customers WHERE id = ?", wren)
    assert (reason, wiped is not None) == ("customer was forgotten on request", True)


def test_what_was_found_and_done_is_said(gladly_segment, wren):
    """For people and, with --json, for whoever keeps the proof. No personal text is in it."""
    ended = gladly_segment("forget", wren, "--yes", "--json")
    found = json.loads(ended.out)
    assert found["proved"] is True
    assert (found["ids"], found["delay"]) == ([wren], None)
    assert {
        name: found["found"][name] for name in ("conversations", "events", "undelivered", "payloads")
    } == {
        "conversations": 1,
        "events": 2,
        "undelivered": 1,
        "payloads": 2,
    }
    assert found["found"]["places"] >= found["found"]["texts"] >= 2
    assert set(found["left"].values()) == {0}
    assert f"ask it to delete the userId {wren}" in ended.err
    assert "wren" not in (ended.out + ended.err).replace(wren, "").lower()


def test_nothing_of_a_forgotten_customer_is_sent_from_then_on(gladly_segment, installation, wren, ago):
    """Gladly still has the profile; what happens to it is recorded as suppressed."""
    assert gladly_segment("forget", wren, "--yes").code == 0
    world = installation.sandbox.world
    (customer,) = (c for c in world.customers.values() if c.id == wren)
    before = len(installation.sandbox.inbox.received)
    again = world.open_conversation(customer, at=ago(0))
    assert gladly_segment("once").code == 0
    assert len(installation.sandbox.inbox.received) == before
    assert rows(
        installation, "SELECT status, reason, payload FROM events WHERE conversation_id = ?", again.id
    ) == [("suppressed", "customer was forgotten on request", None)]


def test_a_second_time_proves_it_again(gladly_segment, wren):
    """With nothing known to look for, which it says."""
    assert gladly_segment("forget", wren, "--yes").code == 0
    ended = gladly_segment("forget", wren, "--yes")
    assert ended.code == 0
    assert "no payload was kept" in ended.out


def test_whoever_was_merged_into_the_customer_is_forgotten_too(gladly_segment, installation):
    """The one who was merged away is known by another id, and had a payload of their own."""
    with Store(installation.state_path) as store:
        commit(
            store,
            event("m-1", customer="source", conversation="c-1", email="old@example.com"),
            event("m-2", customer="remains", conversation="c-2", email="new@example.com"),
            event("m-3", customer="other", conversation="c-3", email="other@example.com"),
            merges=[CustomerMerge("source", "remains", event("m").occurred_at)],
            bad_lines=[BadLine("events", "not JSON", b'{"customerId": "source", ')],
        )
    found = json.loads(gladly_segment("forget", "remains", "--yes", "--json").out)
    assert (found["ids"], found["proved"], found["found"]["lines"]) == (["remains", "source"], True, 1)
    assert found_in_files(installation, "old@example.com", "new@example.com", '"customerId": "source"') == 0
    assert found_in_files(installation, "other@example.com") == 1


def test_whoever_was_merged_away_is_not_forgotten_alone(gladly_segment, installation):
    """They live on as another customer, whose id is named (semantics 5.1)."""
    with Store(installation.state_path) as store:
        commit(
            store,
            event("m-1", customer="source", email="old@example.com"),
            merges=[CustomerMerge("source", "remains", event("m").occurred_at)],
        )
    ended = gladly_segment("forget", "source", "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert "gladly-segment forget remains" in ended.err
    assert found_in_files(installation, "old@example.com") == 1


def test_a_name_that_others_have_too_is_no_trace(gladly_segment, installation):
    """It stands in the payload of another customer, who was not forgotten."""
    with Store(installation.state_path) as store:
        commit(
            store,
            event("m-1", customer="one", conversation="c-1", email="family@example.com"),
            event("m-2", customer="two", conversation="c-2", email="family@example.com"),
        )
    found = json.loads(gladly_segment("forget", "one", "--yes", "--json").out)
    assert (found["proved"], set(found["left"].values())) == (True, {0})
    assert found_in_files(installation, "family@example.com") == 1


def test_what_an_answer_has_quoted_is_a_trace(gladly_segment, installation):
    """The error of a cycle may hold what Gladly answered: exit 1, and what holds it is said."""
    with Store(installation.state_path) as store:
        commit(store, event("m-1", customer="one", email=WREN))
    with closing(sqlite3.connect(installation.state_path)) as db, db:
        db.execute(
            "INSERT INTO polls (started_at, error) VALUES ('2026-11-20T08:00:00.000Z', ?)", (f"no {WREN}",)
        )
    ended = gladly_segment("forget", "one", "--yes")
    assert (ended.code, "left           1 rows" in ended.out) == (1, True)
    assert "It is not proved that nothing is left" in ended.err


def test_an_unknown_customer_is_said_to_be_unknown(gladly_segment, installation, wren):
    """Exit 2, what to do, and nothing is changed."""
    before = rows(installation, "SELECT * FROM events")
    ended = gladly_segment("forget", "nobody", "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert "Nothing is stored of customer nobody" in ended.err
    assert "gladly-segment events --email ADDRESS" in ended.err
    assert rows(installation, "SELECT * FROM events") == before


def test_without_a_state_file_none_is_made(gladly_segment, installation):
    """Exit 2: a person may have started it in the wrong directory."""
    ended = gladly_segment("forget", "anyone", "--yes")
    assert (ended.code, ended.out, installation.state_path.exists()) == (2, "", False)


def test_without_a_terminal_it_wants_to_be_told_yes(gladly_segment, installation, wren):
    """Exit 2, and nothing is erased."""
    installation.settings["NO_COLOR"] = "1"
    ended = installation.run("forget", wren)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Add --yes" in ended.stderr
    assert found_in_files(installation, WREN) > 0


@pytest.mark.parametrize(("answer", "code"), [(b"n\n", 1), (b"y\n", 0)], ids=["no", "yes"])
def test_on_a_terminal_it_asks(installation, wren, answer, code):
    """After saying how much it is."""
    with terminal(answer) as at:
        ended = subprocess.run(
            [sys.executable, "-m", "sync", "forget", wren],
            cwd=installation.directory,
            env=installation.environment,
            stdin=at.program,
            capture_output=True,
            text=True,
            timeout=30,
        )
    assert ended.returncode == code
    assert "1 conversation, 2 events, 2 payloads." in ended.stderr
    assert (found_in_files(installation, WREN) == 0) == (code == 0)


def test_while_a_resync_runs_it_is_refused(gladly_segment, installation, wren):
    """Exit 4; of those that come beside the daemon there is one at a time."""
    with Store(installation.state_path, RESYNC):
        assert gladly_segment("forget", wren, "--yes").code == 4


def test_beside_a_running_daemon_it_takes_its_turn(installation, wren):
    """The daemon goes on; it is said that its memory is its own."""
    with Daemon(watched(installation, SYNC__EVERY="0.2s")) as daemon:
        daemon.wait_for("cycle.finished")
        ended = installation.run("forget", wren, "--yes")
        daemon.wait_for("cycle.finished", times=len(daemon.lines("cycle.finished")) + 2)
        daemon.end()
    assert ended.returncode == 0, ended.stderr
    assert "A daemon runs." in ended.stderr
    assert found_in_files(installation, WREN, NAME) == 0


def test_a_reader_that_does_not_end_leaves_it_unproved(installation, wren):
    """Exit 1: the log cannot be emptied. Once the reader has gone, the same command proves it."""
    with closing(sqlite3.connect(installation.state_path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        ended = installation.run("forget", wren, "--yes")
        assert ended.returncode == 1
        assert "another program reads the state file" in ended.stdout
        assert "give the same command again" in ended.stderr
    assert installation.run("forget", wren, "--yes").returncode == 0
    assert found_in_files(installation, WREN) == 0


def test_the_customers_id_may_begin_with_a_hyphen(gladly_segment, installation):
    """One in 64 of Gladly's does, and is no option."""
    with Store(installation.state_path) as store:
        commit(store, event("m-1", customer="-ALK6DLWqvRYVTjTCDLLBA", email=WREN))
    assert gladly_segment("forget", "-ALK6DLWqvRYVTjTCDLLBA", "--yes").code == 0
    assert found_in_files(installation, WREN) == 0
