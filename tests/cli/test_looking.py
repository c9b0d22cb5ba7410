"""`status`, `events`, `explain`, `inspect`: they read the state file, take no lock and change nothing."""

import hashlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import requests

from state.instants import from_text, to_text, utc_now
from state.records import CustomerMerge, Event, EventStatus, Poll, PollOutcome, TakenIn, Transition
from state.store import Store
from support.inspector_samples import at
from support.state_samples import EIGHT, EVENT_COLUMNS, commit
from support.state_samples import event as sample
from support.terminal import show
from sync.cli.screens.layout import shown_time

# --- status ---------------------------------------------------------------------------------------------


EVENTS = {"recorded", "pending", "delivered", "rejected", "suppressed"}

CONVERSATIONS = {"open", "closed"}


def status(gladly_segment, *arguments):
    return json.loads(gladly_segment("status", "--json", *arguments).out)


def stand_at(installation, age):
    """Have the watermark lie so far back."""
    with Store(installation.state_path) as store:
        store.commit(TakenIn(position=utc_now() - age))


def test_before_the_first_cycle_everything_is_none_or_nothing(gladly_segment, installation):
    """It works, says so, and makes no file."""
    found = status(gladly_segment)
    assert [found[name] for name in ("watermark", "lag_seconds", "gap_seconds_left", "last_poll")] == [
        None
    ] * 4
    assert found["events"] == dict.fromkeys(EVENTS, 0)
    assert list(installation.directory.iterdir()) == []


def test_a_file_whose_creation_was_cut_short_is_as_none(gladly_segment, installation):
    """Empty, as a full disk or `touch` leaves it: the first cycle makes it, and `status` works until then."""
    before = status(gladly_segment)
    installation.state_path.touch()
    ended = gladly_segment("status", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert json.loads(ended.out) == before


def test_after_a_cycle_every_figure_of_the_interface_is_there(gladly_segment, installation, opened):
    """The keys and kinds that scripts rely on (interface 4)."""
    opened()
    assert gladly_segment("once").code == 0
    found = status(gladly_segment)
    assert from_text(found["watermark"]) < utc_now()
    assert found["lag_seconds"] == pytest.approx(60, abs=10)  # the overlap
    assert found["gap_seconds_left"] == pytest.approx(86_400 - found["lag_seconds"], abs=0.01)
    assert (found["last_poll"]["outcome"], found["last_poll"]["delivered"]) == ("ok", 1)
    assert found["events"] == dict.fromkeys(EVENTS, 0) | {"delivered": 1}
    assert (found["conversations"]["open"], found["conversations"]["closed"]) == (1, 0)


def test_it_works_while_a_writer_writes(gladly_segment, installation, three_events):
    """In the middle of somebody's transaction, it shows what was committed before (faults C4)."""
    with Store(installation.state_path), closing(sqlite3.connect(installation.state_path)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM events")
        assert status(gladly_segment)["events"] == {
            "recorded": 0,
            "pending": 1,
            "delivered": 1,
            "rejected": 1,
            "suppressed": 0,
        }


def test_it_leaves_the_file_as_it_is(gladly_segment, installation, three_events):
    """Byte for byte."""
    before = installation.state_path.read_bytes()
    assert gladly_segment("status").code == 0
    assert installation.state_path.read_bytes() == before


def test_it_needs_neither_secrets_nor_gladly(command, installation, three_events):
    """A health check knows where the config file is, and nothing else."""
    (installation.directory / "config.toml").write_text('[gladly]\norganization = "acme"\n')
    ended = command("status", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["events"]["delivered"] == 1


def test_what_is_no_state_file_is_an_error(gladly_segment, installation):
    """Exit 2, and the file is left alone."""
    installation.state_path.write_bytes(b"Dear diary")
    ended = gladly_segment("status")
    assert (ended.code, ended.out) == (2, "")
    assert "is not an SQLite file" in ended.err


def test_a_watermark_young_enough_is_healthy(gladly_segment, installation):
    """Exit 0; the figures are shown all the same."""
    stand_at(installation, timedelta(minutes=9))
    ended = gladly_segment("status", "--max-lag", "10m")
    assert (ended.code, ended.err) == (0, "")


@pytest.mark.parametrize("shape", [[], ["--json"]], ids=["text", "JSON"])
def test_a_watermark_too_old_is_not(gladly_segment, installation, shape):
    """Exit 1, and why; standard output is as ever."""
    stand_at(installation, timedelta(minutes=11))
    ended = gladly_segment("status", "--max-lag", "10m", *shape)
    assert ended.code == 1
    assert "the watermark is too old" in ended.err
    assert ended.out != ""


def test_an_event_that_waits_too_long_is_not(gladly_segment, installation, three_events):
    """Polling goes well and Segment has been down for long: that is not healthy either."""
    with closing(sqlite3.connect(installation.state_path)) as connection, connection:
        connection.execute(
            "UPDATE events SET created_at = ? WHERE status = 'pending'",
            (to_text(utc_now() - timedelta(minutes=11)),),
        )
    ended = gladly_segment("status", "--max-lag", "10m")
    assert ended.code == 1
    assert "the oldest pending event has waited too long" in ended.err
    assert gladly_segment("status", "--max-lag", "12m").code == 0


def test_what_never_succeeded_is_not(gladly_segment, installation):
    """A daemon that never got anywhere is not healthy by default."""
    ended = gladly_segment("status", "--max-lag", "10m")
    assert ended.code == 1
    assert "no cycle has succeeded yet" in ended.err


def test_a_lag_that_is_no_duration_is_wrong_usage(gladly_segment):
    """Exit 2, with what would be one."""
    ended = gladly_segment("status", "--max-lag", "ten minutes")
    assert ended.code == 2
    assert "90s, 15m, 36h or 7d" in ended.err


def test_the_time_left_for_a_gap_is_shown(gladly_segment, installation):
    """How long the sync may still be down before the Events API no longer reaches back."""
    stand_at(installation, timedelta(hours=2, minutes=30))
    shown = gladly_segment("status").out
    assert "(2h 30m ago)" in shown
    assert re.search(r"21h (30|29)m left; Gladly's Events API goes back 24h", shown)


def test_a_gap_clock_that_has_run_out_says_so(gladly_segment, installation):
    """The report then has the days that the Events API no longer shows."""
    stand_at(installation, timedelta(hours=30))
    shown = gladly_segment("status").out
    assert "run out; Gladly's Events API goes back 24h; the report has older days" in shown


def test_what_needs_a_person_is_shown_with_the_command_that_mends_it(gladly_segment, three_events):
    """A rejected event, why, and how to send it again."""
    shown = gladly_segment("status").out
    assert "rejected event: Segment answered 400: no" in shown
    assert "gladly-segment retry rejected-1" in shown
    assert "1 pending, 1 delivered, 1 rejected, 0 suppressed" in shown


def test_after_a_failure_the_last_success_and_the_error_are_shown(gladly_segment, installation):
    """Since when things go wrong, and what."""
    with Store(installation.state_path) as store:
        now = utc_now()
        store.record_poll(Poll(now - timedelta(hours=3), finished_at=now - timedelta(hours=3)))
        store.record_poll(
            Poll(now, finished_at=now, outcome=PollOutcome.FAILED, error="Gladly answered 500 (an error).")
        )
    shown = gladly_segment("status").out
    assert "failed" in shown
    assert "Gladly answered 500 (an error)." in shown
    assert shown_time(to_text(now - timedelta(hours=3))) in shown


def test_the_screens_show_local_times_with_their_zone(
    gladly_segment, installation, three_events, monkeypatch
):
    """`status` and `explain`; what is for programs stays in UTC."""
    with Store(installation.state_path) as store:
        store.record_poll(Poll(EIGHT, finished_at=EIGHT))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        screen, told = (gladly_segment(*words).out for words in (["status"], ["explain", "c-0"]))
        found = status(gladly_segment)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "last poll      2026-11-20 17:00:00 JST  ok" in screen
    assert re.search(r"  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} JST  Gladly", told)
    assert found["last_poll"]["finished_at"] == "2026-11-20T08:00:00.000Z"


def test_nothing_is_coloured_for_a_pipe(gladly_segment, three_events):
    """No escape sequences where there is no terminal."""
    assert "\x1b" not in gladly_segment("status").out


def test_watching_shows_the_screen_anew(installation, three_events):
    """On a terminal from its top, every 2 seconds, until Ctrl-C, which is no error."""
    shown = show(
        "status",
        "--watch",
        directory=installation.directory,
        environment=installation.environment,
        until=lambda text: text.count("\x1b[H") == 2,
    )
    assert shown.code == 0
    first, second = shown.text.split("\x1b[H")[1:]
    assert "watermark" in first
    assert "rejected event" in second
    assert "Every 2 seconds. Ctrl-C ends it." in second


def test_no_screen_is_taller_than_the_terminal(installation, three_events):
    """It would scroll, and each screen would push the one before it up."""
    shown = show(
        "status",
        "--watch",
        directory=installation.directory,
        environment=installation.environment,
        rows=6,
        until=lambda text: "Ctrl-C ends it" in text,
    )
    assert shown.text.split("\x1b[J")[0].count("\n") <= 5


@pytest.mark.parametrize("shape", [[], ["--json"]], ids=["text", "JSON"])
def test_watching_works_on_a_pipe(installation, three_events, shape):
    """Each screen follows the one before it, without what only a terminal understands."""
    watching = installation.start("status", "--watch", *shape)
    try:
        line = watching.stdout.readline()
    finally:
        watching.send_signal(signal.SIGINT)
        rest, said = watching.communicate(timeout=10)
    assert (watching.returncode, said) == (0, "")
    assert "\x1b" not in line + rest
    if shape:
        assert json.loads(line)["events"]["delivered"] == 1
    else:
        assert line.startswith("state file")


def test_watching_has_no_end_that_could_be_unhealthy(gladly_segment, installation):
    """`--max-lag` is for a command that ends."""
    ended = gladly_segment("status", "--watch", "--max-lag", "10m")
    assert (ended.code, "cannot be given with --max-lag" in ended.err) == (2, True)


# --- events ---------------------------------------------------------------------------------------------


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
    assert set(pending) >= EVENT_COLUMNS
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
    """No error and no file, and a line on standard error that says why."""
    assert gladly_segment("events") == gladly_segment("events", "--json")
    ended = gladly_segment("events")
    assert (ended.code, ended.out, list(installation.directory.iterdir())) == (0, "", [])
    assert "there is no state file" in ended.err


def test_where_nothing_has_happened_it_is_said_since_when(gladly_segment, installation):
    """And how to read what happened before."""
    assert gladly_segment("once").code == 0
    ended = gladly_segment("events")
    assert (ended.code, ended.out) == (0, "")
    assert re.search(
        r"Nothing yet: watching since \S.*\. Earlier ones: gladly-segment resync --since 7d", ended.err
    )


@pytest.mark.usefixtures("three_events")
def test_where_no_event_matches_it_is_said_how_to_see_all(gladly_segment):
    """An empty answer to a question is no proof that nothing happened."""
    ended = gladly_segment("events", "--conversation", "nobody")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.startswith("No event fits these options. All events: ")


@pytest.mark.usefixtures("three_events")
@pytest.mark.parametrize(
    ("since", "expected"), [("1h", 3), ("299.5s", 2), ("1s", 0)], ids=["all", "some", "none"]
)
def test_the_events_since_an_instant(gladly_segment, since, expected):
    """An age counts from now; the instant itself is of them."""
    assert len(shown_ids(gladly_segment("events", "--json", "--since", since))) == expected


@pytest.fixture
def of_customers(installation):
    """A state file with events of three customers, of whom one was merged into another."""
    with Store(installation.state_path) as store:
        commit(
            store,
            sample("old", customer="source", conversation="c-1", email="wren@example.com"),
            sample("new", customer="remains", conversation="c-2", email="wren@example.org"),
            sample("other", customer="other", conversation="c-3", email="ana@example.com"),
            sample(
                "hidden",
                customer="hashed",
                conversation="c-4",
                email=hashlib.sha256(b"zoe@example.com").hexdigest(),
            ),
            merges=[CustomerMerge("source", "remains", sample("m").occurred_at)],
        )


@pytest.mark.usefixtures("of_customers")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--customer", "remains"], {"old", "new"}),
        (["--customer", "source"], {"old"}),
        (["--customer", "nobody"], set()),
        (["--email", "wren@example.org"], {"old", "new"}),
        (["--email", " WREN@Example.com "], {"old"}),
        (["--email", "zoe@example.com"], {"hidden"}),
        (["--email", "wren@example.org", "--customer", "remains"], {"old", "new"}),
        (["--email", "wren@example.org", "--customer", "other"], set()),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_the_events_of_one_customer(gladly_segment, arguments, expected):
    """By id or by the address in a payload, with those of everyone merged into the customer."""
    assert set(shown_ids(gladly_segment("events", "--json", *arguments))) == expected


@pytest.mark.usefixtures("of_customers")
def test_an_address_that_is_found_nowhere_is_not_repeated(gladly_segment):
    """It says what to do instead, and no address comes into a log."""
    ended = gladly_segment("events", "--email", "nobody@example.net")
    assert (ended.code, ended.out) == (0, "")
    assert "No payload that is kept has this e-mail address" in ended.err
    assert "nobody" not in ended.err


@pytest.mark.usefixtures("of_customers")
def test_following_can_be_asked_for_a_customer(installation):
    """By the address in a payload that is there when it begins."""
    following = installation.start("events", "--follow", "--json", "--email", "wren@example.com")
    try:
        assert json.loads(following.stdout.readline())["message_id"] == "old"
        with Store(installation.state_path) as store:
            commit(store, sample("next", customer="other"), sample("newest", customer="source"))
        assert json.loads(following.stdout.readline())["message_id"] == "newest"
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=10)


@pytest.mark.parametrize("columns", [80, 120])
def test_events_fit_the_terminal(installation, opened, columns):
    """No line is wider, whatever the payload holds."""
    opened(name="A name that is much longer than a line of a terminal could ever be, " * 3)
    assert installation.run("once").returncode == 0
    shown = show(
        "events", columns=columns, directory=installation.directory, environment=installation.environment
    )
    assert shown.code == 0
    assert max(map(len, shown.lines)) <= columns
    assert max(map(len, shown.lines)) > columns - 30
    assert len(shown.lines) > 3


def test_times_are_local_and_have_a_date_where_it_is_not_today(gladly_segment, installation, monkeypatch):
    """With the zone; in UTC where that is asked for."""
    now = utc_now()
    with Store(installation.state_path) as store:
        commit(store, sample("today", at=now), sample("before", at=now - timedelta(days=2)))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        today, before = gladly_segment("events").out.splitlines()[::2]
        in_utc = gladly_segment("events", "--utc").out.splitlines()[0]
    finally:
        monkeypatch.undo()
        time.tzset()
    there = now.astimezone(ZoneInfo("Asia/Tokyo"))
    assert today.startswith(f"{there:%H:%M:%S} JST  Gladly")
    assert before.startswith(f"{there - timedelta(days=2):%Y-%m-%d %H:%M:%S} JST  Gladly")
    assert in_utc.startswith(f"{now:%H:%M:%S} UTC  Gladly")


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
            store.commit(TakenIn(events=[event("new-1"), event("new-2")]))
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
            store.commit(TakenIn(events=[event("new-1")]))
        assert json.loads(following.stdout.readline())["message_id"] == "new-1"
    finally:
        following.send_signal(signal.SIGINT)
        following.communicate(timeout=10)


def test_whoever_reads_may_stop_reading(installation):
    """`events | head -1` is no error."""
    with Store(installation.state_path) as store:
        store.commit(TakenIn(events=[event(f"m-{n}") for n in range(3_000)]))
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


# --- explain --------------------------------------------------------------------------------------------


def test_explain_tells_every_change_and_what_it_meant(installation, ago):
    """Changes, states before and after, what was decided and why, events with ids and answers."""
    world = installation.sandbox.world
    conversation = world.open_conversation(world.add_customer("Ana"), at=ago(200))
    world.close(conversation, at=ago(150))
    world.reopen(conversation, at=ago(100))
    assert installation.run("once").returncode == 0
    told = installation.run("explain", conversation.id).stdout
    for words in (
        "created: not known before",
        "closed: was open",
        "CLOSED → OPEN",
        "reopenings are not sent",
        "Gladly Conversation Closed",
        "delivered at",
    ):
        assert words in told
    found = json.loads(installation.run("explain", conversation.id, "--json").stdout)
    assert [change["type"] for change in found["changes"]] == ["CREATED", "CLOSED", "REOPENED"]
    assert found["events"][0]["message_id"] in told


def test_explain_says_why_nothing_was_sent(installation, ago):
    """Suppressed, and for what reason; or merged away."""
    world = installation.sandbox.world
    ana, bea = world.add_customer("Ana"), world.add_customer("Bea")
    merged = world.open_conversation(ana, at=ago(200))
    world.open_conversation(bea, at=ago(190))
    world.merge(ana, bea, at=ago(180))
    gone = world.add_customer("Eve")
    deleted = world.open_conversation(gone, at=ago(170))
    world.close(deleted, at=ago(160))
    world.delete(gone, at=ago(159))
    assert installation.run("once").returncode == 0
    assert "was merged into" in installation.run("explain", merged.id).stdout
    assert "customer was deleted" in installation.run("explain", deleted.id).stdout


def test_explain_of_something_unknown_says_what_to_do(installation):
    """An empty result is no failure, also before there is a state file. A script reads an empty object."""
    for _ in range(2):
        done = installation.run("explain", "nobody-knows")
        assert (done.returncode, done.stdout) == (0, "")
        assert "Nothing is stored about conversation nobody-knows." in done.stderr
        assert "resync --since 7d" in done.stderr
        installation.run("once")
    done = installation.run("explain", "nobody-knows", "--json")
    assert json.loads(done.stdout) == {"conversation": None, "changes": [], "events": []}


@pytest.mark.parametrize(
    "id_", ["-ALK6DLWqvRYVTjTCDLLBA", "--LK6DLWqvRYVTjTCDLLBA", "-hLK6DLWqvRYVTjTCDLLBA"]
)
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "JSON"])
def test_an_id_may_begin_with_a_hyphen(gladly_segment, installation, id_, more):
    """One in 64 of Gladly's does, and is no option."""
    with Store(installation.state_path) as store:
        commit(store, sample("m-1", conversation=id_))
    for arguments in (["explain", id_, *more], ["explain", *more, id_], ["explain", *more, "--", id_]):
        ended = gladly_segment(*arguments)
        assert (ended.code, "m-1" in ended.out) == (0, True)
    ended = gladly_segment("events", "--conversation", id_)
    assert (ended.code, "m-1" in ended.out) == (0, True)


def test_an_option_that_is_unknown_is_not_taken_for_an_id(gladly_segment, installation):
    """Exit 2."""
    ended = gladly_segment("explain", "--jason")
    assert (ended.code, "No such option" in ended.err) == (2, True)


# --- inspect --------------------------------------------------------------------------------------------


def test_inspect_serves_the_state_file_until_it_is_stopped(installation):
    """On loopback, read-only; SIGTERM ends it with 0."""
    installation.run("once")
    process = installation.start("inspect", "--no-open", "--port", "0")
    url = process.stdout.readline().split()[0]
    assert "Watermark" in requests.get(at(url, "overview"), timeout=20).text
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    assert process.returncode == 0


def test_inspect_on_a_port_that_is_taken_says_so(installation):
    """Exit 2, with the way out."""
    taken = installation.sandbox.gladly_url.rsplit(":", 1)[1]
    done = installation.run("inspect", "--no-open", "--port", taken)
    assert done.returncode == 2
    assert "--port" in done.stderr
