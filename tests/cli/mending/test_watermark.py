"""`watermark`, `resync`: the watermark is shown and moved, and past intervals are read again."""

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import pytest

from state.instants import from_text, to_text, utc_now
from state.reader import Reader
from state.records import TakenIn
from state.store import Store
from support.terminal import show, terminal


def position(installation):
    with Reader(installation.state_path) as reader:
        return reader.watermark()["position"]


@pytest.fixture
def standing(installation):
    """A state file whose watermark lies an hour back."""
    at = (utc_now() - timedelta(hours=1)).replace(microsecond=0)
    with Store(installation.state_path) as store:
        store.commit(TakenIn(position=at, seen=[("change-1", at)]))
    return to_text(at)


# --- watermark show -------------------------------------------------------------------------------------


def test_before_the_first_cycle_there_is_none(gladly_segment, installation):
    """It says who sets it, and makes no file."""
    assert "No watermark yet" in gladly_segment("watermark", "show").out
    assert json.loads(gladly_segment("watermark", "show", "--json").out)["watermark"] is None
    assert list(installation.directory.iterdir()) == []


def test_it_is_shown_with_its_age(gladly_segment, standing):
    """For people and as JSON."""
    assert gladly_segment("watermark", "show").out.startswith(f"{standing}  (1h")
    shown = json.loads(gladly_segment("watermark", "show", "--json").out)
    assert shown["watermark"] == standing
    assert shown["lag_seconds"] == pytest.approx(3_600, abs=10)
    assert shown["gap_seconds_left"] == pytest.approx(82_800, abs=10)


# --- watermark reset ------------------------------------------------------------------------------------


def test_a_reset_says_what_it_means_and_does_it(gladly_segment, installation, standing):
    """From where to where, and what is read again; the seen changes are forgotten with it."""
    ended = gladly_segment("watermark", "reset", "--to", "2026-11-20T08:00+01:00", "--yes")
    assert ended.code == 0
    assert f"{standing} → 2026-11-20T07:00:00.000Z" in ended.out
    assert "reads every change since then again" in ended.out
    assert position(installation) == "2026-11-20T07:00:00.000Z"
    with Store(installation.state_path) as store:
        assert store.seen_changes() == {}


def test_an_age_is_an_instant_too(gladly_segment, installation, standing):
    """`--to 6h` is six hours ago."""
    assert gladly_segment("watermark", "reset", "--to", "6h", "--yes").code == 0
    assert abs(utc_now() - timedelta(hours=6) - from_text(position(installation))) < timedelta(minutes=1)


def test_a_reset_forward_says_what_will_never_be_read(gladly_segment, installation, standing):
    """It is allowed, and not silent."""
    ended = gladly_segment("watermark", "reset", "--to", "10m", "--yes")
    assert ended.code == 0
    assert f"between {standing} and {position(installation)} will never be read" in ended.out


def test_a_reset_before_the_first_cycle_says_where_to_begin(gladly_segment, installation):
    """The file is made, and the first poll begins there."""
    assert gladly_segment("watermark", "reset", "--to", "2026-11-20", "--yes").code == 0
    assert position(installation) == "2026-11-20T00:00:00.000Z"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["--to", "2999-01-01", "--yes"], "is in the future", id="the future"),
        pytest.param(["--to", "6h"], "Add --yes", id="nobody to ask"),
        pytest.param(["--to", "tomorrow", "--yes"], "an age: 15m, 36h, 7d", id="no instant"),
        pytest.param(["--to", "30000d", "--yes"], "is before the year 2000", id="before Gladly"),
        pytest.param(["--yes"], "--to", id="nowhere"),
    ],
)
def test_what_cannot_be_done_is_wrong_usage_and_moves_nothing(
    gladly_segment, installation, standing, arguments, why
):
    """Exit 2, and why; the watermark stays where it was."""
    ended = gladly_segment("watermark", "reset", *arguments)
    assert ended.code == 2
    assert why in ended.err
    assert position(installation) == standing


def test_a_reset_to_the_beginning_of_time_does_no_harm(gladly_segment, installation, standing):
    """The next command still reads the file, whatever the year."""
    gladly_segment("watermark", "reset", "--to", "0999-01-01", "--yes")
    assert gladly_segment("watermark", "show").code == 0
    with Store(installation.state_path) as store:
        assert store.watermark() is not None


def test_a_reset_does_not_wait_for_a_running_daemon(gladly_segment, installation, standing):
    """While the daemon holds the file it is refused: exit 4."""
    with Store(installation.state_path):
        assert gladly_segment("watermark", "reset", "--to", "6h", "--yes").code == 4
    assert position(installation) == standing


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 1)])
def test_on_a_terminal_a_person_is_asked(installation, standing, answer, code):
    """Yes does it; no leaves everything as it is."""
    with terminal(answer.encode() + b"\n") as at:
        asked = subprocess.run(
            [sys.executable, "-m", "sync", "watermark", "reset", "--to", "2026-11-20"],
            cwd=installation.directory,
            env=installation.environment,
            stdin=at.program,
            capture_output=True,
            timeout=20,
        )
    assert asked.returncode == code
    assert b"Move the watermark?" in asked.stdout
    assert (position(installation) == standing) is (answer == "n")


def test_after_a_reset_everything_is_read_again_and_nothing_is_sent_twice(
    gladly_segment, installation, opened
):
    """What is recorded is recognised (semantics 3.7)."""
    opened()
    assert gladly_segment("once").code == 0
    assert gladly_segment("watermark", "reset", "--to", "1h", "--yes").code == 0
    assert gladly_segment("once").code == 0
    assert [attempt.outcome for attempt in installation.sandbox.inbox.attempts] == ["received"]


def test_a_replay_sends_what_was_delivered_since_then_again(gladly_segment, installation, opened):
    """With the message ids and bytes it had; Segment drops the repeats."""
    opened()
    assert gladly_segment("once").code == 0
    ended = gladly_segment("watermark", "reset", "--to", "1h", "--replay", "--yes")
    assert "Delivered events that --replay sends again, with the same messageId: 1" in ended.out
    assert "Events pending again: 1" in ended.out
    assert gladly_segment("once").code == 0
    first, second = installation.sandbox.inbox.attempts
    assert (first.raw, second.outcome) == (second.raw, "repeat")


def test_a_replay_of_what_segment_has_forgotten_is_warned_of(gladly_segment, standing):
    """Beyond its 24 hours repeats arrive twice, and that is said before it is done."""
    ended = gladly_segment("watermark", "reset", "--to", "3d", "--replay", "--yes")
    assert "arrive in your destinations twice" in ended.out
    ended = gladly_segment("watermark", "reset", "--to", "3h", "--replay", "--yes")
    assert "twice" not in ended.out.replace("not sent twice", "")


# --- resync ---------------------------------------------------------------------------------------------


def test_a_resync_shows_a_bar_on_a_terminal(installation, ago):
    """And a sentence at its end."""
    world = installation.sandbox.world
    world.open_conversation(world.add_customer("Ana"), at=ago(300))
    with terminal() as at:
        done = subprocess.run(
            [sys.executable, "-m", "sync", "resync", "--since", "10m"],
            cwd=installation.directory,
            env=installation.environment | {"TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=at.program,
            timeout=30,
        )
        shown = os.read(at.person, 100_000).decode()
    assert done.returncode == 0
    assert "1 created and 0 closed" in done.stdout.decode()
    assert "events" in shown


DAYS = 86_400


@pytest.mark.parametrize(
    ("started_ago", "read_to_ago", "given", "continues"),
    [
        pytest.param(600, 1 * DAYS, "3d", True, id="the same age ten minutes later"),
        pytest.param(1 * DAYS, 2 * DAYS, "3d", True, id="the same age a day later"),
        pytest.param(21 * DAYS, 22 * DAYS, "3d", False, id="the same age weeks later"),
        pytest.param(82_800, 2 * DAYS, "95h", False, id="another age, which means the same instant"),
        pytest.param(3_600, 1 * DAYS, "2d", False, id="another age"),
        pytest.param(600, 1 * DAYS, None, True, id="the same instant"),
        pytest.param(4 * DAYS, 4 * DAYS, None, True, id="the same instant days later"),
    ],
)
def test_an_interrupted_resync_is_taken_up_only_by_the_same_command(
    gladly_segment, installation, started_ago, read_to_ago, given, continues
):
    """
    What is read is the whole interval that was asked for, to its end as it is asked for now (faults H1.17).
    """
    now = utc_now().replace(microsecond=0)
    since = now - timedelta(seconds=started_ago, days=3)
    read_to = now - timedelta(seconds=read_to_ago)
    with Store(installation.state_path) as store:
        resync = store.resyncs.begin(since, now - timedelta(seconds=started_ago))
        store.commit(TakenIn(position=read_to, resync=resync.id))
    with closing(sqlite3.connect(installation.state_path, isolation_level=None)) as db:
        db.execute("UPDATE resyncs SET started_at = ?", (to_text(now - timedelta(seconds=started_ago)),))
    ended = gladly_segment("resync", "--since", given or to_text(since), "--until", "8h")
    assert ended.code == 0, ended.err
    assert (f"Continuing the resync from {to_text(read_to)}" in ended.err) is continues
    with closing(sqlite3.connect(installation.state_path)) as db:
        found = db.execute("SELECT until, finished_at FROM resyncs ORDER BY id").fetchall()
    until, finished_at = found[-1]
    assert abs(from_text(until) - (now - timedelta(hours=8))) < timedelta(minutes=1)
    assert len(found) == (1 if continues else 2)
    assert finished_at is not None


def test_on_a_terminal_the_sentence_of_a_failing_resync_is_said_once(installation, opened, down):
    """As the error that it is, and not in the log as well."""
    opened()
    installation.sandbox.faults.add("segment", "*", down)
    shown = show(
        "resync",
        *("--since", "1h"),
        columns=120,
        directory=installation.directory,
        environment=installation.environment,
    )
    assert shown.code == 1
    assert " ".join(shown.lines).count("answered 503") == 1


def test_a_resync_of_what_is_delivered_already_does_not_read_like_a_loss(gladly_segment, opened):
    """It delivers nothing itself, and says that all events of the interval are delivered, and by whom."""
    opened(300)
    opened(200)
    assert gladly_segment("once", GLADLY_SEGMENT_SYNC__START="10m").code == 0
    said = gladly_segment("resync", "--since", "10m").out
    assert "New: 0 created and 0 closed. Events delivered: 0." in said
    assert said.endswith(
        "Events of this interval: 2 delivered. A running daemon, or an earlier cycle, delivered 2 of them.\n"
    )
