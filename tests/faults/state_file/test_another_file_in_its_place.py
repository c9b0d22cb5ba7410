"""The state file is taken away, or an older copy is put in its place (faults C10)."""

import shutil
import subprocess

import pytest

from support.checker import problems
from support.processes import cycles_of, running, stderr_of
from support.recovery import assert_nothing_lost, run_until_delivered
from support.waiting import wait_until
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


def test_a_store_restored_from_an_old_copy_sends_only_what_it_does_not_know(installation):
    """
    What the copy has recorded is not sent again. The rest is sent with the same ids and bytes (faults C10).
    """
    history(installation.sandbox)
    run_until_delivered(installation)
    shutil.copy(installation.state_path, installation.directory / "last-week.db")
    known = {event["message_id"] for event in installation.events()}
    people_writing_in(installation.sandbox, 3, seconds_ago=30)
    run_until_delivered(installation)
    sent_since = {event["message_id"] for event in installation.events()} - known
    assert len(sent_since) == 3
    for leftover in installation.directory.glob(installation.state_path.name + "-*"):
        leftover.unlink()
    shutil.copy(installation.directory / "last-week.db", installation.state_path)
    run_until_delivered(installation)
    assert set(installation.sandbox.inbox.repeats) == sent_since
    assert_nothing_lost(installation)


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced by another file"])
def test_a_daemon_whose_file_is_taken_away_ends(installation, replaced):
    """
    The daemon must not go on writing to a file that nobody will find again. It ends with exit 2 and a
    sentence (faults C10).
    """
    history(installation.sandbox)
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "0.3s"
    with running(installation, "run") as process:
        wait_until(lambda: problems(installation.sandbox) == [])
        wait_until(lambda: len(cycles_of(installation)) > 1)
        if replaced:
            shutil.copy(installation.state_path, installation.directory / "other.db")
            (installation.directory / "other.db").rename(installation.state_path)
        else:
            installation.state_path.unlink()
        people_writing_in(installation.sandbox, 2, seconds_ago=10)
        try:
            code = process.wait(8)
        except subprocess.TimeoutExpired:
            pytest.fail("the daemon goes on writing to a file that is not there")
    assert code == 2
    assert installation.state_path.name in stderr_of(installation)
    assert "Traceback" not in stderr_of(installation)
    for leftover in installation.directory.glob(installation.state_path.name + "-*"):
        leftover.unlink()
    run_until_delivered(installation)
    assert_nothing_lost(installation)
