"""`check` prints a line for each part, and says how to correct it."""

import json
import re

import pytest

from sandbox import Fault
from state.store import Store

PARTS = ["settings", "gladly", "segment", "write key", "state file"]
MARKS = {"ok    ": True, "FAILED": False, "unsure": None}


def verdicts(outcome):
    """Return what was found of each part: True, the part holds; False, it does not; None, nobody can tell."""
    lines = [line for line in outcome.out.splitlines() if line[:6] in MARKS]
    return {line[8:19].strip(): MARKS[line[:6]] for line in lines}


def all_but(*failed):
    """Return the verdict in which every part but *failed* holds. Nothing is known of the write key."""
    return {part: None if part == "write key" else part not in failed for part in PARTS}


def test_all_is_well(gladly_segment, installation):
    """The command ends with exit 0 and a line for each part. It says what a 2xx of Segment does not prove."""
    ended = gladly_segment("check")
    assert (ended.code, verdicts(ended)) == (0, all_but())
    assert "accepts the API token of segment-sync@example.com" in ended.out
    assert "proves neither the write key nor the region" in ended.out
    assert "will be created by the first cycle" in ended.out


def test_a_check_stores_and_sends_nothing(gladly_segment, installation, opened):
    """No event reaches Segment and no state file is made. An existing state file stays as it is."""
    opened()
    assert gladly_segment("check").code == 0
    assert (installation.sandbox.inbox.attempts, installation.state_path.exists()) == ([], False)
    assert gladly_segment("once").code == 0
    before = installation.state_path.read_bytes()
    ended = gladly_segment("check")
    assert (ended.code, "is whole (watermark 20" in ended.out) == (0, True)
    assert installation.state_path.read_bytes() == before


@pytest.mark.parametrize(
    ("environment", "part", "code", "said"),
    [
        ({"GLADLY_API_TOKEN": "wrong"}, "gladly", 3, "GLADLY_API_TOKEN"),
        ({"SEGMENT_WRITE_KEY": "wrong"}, "segment", 3, "SEGMENT_WRITE_KEY"),
        (
            {"GLADLY_SEGMENT_GLADLY__USERNAME": "no-api-user@example.com"},
            "gladly",
            3,
            "lacks the API User permission",
        ),
        ({"GLADLY_SEGMENT_STATE__PATH": "nowhere/state.db"}, "state file", 2, "nowhere"),
        ({"GLADLY_SEGMENT_STATE__PATH": "."}, "state file", 2, "is a directory"),
    ],
    ids=["token", "write key", "permission", "directory missing", "a directory"],
)
def test_each_mistake_is_reported_with_how_to_correct_it(
    gladly_segment, installation, environment, part, code, said
):
    """The other parts are checked as well. This Segment is one of the receivers that refuse a wrong key."""
    installation.sandbox.segment.wrong_keys = "refused"
    ended = gladly_segment("check", **environment)
    assert (ended.code, verdicts(ended)) == (code, all_but(part))
    assert said in ended.out


def test_a_script_reads_the_same_as_json_lines(installation):
    """
    Each line holds what was checked, whether it holds, and what is to be said. The exit code is the same.
    """
    installation.settings["GLADLY_API_TOKEN"] = "wrong"
    ended = installation.run("check", "--json")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, {each["check"]: each["ok"] for each in found}) == (3, all_but("gladly"))
    assert "GLADLY_API_TOKEN" in found[1]["says"]


@pytest.mark.parametrize(("side", "part"), [("gladly", "gladly"), ("segment", "segment")])
def test_an_end_that_is_down_is_said(gladly_segment, installation, down, side, part):
    """The command ends with exit 1, and another attempt may succeed."""
    installation.sandbox.faults.add(side, "*", down)
    ended = gladly_segment("check")
    assert (ended.code, verdicts(ended)) == (1, all_but(part))
    assert "answered 503" in ended.out


def test_something_else_at_gladlys_address_is_said(gladly_segment, installation):
    """A web page is not the API."""
    installation.sandbox.faults.add(
        "gladly", "*", Fault(status=302, headers={"Location": "https://example.com"})
    )
    ended = gladly_segment("check")
    assert (ended.code, verdicts(ended)) == (1, all_but("gladly"))
    assert "redirect (302), which is never followed" in ended.out


def test_mistakes_in_the_settings_are_all_there_is_to_say(gladly_segment, installation):
    """The command ends with exit 2, names every mistake on its own line, and makes no request."""
    ended = gladly_segment("check", GLADLY_SEGMENT_SYNC__EVERY="often", GLADLY_SEGMENT_LOG__LEVEL="loud")
    assert (ended.code, verdicts(ended)) == (2, {"settings": False})
    assert "GLADLY_SEGMENT_SYNC__EVERY" in ended.out
    assert "GLADLY_SEGMENT_LOG__LEVEL" in ended.out
    assert installation.sandbox.gladly_requests == []


def test_a_state_file_in_use_is_no_mistake(gladly_segment, installation):
    """A daemon may be running."""
    with Store(installation.state_path):
        ended = gladly_segment("check")
    assert (ended.code, verdicts(ended)) == (0, all_but())
    assert "in use by a running cycle or daemon" in ended.out


def test_an_empty_state_file_is_no_mistake(gladly_segment, installation):
    """The first cycle creates its tables."""
    installation.state_path.touch()
    ended = gladly_segment("check")
    assert (ended.code, verdicts(ended)) == (0, all_but())


def test_a_damaged_state_file_is_said(gladly_segment, installation, three_events):
    """SQLite looks at every page. The command ends with exit 2 and leaves the file as it is (faults C9)."""
    whole = installation.state_path.read_bytes()
    damaged = whole[:4096] + b"\xa5" * (len(whole) - 4096)
    installation.state_path.write_bytes(damaged)
    ended = gladly_segment("check")
    assert (ended.code, verdicts(ended)) == (2, all_but("state file"))
    assert "is damaged" in ended.out
    assert installation.state_path.read_bytes() == damaged


def test_a_clock_that_is_off_is_mentioned(gladly_segment, installation):
    """A wrong clock loses nothing. It does set the times in logs and in `status`."""
    installation.sandbox.clock.advance(90)
    ended = gladly_segment("check")
    assert ended.code == 0
    assert re.search(r"clock is -[89]\d s off Gladly's", ended.out)
