"""`retry`: rejected events become pending again, and nothing else does."""

import json

import pytest

from state import Reader, Store
from state.file import RESYNC


def statuses(installation):
    return {event["message_id"]: event["status"] for event in installation.events()}


BEFORE = {"delivered-1": "delivered", "rejected-1": "rejected", "pending-1": "pending"}


@pytest.mark.parametrize("argument", ["rejected-1", "--all"])
def test_a_rejected_event_is_pending_again(gladly_segment, installation, three_events, argument):
    """By its message id, or with all the others."""
    ended = gladly_segment("retry", argument)
    assert (ended.code, ended.err) == (0, "")
    assert "Events pending again: 1" in ended.out
    assert statuses(installation) == BEFORE | {"rejected-1": "pending"}


def test_the_next_cycle_sends_it_with_the_message_id_it_had(gladly_segment, installation, opened):
    """Once what Segment minded is mended there."""
    opened()
    faults = installation.sandbox.faults
    faults.reject_message(lambda event: True)
    assert gladly_segment("once").code == 0
    (rejected,) = installation.events(status="rejected")
    faults.reject_message(None)
    assert gladly_segment("retry", rejected["message_id"]).code == 0
    assert gladly_segment("once").code == 0
    (attempt,) = installation.sandbox.inbox.attempts
    assert json.loads(attempt.raw) == rejected["payload"]
    assert attempt.message_id == rejected["message_id"]


@pytest.mark.parametrize("unknown", ["delivered-1", "pending-1", "nobody's"])
def test_what_is_no_rejected_event_is_named_and_the_others_are_retried(
    gladly_segment, installation, three_events, unknown
):
    """Exit 2, since one of the ids was wrong; a delivered event is not sent twice."""
    ended = gladly_segment("retry", "rejected-1", unknown)
    assert ended.code == 2
    assert f"{unknown} is not a rejected event" in ended.err
    assert "Events pending again: 1" in ended.out
    assert statuses(installation) == BEFORE | {"rejected-1": "pending"}


@pytest.mark.parametrize("arguments", [[], ["rejected-1", "--all"]], ids=["neither", "both"])
def test_ids_or_all_and_not_neither_or_both(gladly_segment, installation, three_events, arguments):
    """Exit 2, and nothing is changed."""
    ended = gladly_segment("retry", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert "--all" in ended.err
    assert statuses(installation) == BEFORE


def test_beside_a_daemon_it_takes_its_turn(gladly_segment, installation, three_events):
    """Between two cycles: nobody has to be stopped for it."""
    with Store(installation.state_path):
        assert gladly_segment("retry", "--all").code == 0
    assert statuses(installation) == BEFORE | {"rejected-1": "pending"}


def test_while_a_resync_runs_it_is_refused(gladly_segment, installation, three_events):
    """Exit 4; of those that come beside the daemon there is one at a time."""
    with Store(installation.state_path, RESYNC):
        assert gladly_segment("retry", "--all").code == 4
    with Reader(installation.state_path) as reader:
        assert reader.event_counts()["rejected"] == 1


def test_without_a_state_file_none_is_made(gladly_segment, installation):
    """Exit 2: started in the wrong directory, say."""
    ended = gladly_segment("retry", "--all")
    assert (ended.code, ended.out, installation.state_path.exists()) == (2, "", False)
    assert "There is no state file at" in ended.err
