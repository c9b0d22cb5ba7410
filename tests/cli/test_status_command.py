"""`status`: where the sync stands, for people and for health checks, without a lock."""

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest

from state import Poll, PollOutcome, Store, TakenIn
from state.instants import from_text, to_text, utc_now

EVENTS = {"pending", "delivered", "rejected", "suppressed"}
CONVERSATIONS = {"open", "closed"}


def status(gladly_segment, *arguments):
    return json.loads(gladly_segment("status", "--json", *arguments).out)


def stand_at(installation, age):
    """Have the watermark lie so far back."""
    with Store(installation.state_path) as store:
        store.take_in(TakenIn(position=utc_now() - age))


# --- as JSON --------------------------------------------------------------------------------------------


def test_before_the_first_cycle_everything_is_none_or_nothing(gladly_segment, installation):
    """It works, says so, and makes no file."""
    found = status(gladly_segment)
    assert [found[name] for name in ("watermark", "lag_seconds", "gap_seconds_left", "last_poll")] == [
        None
    ] * 4
    assert found["events"] == dict.fromkeys(EVENTS, 0)
    assert list(installation.directory.iterdir()) == []


def test_a_file_whose_creation_was_cut_short_is_as_none(gladly_segment, installation):
    """Empty, as a full disk or `touch` leaves it: the first cycle makes it, and `status` works until then."""
    before = status(gladly_segment)
    installation.state_path.touch()
    ended = gladly_segment("status", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == before


def test_after_a_cycle_every_figure_of_the_interface_is_there(gladly_segment, installation, opened):
    """The keys and kinds that scripts rely on (interface 4)."""
    opened()
    assert gladly_segment("once").code == 0
    found = status(gladly_segment)
    assert from_text(found["watermark"]) < utc_now()
    assert found["lag_seconds"] == pytest.approx(60, abs=10)  # the overlap
    assert found["gap_seconds_left"] == pytest.approx(86_400 - found["lag_seconds"], abs=0.01)
    assert (found["last_poll"]["outcome"], found["last_poll"]["delivered"]) == ("ok", 1)
    assert found["events"] == dict.fromkeys(EVENTS, 0) | {"delivered": 1}
    assert (found["conversations"]["open"], found["conversations"]["closed"]) == (1, 0)


def test_it_works_while_a_writer_writes(gladly_segment, installation, three_events):
    """In the middle of somebody's transaction, it shows what was committed before (faults C4)."""
    with Store(installation.state_path), closing(sqlite3.connect(installation.state_path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM events")
        assert status(gladly_segment)["events"] == {
            "pending": 1,
            "delivered": 1,
            "rejected": 1,
            "suppressed": 0,
        }


def test_it_leaves_the_file_as_it_is(gladly_segment, installation, three_events):
    """Byte for byte."""
    before = installation.state_path.read_bytes()
    assert gladly_segment("status").code == 0
    assert installation.state_path.read_bytes() == before


def test_it_needs_neither_secrets_nor_gladly(command, installation, three_events):
    """A health check knows where the config file is, and nothing else."""
    (installation.directory / "config.toml").write_text('[gladly]\norganization = "acme"\n')
    ended = command("status", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["events"]["delivered"] == 1


def test_what_is_no_state_file_is_an_error(gladly_segment, installation):
    """Exit 2, and the file is left alone."""
    installation.state_path.write_bytes(b"Dear diary")
    ended = gladly_segment("status")
    assert (ended.code, ended.out) == (2, "")
    assert "is not an SQLite file" in ended.err


# --- health checks --------------------------------------------------------------------------------------


def test_a_watermark_young_enough_is_healthy(gladly_segment, installation):
    """Exit 0; the figures are shown all the same."""
    stand_at(installation, timedelta(minutes=9))
    ended = gladly_segment("status", "--max-lag", "10m")
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("shape", [[], ["--json"]], ids=["text", "JSON"])
def test_a_watermark_too_old_is_not(gladly_segment, installation, shape):
    """Exit 1, and why; standard output is as ever."""
    stand_at(installation, timedelta(minutes=11))
    ended = gladly_segment("status", "--max-lag", "10m", *shape)
    assert ended.code == 1
    assert "the watermark is too old" in ended.err
    assert ended.out != ""


def test_an_event_that_waits_too_long_is_not(gladly_segment, installation, three_events):
    """Polling goes well and Segment has been down for long: that is not healthy either."""
    with closing(sqlite3.connect(installation.state_path)) as connection, connection:
        connection.execute(
            "UPDATE events SET created_at = ? WHERE status = 'pending'",
            (to_text(utc_now() - timedelta(minutes=11)),),
        )
    ended = gladly_segment("status", "--max-lag", "10m")
    assert ended.code == 1
    assert "the oldest pending event has waited too long" in ended.err
    assert gladly_segment("status", "--max-lag", "12m").code == 0


def test_what_never_succeeded_is_not(gladly_segment, installation):
    """A daemon that never got anywhere is not healthy by default."""
    ended = gladly_segment("status", "--max-lag", "10m")
    assert ended.code == 1
    assert "no cycle has succeeded yet" in ended.err


def test_a_lag_that_is_no_duration_is_wrong_usage(gladly_segment):
    """Exit 2, with what would be one."""
    ended = gladly_segment("status", "--max-lag", "ten minutes")
    assert ended.code == 2
    assert "90s, 15m, 36h or 7d" in ended.err


# --- for people -----------------------------------------------------------------------------------------


def test_the_time_left_for_a_gap_is_shown(gladly_segment, installation):
    """How long the sync may still be down before the Events API no longer reaches back."""
    stand_at(installation, timedelta(hours=2, minutes=30))
    shown = gladly_segment("status").out
    assert "(2h 30m ago)" in shown
    assert "21h 30m left of the Events API's 24h" in shown or "21h 29m left" in shown


def test_what_needs_a_person_is_shown_with_the_command_that_mends_it(gladly_segment, three_events):
    """A rejected event, why, and how to send it again."""
    shown = gladly_segment("status").out
    assert "rejected event: Segment answered 400: no" in shown
    assert "gladly-segment retry rejected-1" in shown
    assert "1 pending, 1 delivered, 1 rejected, 0 suppressed" in shown


def test_after_a_failure_the_last_success_and_the_error_are_shown(gladly_segment, installation):
    """Since when things go wrong, and what."""
    with Store(installation.state_path) as store:
        now = utc_now()
        store.record_poll(Poll(now - timedelta(hours=3), finished_at=now - timedelta(hours=3)))
        store.record_poll(
            Poll(now, finished_at=now, outcome=PollOutcome.FAILED, error="Gladly answered 500 (an error).")
        )
    shown = gladly_segment("status").out
    assert "failed" in shown
    assert "Gladly answered 500 (an error)." in shown
    assert to_text(now - timedelta(hours=3)) in shown


def test_nothing_is_coloured_for_a_pipe(gladly_segment, three_events):
    """No escape sequences where there is no terminal."""
    assert "\x1b" not in gladly_segment("status").out
