"""An empty result says why, on standard error, with exit 0 and nothing on standard output."""

import re

import pytest

from state.store import Store


@pytest.fixture
def why(gladly_segment):
    """Return what a command says on standard error where it has nothing to show."""

    def ask(*arguments):
        ended = gladly_segment(*arguments)
        assert ended.code == 0
        return ended.err if arguments[0] == "status" else (ended.out, ended.err)[1]

    return ask


def test_before_the_first_cycle(why, installation):
    """No file, or a file without a watermark."""
    said = why("events")
    assert said.startswith("Nothing yet: no cycle has run, and there is no state file gladly-segment.db.")
    assert said.endswith("Run: gladly-segment once\n")
    assert why("status") == why("events")
    Store(installation.state_path).close()
    assert why("events") == "Nothing yet: no cycle has succeeded. See: gladly-segment status\n"


def test_after_set_up_it_says_since_when_it_watches(why, gladly_segment):
    """And how earlier conversations are read."""
    assert gladly_segment("once").code == 0
    for command in ("events", "status"):
        said = why(command)
        assert re.match(r"Nothing yet: watching since [\d :-]+ \w+, and no conversation", said)
        assert said.endswith("Earlier ones: gladly-segment resync --since 7d\n")
    assert gladly_segment("status", "--max-lag", "1h").err == ""


def test_options_that_nothing_fits(why, gladly_segment, opened):
    """As soon as there are events, the options are the reason."""
    opened(60)
    assert gladly_segment("once", GLADLY_SEGMENT_SYNC__START="5m").code == 0
    assert why("events", "--status", "rejected").startswith("No event fits these options.")
    assert gladly_segment("events").err == ""
    assert gladly_segment("status").err == ""


def test_a_dry_run_with_nothing_to_send(why, gladly_segment):
    """Of a cycle, and of a resync."""
    assert why("once", "--dry-run").endswith(
        "Nothing would be sent: Gladly recorded no new conversation created or closed.\n"
    )
    assert why("resync", "--since", "1h", "--dry-run").endswith(
        "Nothing would be sent: every conversation created or closed in this interval is known here.\n"
    )


def test_files_with_nothing_to_compare(gladly_segment, tmp_path):
    """Where the sync has nothing yet, both sides agree, and the reason is said."""
    assert gladly_segment("once").code == 0
    theirs = (
        '{"type": "track", "event": "Gladly Conversation Created", "messageId": "m", "userId": "c",'
        ' "timestamp": "2026-11-20T08:00:00.000Z", "properties": {"conversationId": "one"}}'
    )
    (tmp_path / "theirs.jsonl").write_text(theirs + "\n")
    ended = gladly_segment("compare", str(tmp_path / "theirs.jsonl"))
    assert ended.err.startswith("Nothing was compared: both sides have events of no common time")
