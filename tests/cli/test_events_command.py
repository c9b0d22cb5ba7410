"""`events`: what was sent and what was not, newest first."""

import json
import signal
import subprocess
import sys

import pytest

from state import Event, EventStatus, Store, TakenIn, Transition
from state.instants import utc_now

COLUMNS = {
    "message_id",
    "conversation_id",
    "customer_id",
    "event",
    "occurred_at",
    "status",
    "reason",
    "payload",
    "attempts",
    "created_at",
    "delivered_at",
}


def shown_ids(outcome):
    return [event["message_id"] for event in outcome.json_lines]


def event(message_id):
    return Event(
        message_id,
        "c-9",
        "u-1",
        Transition.CREATED,
        "Gladly Conversation Created",
        utc_now(),
        EventStatus.PENDING,
        b'{"type":"track","userId":"u-1","properties":{"customerName":"Zo\xc3\xab"}}',
    )


@pytest.mark.usefixtures("three_events")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["pending-1", "rejected-1", "delivered-1"]),
        (["--limit", "2"], ["pending-1", "rejected-1"]),
        (["--status", "rejected"], ["rejected-1"]),
        (["--status", "suppressed"], []),
        (["--conversation", "c-0"], ["delivered-1"]),
        (["--conversation", "c-0", "--status", "pending"], []),
        (["--conversation", "' OR 1=1 --"], []),
    ],
    ids=" ".join,
)
def test_the_latest_events_are_shown_newest_first(gladly_segment, arguments, expected):
    """All of them, or those asked for."""
    assert shown_ids(gladly_segment("events", "--json", *arguments)) == expected


@pytest.mark.usefixtures("three_events")
def test_as_json_an_event_is_its_row_with_the_payload_as_an_object(gladly_segment):
    """One object a line, the columns of interface 4."""
    pending, *_ = gladly_segment("events", "--json").json_lines
    assert set(pending) >= COLUMNS
    assert pending["payload"]["properties"] == {"conversationId": "c-2"}
    assert (pending["status"], pending["delivered_at"]) == ("pending", None)


@pytest.mark.usefixtures("three_events")
def test_for_people_an_event_is_shown_as_segments_debugger_does(gladly_segment):
    """Name, time and payload, with what became of it and why."""
    shown = gladly_segment("events", "--status", "rejected").out
    for part in (
        "Gladly Conversation Created",
        "rejected",
        "c-1",
        "rejected-1",
        "Segment answered 400: no",
        "userId u-1",
        '{"conversationId": "c-1"}',
    ):
        assert part in shown


def test_before_the_first_cycle_there_are_none(gladly_segment, installation):
    """No error, and no file."""
    assert gladly_segment("events") == gladly_segment("events", "--json")
    assert (gladly_segment("events").code, list(installation.directory.iterdir())) == (0, [])


@pytest.mark.parametrize(
    "arguments",
    [["--status", "lost"], ["--limit", "0"], ["--limit", "-1"], ["--limit", "all"]],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_wrong_usage(gladly_segment, arguments):
    """Exit 2, with what can be."""
    ended = gladly_segment("events", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert arguments[0] in ended.err


@pytest.mark.usefixtures("three_events")
def test_following_shows_a_new_event_as_it_comes(installation):
    """First the latest, oldest first, then each as it arrives; Ctrl-C ends it in peace."""
    following = installation.start("events", "--follow", "--json", "--limit", "2")
    try:
        latest = [json.loads(following.stdout.readline())["message_id"] for _ in range(2)]
        with Store(installation.state_path) as store:
            store.take_in(TakenIn(events=[event("new-1"), event("new-2")]))
        new = [json.loads(following.stdout.readline()) for _ in range(2)]
    finally:
        following.send_signal(signal.SIGINT)
        rest = following.communicate(timeout=10)
    assert latest == ["rejected-1", "pending-1"]
    assert [each["message_id"] for each in new] == ["new-1", "new-2"]
    assert new[0]["payload"]["properties"] == {"customerName": "Zoë"}
    assert (following.returncode, rest) == (0, ("", ""))


@pytest.mark.usefixtures("three_events")
def test_following_can_be_asked_for_a_conversation(installation):
    """What is followed is filtered as what is listed."""
    following = installation.start("events", "--follow", "--json", "--conversation", "c-9")
    try:
        with Store(installation.state_path) as store:
            store.take_in(TakenIn(events=[event("new-1")]))
        assert json.loads(following.stdout.readline())["message_id"] == "new-1"
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=10)


def test_whoever_reads_may_stop_reading(installation):
    """`events | head -1` is no error."""
    with Store(installation.state_path) as store:
        store.take_in(TakenIn(events=[event(f"m-{n}") for n in range(3_000)]))
    program = [sys.executable, "-m", "sync", "events", "--json", "--limit", "3000"]
    with subprocess.Popen(
        program,
        cwd=installation.directory,
        env=installation.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as ended:
        ended.stdout.readline()
        ended.stdout.close()
        said = ended.stderr.read()
    assert (ended.returncode, said) == (0, b"")
