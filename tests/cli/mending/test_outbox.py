"""`retry`, `dismiss`: what needs a person is dealt with, and nothing else is touched."""

import json
import sqlite3
from contextlib import closing

import pytest

from sandbox import Fault
from state.findings import Condition
from state.locks import RESYNC
from state.queries.attention import DISMISSIBLE, NOT_DISMISSIBLE, WHATS
from state.reader import Reader
from state.store import Store


@pytest.mark.parametrize("name", ["retry", "dismiss"])
@pytest.mark.parametrize("arguments", [[], ["an-id", "--all"]], ids=["neither", "both"])
def test_ids_or_all_and_not_neither_or_both(gladly_segment, installation, three_events, name, arguments):
    """Exit 2, and nothing is changed."""
    before = installation.events()
    ended = gladly_segment(name, *arguments)
    assert (ended.code, ended.out, "--all" in ended.err) == (2, "", True)
    assert installation.events() == before


@pytest.mark.parametrize("name", ["retry", "dismiss"])
def test_without_a_state_file_none_is_made(gladly_segment, installation, name):
    """Exit 2: a person may have started it in the wrong directory."""
    ended = gladly_segment(name, "--all")
    assert (ended.code, ended.out, installation.state_path.exists()) == (2, "", False)
    assert "There is no state file at" in ended.err


# --- retry ----------------------------------------------------------------------------------------------


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
    bad = opened()
    faults = installation.sandbox.faults
    faults.reject_message(lambda event: event["properties"]["conversationId"] == bad.id)
    assert gladly_segment("once").code == 0
    (rejected,) = installation.events(status="rejected")
    faults.reject_message(None)
    assert gladly_segment("retry", rejected["message_id"]).code == 0
    assert gladly_segment("once").code == 0
    _, attempt = installation.sandbox.inbox.attempts
    assert json.loads(attempt.raw) == rejected["payload"]
    assert attempt.message_id == rejected["message_id"]


@pytest.mark.parametrize("unknown", ["delivered-1", "pending-1", "nobody's"])
def test_what_is_no_rejected_event_is_named_and_the_others_are_retried(
    gladly_segment, installation, three_events, unknown
):
    """Exit 2, since one of the ids was wrong; a delivered event is not sent twice."""
    ended = gladly_segment("retry", "rejected-1", unknown)
    assert ended.code == 2
    assert f"{unknown} is neither rejected nor held back" in ended.err
    assert "Events pending again: 1" in ended.out
    assert statuses(installation) == BEFORE | {"rejected-1": "pending"}


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


# --- dismiss --------------------------------------------------------------------------------------------


BROKEN = b'{"id": "broken", "type": "CONVERS'

OTHER = b"another"


@pytest.fixture
def quarantined(gladly_segment, installation, opened):
    """A state file with two lines in quarantine; their ids."""
    opened()
    installation.sandbox.faults.rewrite_feed(lambda lines: [BROKEN + b"\n", OTHER + b"\n", *lines])
    assert gladly_segment("once").code == 0
    with Reader(installation.state_path) as reader:
        return [need["id"] for need in reader.needs_attention()]


def lines_in(installation):
    with closing(sqlite3.connect(installation.state_path)) as db:
        return dict(db.execute("SELECT id, line FROM quarantine"))


@pytest.mark.parametrize("how", ["by their ids", "--all"])
def test_what_a_person_has_seen_is_no_longer_listed(gladly_segment, installation, quarantined, how):
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


def test_an_id_that_needs_no_attention_is_named(gladly_segment, quarantined):
    """Exit 2, and what was right is done."""
    ended = gladly_segment("dismiss", quarantined[0], "nothing")
    assert (ended.code, ended.out) == (2, "Dismissed: 1.\n")
    assert "Nothing with the id nothing needs attention. See: gladly-segment status" in ended.err


# --- events that a look-up holds back ---------------------------------------------------------------------


@pytest.fixture
def held(gladly_segment, installation, opened):
    """The id of a conversation that Gladly does not answer for. Its event has waited for over an hour."""
    opened()
    talk = opened()
    path = f"/api/v1/conversations/{talk.id}"
    installation.sandbox.faults.add("gladly", path, Fault(500, times=None))
    assert gladly_segment("once").code == 0
    with closing(sqlite3.connect(installation.state_path)) as db, db:
        db.execute("UPDATE events SET created_at = '2026-11-20T08:00:00.000Z' WHERE status = 'recorded'")
    return talk.id


def test_what_waits_for_an_hour_is_listed_with_what_ends_it(gladly_segment, installation, held):
    """`status` names the event and both commands; `explain` says what it waits for, and until when."""
    (waiting,) = installation.events(status="recorded")
    (listed,) = json.loads(gladly_segment("status", "--json").out)["needs_attention"]
    assert (listed["what"], listed["id"]) == ("held back event", waiting["message_id"])
    assert listed["command"] == f"gladly-segment retry {waiting['message_id']}"
    assert f"gladly-segment dismiss {waiting['message_id']}" in listed["reason"]
    said = gladly_segment("explain", held).out
    assert f"waits for Gladly's answer to /conversations/{held}, tried 5 times, next at 20" in said


@pytest.mark.parametrize("by", ["its id", "--all"])
def test_a_held_back_event_is_looked_up_again_at_once(gladly_segment, installation, held, by):
    """Healed, it is delivered by the next cycle."""
    (waiting,) = installation.events(status="recorded")
    installation.sandbox.faults.clear()
    ended = gladly_segment("retry", by if by == "--all" else waiting["message_id"])
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "Events pending again: 0.\nEvents to be looked up again: 1.\n"
    assert gladly_segment("once").code == 0
    assert {event["status"] for event in installation.events()} == {"delivered"}


@pytest.mark.parametrize("by", ["its id", "--all"])
def test_a_held_back_event_can_be_given_up(gladly_segment, installation, held, by):
    """It is suppressed, with the reason, and needs nobody any more."""
    (waiting,) = installation.events(status="recorded")
    ended = gladly_segment("dismiss", by if by == "--all" else waiting["message_id"])
    assert (ended.code, ended.out, ended.err) == (0, "Dismissed: 1.\n", "")
    (given_up,) = installation.events(status="suppressed")
    assert (given_up["message_id"], given_up["reason"]) == (waiting["message_id"], "dismissed")
    assert json.loads(gladly_segment("status", "--json").out)["needs_attention"] == []


# --- rejected events, and what cannot be dismissed ----------------------------------------------------------


@pytest.mark.parametrize(
    "by", [["rejected-1"], ["--all"], ["--all", "--what", "rejected event"]], ids=" ".join
)
def test_a_rejected_event_can_be_given_up(gladly_segment, installation, three_events, by):
    """It is suppressed with the reason, its payload is erased, and nothing needs a person."""
    ended = gladly_segment("dismiss", *by)
    assert (ended.code, ended.out, ended.err) == (0, "Dismissed: 1.\n", "")
    assert statuses(installation) == BEFORE | {"rejected-1": "suppressed"}
    (given_up,) = installation.events(status="suppressed")
    assert (given_up["reason"], given_up["payload"]) == ("dismissed", None)
    assert json.loads(gladly_segment("status", "--json").out)["needs_attention"] == []


def test_what_is_given_up_is_not_retried(gladly_segment, installation, three_events):
    """`retry` sends what is rejected, and says of this one that it is not."""
    assert gladly_segment("dismiss", "rejected-1").code == 0
    ended = gladly_segment("retry", "rejected-1")
    assert (ended.code, "rejected-1 is neither rejected nor held back" in ended.err) == (2, True)


@pytest.fixture
def refused(installation, three_events):
    """Gladly refuses the token, which the state file says."""
    with Store(installation.state_path) as store:
        store.conditions.set(
            Condition("gladly-credentials", "refused token", "Gladly refuses it.", "gladly-segment check")
        )


def test_what_goes_with_its_cause_says_so(gladly_segment, refused):
    """Exit 2: why it cannot be dismissed, and what ends it."""
    ended = gladly_segment("dismiss", "gladly-credentials")
    assert (ended.code, ended.out) == (2, "Dismissed: 0.\n")
    assert ended.err == (
        "error: gladly-credentials (refused token) cannot be dismissed: it ends when Gladly takes the API "
        "token. Correct the token, or its user's permissions.\n"
    )


def test_all_dismisses_what_can_be_and_says_what_stays(gladly_segment, refused):
    """Exit 0: nobody named what stays."""
    ended = gladly_segment("dismiss", "--all")
    assert (ended.code, ended.out) == (0, "Dismissed: 1.\n")
    assert "Still listed: refused token, which cannot be dismissed: it ends when" in ended.err


def test_a_kind_that_cannot_be_dismissed_says_why(gladly_segment, refused):
    """Exit 2, and nothing is changed."""
    ended = gladly_segment("dismiss", "--all", "--what", "refused token")
    assert (ended.code, ended.out) == (2, "")
    assert "'refused token' cannot be dismissed: it ends when Gladly takes the API token." in ended.err


def test_all_that_status_can_list_can_be_dismissed_or_says_why():
    """A kind that is added later is one or the other."""
    assert {*DISMISSIBLE, *NOT_DISMISSIBLE} == set(WHATS)
    assert not {*DISMISSIBLE} & {*NOT_DISMISSIBLE}
