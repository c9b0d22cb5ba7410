"""`dismiss`: what could not be read waits for nobody any more, once a person has seen it."""

import sqlite3
from contextlib import closing

import pytest

from state import Reader

BROKEN = b'{"id": "broken", "type": "CONVERS'
OTHER = b"another"


@pytest.fixture
def quarantined(gladly_segment, installation, opened):
    """A state file with two lines in quarantine; their ids."""
    opened()
    installation.sandbox.faults.rewrite_feed(lambda lines: [*lines, BROKEN + b"\n", OTHER + b"\n"])
    assert gladly_segment("once").code == 0
    with Reader(installation.state_path) as reader:
        return [need["id"] for need in reader.needs_attention()]


def lines_in(installation):
    with closing(sqlite3.connect(installation.state_path)) as db:
        return dict(db.execute("SELECT id, line FROM quarantine"))


@pytest.mark.parametrize("how", ["by their ids", "--all"])
def test_what_a_person_has_seen_waits_for_nobody(gladly_segment, installation, quarantined, how):
    """`status` is calm again; the lines are erased from the file, and what was wrong with them stays."""
    assert gladly_segment("status").out.count("gladly-segment dismiss") == 2
    ended = gladly_segment("dismiss", *(quarantined if how == "by their ids" else ["--all"]))
    assert (ended.code, ended.out, ended.err) == (0, "Dismissed: 2.\n", "")
    assert "needs you      nothing" in gladly_segment("status").out
    assert lines_in(installation) == dict.fromkeys(quarantined)
    assert BROKEN not in installation.state_path.read_bytes()


def test_one_alone(gladly_segment, quarantined):
    """The other still waits."""
    gone, left = quarantined
    assert gladly_segment("dismiss", gone).code == 0
    screen = gladly_segment("status").out
    assert (f"gladly-segment dismiss {left}" in screen, gone in screen) == (True, False)


def test_a_line_read_again_is_known(gladly_segment, installation, opened, quarantined):
    """The overlap reads it again: it does not come back, and no cycle is degraded by it."""
    assert gladly_segment("dismiss", "--all").code == 0
    opened()
    assert gladly_segment("once").code == 0
    with Reader(installation.state_path) as reader:
        assert (reader.last_poll()["outcome"], reader.needs_attention()) == ("ok", [])


def test_an_id_that_waits_for_nobody_is_named(gladly_segment, quarantined):
    """Exit 2, and what was right is done."""
    ended = gladly_segment("dismiss", quarantined[0], "nothing")
    assert (ended.code, ended.out) == (2, "Dismissed: 1.\n")
    assert "Nothing with the id nothing needs attention. See: gladly-segment status" in ended.err


@pytest.mark.parametrize("arguments", [[], ["an-id", "--all"]], ids=["neither", "both"])
def test_ids_or_all_and_not_neither_or_both(gladly_segment, quarantined, arguments):
    """Exit 2, and nothing is changed."""
    ended = gladly_segment("dismiss", *arguments)
    assert (ended.code, ended.out, "--all" in ended.err) == (2, "", True)
    assert gladly_segment("status").out.count("gladly-segment dismiss") == 2


def test_without_a_state_file_none_is_made(gladly_segment, installation):
    """Exit 2: started in the wrong directory, say."""
    ended = gladly_segment("dismiss", "--all")
    assert (ended.code, ended.out, installation.state_path.exists()) == (2, "", False)
    assert "There is no state file at" in ended.err
