"""`audit` proves past days by hand: what it prints, how it ends, and what it leaves as it was."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault
from state.locks import AUDIT
from state.store import Store
from support.checker import problems
from support.state_file import state_bytes

TODAY = datetime.now(UTC).date()
DAY = TODAY - timedelta(days=2)


@pytest.fixture
def audit(installation, gladly_segment):
    """Return a function that audits; the sync has read the last three days, and two transitions show late."""
    installation.settings["GLADLY_SEGMENT_SYNC__START"] = "72h"
    installation.settings["GLADLY_SEGMENT_SYNC__AUDIT"] = "off"
    assert gladly_segment("once").code == 0
    world = installation.sandbox.world
    noon = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
    world.close(world.open_conversation(world.add_customer("Ana", recorded=False), at=noon), at=noon)
    return lambda *arguments: gladly_segment("audit", *arguments)


def test_a_line_for_each_day(audit, sandbox):
    """Every day that is not proved yet; what was missing is sent."""
    done = audit()
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{DAY}  mended    2 reported, 0 known, 2 missing, 0 delivered"
    assert len(lines) == (2 if datetime.now(UTC).hour >= 6 else 1)
    assert problems(sandbox) == []
    again = audit()
    assert (again.code, again.out) == (0, "")
    assert "No day is due: every whole day since the sync began" in again.err


def test_json_has_the_columns_of_the_table(audit):
    """One object a line."""
    row = json.loads(audit("--day", str(DAY), "--json").out)
    assert (row["day"], row["missing"], row["outcome"], row["note"]) == (str(DAY), 2, "mended", None)


def test_a_dry_run_leaves_everything_as_it_was(audit, installation, sandbox):
    """The state file byte for byte, and Segment without an event."""
    before = state_bytes(installation)
    done = audit("--day", str(DAY), "--dry-run")
    assert (done.code, "2 missing" in done.out) == (0, True)
    assert "Without --dry-run, 2 missing events would be sent." in done.err
    assert state_bytes(installation) == before
    assert sandbox.inbox.received == []


@pytest.mark.parametrize(
    ("day", "said"),
    [
        pytest.param("yesterday", "is not a day; write it like", id="no day"),
        pytest.param(str(TODAY + timedelta(days=3)), "six hours after its end", id="in the future"),
        pytest.param(str(TODAY), "six hours after its end", id="not ended"),
        pytest.param("2020-01-01", "began before this state file did", id="before the state began"),
    ],
)
def test_a_day_that_cannot_be_audited_is_wrong_usage(audit, sandbox, day, said):
    """The sentence says what to do. No report is asked for."""
    before = len(sandbox.gladly_requests)
    done = audit("--day", str(DAY), "--day", day)
    assert (done.code, said in done.err, done.out) == (2, True, "")
    assert not any(r.path == "/api/v1/reports" for r in sandbox.gladly_requests[before:])


def test_a_day_that_the_sync_has_not_read_yet_is_not_audited(audit, installation):
    """Its changes are not missing. They are still to come."""
    with Store(installation.state_path) as store:
        store.reset_watermark(datetime.now(UTC) - timedelta(days=2, hours=30))
    done = audit("--day", str(DAY))
    assert (done.code, "has not been read to its end yet" in done.err) == (1, True)


def test_before_the_first_cycle_there_is_nothing_to_audit(gladly_segment):
    """It says so, and what to run."""
    done = gladly_segment("audit", "--day", str(DAY))
    assert (done.code, "run `gladly-segment once`" in done.err) == (2, True)


def test_a_refused_token_is_exit_3(audit, sandbox):
    """The day stays unproved."""
    sandbox.faults.add("gladly", "*", Fault(401, times=None))
    assert audit("--day", str(DAY)).code == 3


def test_another_audit_by_hand_is_exit_4(audit, installation):
    """One at a time. A daemon may be running."""
    with Store(installation.state_path, AUDIT):
        assert audit().code == 4
    with Store(installation.state_path):
        assert audit().code == 0


def test_dismiss_takes_a_day(audit, gladly_segment):
    """It was mended, and a person has seen that."""
    audit("--day", str(DAY))
    assert gladly_segment("dismiss", str(DAY)).out == "Dismissed: 1.\n"
    assert gladly_segment("dismiss", str(DAY)).code == 2


def test_status_says_up_to_which_day_the_sync_is_proved(audit, gladly_segment):
    """For people, and for scripts."""
    assert "proved until   no day yet" in gladly_segment("status").out
    audit("--day", str(DAY))
    assert f"proved until   {DAY}" in gladly_segment("status").out
    assert json.loads(gladly_segment("status", "--json").out)["proved_until"] == str(DAY)
