"""`once --dry-run`: what would be sent, shown and not done."""

import json

from state import Store


def names(directory):
    return sorted(file.name for file in directory.iterdir())


def test_a_dry_run_shows_the_very_bytes_that_would_be_sent(installation, opened):
    """A JSON object a line, each what `once` then sends, byte for byte; the logs are elsewhere."""
    opened(60)
    opened(50)
    shown = installation.run("once", "--dry-run")
    assert (shown.returncode, len(installation.sandbox.inbox)) == (0, 0)
    assert [json.loads(line)["event"] for line in shown.stdout.splitlines()] == [
        "Gladly Conversation Created"
    ] * 2
    assert installation.run("once").returncode == 0
    assert shown.stdout.encode().splitlines() == [a.raw for a in installation.sandbox.inbox.attempts]


def test_a_dry_run_makes_no_state_file(gladly_segment, installation, opened):
    """Where there was nothing, there is nothing: no file, no lock, and nothing left in between."""
    opened()
    before = names(installation.directory)
    assert len(gladly_segment("once", "--dry-run").json_lines) == 1
    assert names(installation.directory) == before


def test_a_dry_run_leaves_the_state_file_as_it_was(gladly_segment, installation, opened):
    """Byte for byte (interface 4), also where there is something new to read and to deliver."""
    opened(60)
    assert gladly_segment("once").code == 0
    opened(30)
    before = installation.state_path.read_bytes()
    assert len(gladly_segment("once", "--dry-run").json_lines) == 1
    assert installation.state_path.read_bytes() == before


def test_a_dry_run_shows_what_is_still_pending(gladly_segment, installation, opened, down):
    """Everything the next cycle would deliver, what it reads anew and what waits."""
    opened(60)
    installation.sandbox.faults.add("segment", "*", down)
    assert gladly_segment("once").code == 1
    installation.sandbox.faults.clear()
    opened(30)
    shown = gladly_segment("once", "--dry-run").json_lines
    assert gladly_segment("once").code == 0
    sent = [json.loads(attempt.raw) for attempt in installation.sandbox.inbox.attempts]
    assert shown == sent
    assert len(sent) == 2


def test_a_dry_run_sends_nothing_to_segment(gladly_segment, installation, opened):
    """Not even to see whether it is there."""
    opened()
    gladly_segment("once", "--dry-run")
    assert installation.sandbox.segment_requests == []


def test_a_dry_run_works_beside_a_running_daemon(gladly_segment, installation, opened):
    """It looks at a copy, so it needs no lock."""
    opened()
    with Store(installation.state_path) as store:
        assert len(gladly_segment("once", "--dry-run").json_lines) == 1
        assert store.watermark() is None


def test_a_dry_run_leaves_no_copy_behind(gladly_segment, installation, opened, tmp_path):
    """The copy holds what the state file holds, and goes with the command, also with one that failed."""
    opened()
    (temporary := tmp_path / "temporary").mkdir()
    assert gladly_segment("once").code == 0
    assert gladly_segment("once", "--dry-run", TMPDIR=str(temporary)).code == 0
    assert gladly_segment("once", "--dry-run", TMPDIR=str(temporary), GLADLY_API_TOKEN="wrong").code == 3
    assert names(temporary) == []


def test_a_dry_run_that_cannot_read_says_why(gladly_segment, installation, down):
    """The exit codes are those of `once`."""
    installation.sandbox.faults.add("gladly", "*", down)
    ended = gladly_segment("once", "--dry-run")
    assert (ended.code, ended.out) == (1, "")
    assert "error: Gladly at" in ended.err


def test_a_dry_run_of_an_idle_world_shows_nothing(gladly_segment):
    """No event, no line."""
    ended = gladly_segment("once", "--dry-run")
    assert (ended.code, ended.out) == (0, "")
