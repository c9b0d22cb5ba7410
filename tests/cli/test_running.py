"""`once`: everything that can be done is done, and then the exit code says how it went (interface 2)."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text
from state.reader import Reader
from state.records import TakenIn
from state.store import Store
from support.installation import Installation
from support.outbox_samples import payload_of, pending
from support.proxy import Proxy
from support.proxy_actions import hang_up
from support.terminal import show

TOKEN, KEY = "token-canary", "key-canary"

AN_EVENT = pending(1, payload_of(1), datetime(2026, 11, 20, 8, tzinfo=UTC))


def ids(events):
    return [event["messageId"] for event in events]


@pytest.fixture
def waiting(installation, ago):
    """An event that an earlier cycle could not deliver; its message id."""
    with Store(installation.state_path) as store:
        store.commit(TakenIn(position=ago(60), events=[AN_EVENT]))
    return AN_EVENT.message_id


def test_0_when_all_is_done(installation, opened):
    """Data goes to standard output, of which there is none; logs go to standard error."""
    opened()
    ended = installation.run("once")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert len(installation.sandbox.inbox) == 1
    assert '"event": "cycle.finished"' in ended.stderr


def test_0_for_a_degraded_poll(installation, opened):
    """One line that cannot be read is put aside and said; the rest is done (semantics 3.3)."""
    opened()
    installation.sandbox.faults.rewrite_feed(lambda lines: [b"oops\n", *lines])
    assert installation.run("once").returncode == 0
    assert len(installation.sandbox.inbox) == 1
    with Reader(installation.state_path) as reader:
        assert (reader.last_poll()["outcome"], reader.quarantined()) == ("degraded", 1)


def test_1_with_segment_down_after_gladlys_part(installation, gladly_segment, opened, down):
    """What was read is kept pending and the watermark has moved; the next cycle delivers it."""
    opened()
    installation.sandbox.faults.add("segment", "*", down)
    ended = installation.run("once")
    assert ended.returncode == 1
    assert "error: Segment at 127.0.0.1" in ended.stderr
    assert "answered 503" in ended.stderr
    (event,) = installation.events()
    assert (event["status"], event["attempts"]) == ("pending", 1)
    with Reader(installation.state_path) as reader:
        assert reader.watermark() is not None
    installation.sandbox.faults.clear()
    assert gladly_segment("once").code == 0
    assert ids(installation.sandbox.inbox.received) == [event["message_id"]]


@pytest.mark.parametrize("end", ["gladly", "segment"])
def test_on_a_terminal_the_sentence_of_a_failure_is_said_once(installation, opened, down, end):
    """As the error that it is, and not in the log as well."""
    opened()
    installation.sandbox.faults.add(end, "*", down)
    shown = show("once", columns=120, directory=installation.directory, environment=installation.environment)
    assert shown.code == 1
    said = " ".join(shown.lines)
    assert said.count("answered 503") == 1
    assert said.count(f"{end.capitalize()} at 127.0.0.1") == 1
    assert "cycle.finished failed:" in said


def test_the_log_for_programs_has_the_sentence_too(installation, opened, down):
    """It is kept where standard error is not."""
    opened()
    installation.sandbox.faults.add("segment", "*", down)
    ended = installation.run("once")
    assert '"event": "segment.failed"' in ended.stderr
    assert "error: Segment at 127.0.0.1" in ended.stderr


def test_1_with_gladly_down_after_segments_part(installation, waiting, down):
    """What was pending is delivered all the same (semantics 4.5)."""
    installation.sandbox.faults.add("gladly", "*", down)
    ended = installation.run("once")
    assert ended.returncode == 1
    assert "error: Gladly at 127.0.0.1" in ended.stderr
    assert ids(installation.sandbox.inbox.received) == [waiting]


def test_2_for_wrong_settings_before_anybody_is_asked(installation):
    """Neither end hears of a run that cannot succeed."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "often"
    ended = installation.run("once")
    assert ended.returncode == 2
    assert "The variable GLADLY_SEGMENT_SYNC__EVERY: 'often' is not a duration" in ended.stderr
    assert (installation.sandbox.gladly_requests, installation.sandbox.segment_requests) == ([], [])


def test_2_for_a_state_file_that_is_none_before_anybody_is_asked(installation):
    """It is named and left as it is, and neither end hears of it (faults C8)."""
    installation.state_path.write_bytes(b"Dear diary")
    ended = installation.run("once")
    assert ended.returncode == 2
    assert f"{installation.state_path.name} is not an SQLite file" in ended.stderr
    assert installation.state_path.read_bytes() == b"Dear diary"
    assert (installation.sandbox.gladly_requests, installation.sandbox.segment_requests) == ([], [])


@pytest.mark.parametrize(
    ("username", "token", "why"),
    [
        pytest.param(None, "wrong", "refused the API token (401)", id="a wrong token"),
        pytest.param("no-api-user@example.com", None, "lacks the API User permission", id="a wrong agent"),
    ],
)
def test_3_with_a_refused_token_after_segments_part(installation, waiting, username, token, why):
    """It names the variable to mend; what was pending is delivered all the same."""
    if username:
        installation.settings["GLADLY_SEGMENT_GLADLY__USERNAME"] = username
    if token:
        installation.settings["GLADLY_API_TOKEN"] = token
    ended = installation.run("once")
    assert ended.returncode == 3
    assert why in ended.stderr
    assert "GLADLY_API_TOKEN" in ended.stderr
    assert ids(installation.sandbox.inbox.received) == [waiting]


def test_3_with_a_refused_write_key_after_gladlys_part(installation, gladly_segment, opened):
    """
    It names the variable to mend; what was read is kept, and the right key delivers it, under an
    id of its own (semantics 4.2). Segment itself does not answer 401, other receivers do.
    """
    opened()
    installation.sandbox.segment.wrong_keys = "refused"
    installation.settings["SEGMENT_WRITE_KEY"] = "wrong"
    ended = installation.run("once")
    assert ended.returncode == 3
    assert "refused the write key (401)" in ended.stderr
    assert "SEGMENT_WRITE_KEY" in ended.stderr
    (event,) = installation.events(status="pending")
    del installation.settings["SEGMENT_WRITE_KEY"]
    assert gladly_segment("once").code == 0
    (delivered,) = installation.events(conversation=event["conversation_id"])
    assert ids(installation.sandbox.inbox.received) == [delivered["message_id"]] != [event["message_id"]]


def test_3_wins_over_1(installation, waiting, down):
    """With a token refused and Segment down, a person is needed: that is what the code says."""
    installation.settings["GLADLY_API_TOKEN"] = "wrong"
    installation.sandbox.faults.add("segment", "*", down)
    ended = installation.run("once")
    assert ended.returncode == 3
    assert len([line for line in ended.stderr.splitlines() if line.startswith("error: ")]) == 2


def test_4_while_another_process_holds_the_state_file(installation, opened):
    """It says which one, asks nobody anything, and leaves the holder alone."""
    opened()
    with Store(installation.state_path) as store:
        ended = installation.run("once")
        assert ended.returncode == 4
        assert f"held by process {os.getpid()} " in ended.stderr
        assert store.watermark() is None
    assert (installation.sandbox.gladly_requests, installation.sandbox.segment_requests) == ([], [])


def hanging_up(installation, stack):
    """Let both ends reset every connection as soon as it was asked something."""
    for side in ("gladly", "segment"):
        proxy = stack.enter_context(Proxy(getattr(installation.sandbox, f"{side}_url")))
        proxy.on("*", hang_up())
        installation.settings[f"GLADLY_SEGMENT_{side.upper()}__BASE_URL"] = proxy.url


def refusing(installation, stack):
    """Let both ends be gone."""
    installation.sandbox.stop_gladly()
    installation.sandbox.stop_segment()


def answering_503(*sides):
    """Let these ends be down, without a word about for how long."""

    def bring_down(installation, stack):
        for side in sides:
            installation.sandbox.faults.add(side, "*", Fault(status=503, times=None))

    return bring_down


WAYS_TO_BE_DOWN = {
    "Gladly answers 503": (answering_503("gladly"), {"Gladly": "answered 503"}),
    "Segment answers 503": (answering_503("segment"), {"Segment": "answered 503"}),
    "both refuse": (refusing, {"Gladly": "refused", "Segment": "refused"}),
    "both hang up": (hanging_up, {"Gladly": "could not be reached", "Segment": "could not be reached"}),
}


def try_while_down(directory, bring_down):
    """Have an event to deliver, bring an end down, run a cycle: how it ended, and how it went about it."""
    directory.mkdir()
    with (
        Sandbox(lateness_s=0, requests_per_second=None, api_token=TOKEN, write_key=KEY) as sandbox,
        ExitStack() as stack,
    ):
        installation = Installation(directory, sandbox)
        with Store(installation.state_path) as store:
            store.commit(TakenIn(position=sandbox.clock.now(), events=[AN_EVENT]))
        bring_down(installation, stack)
        began = time.monotonic()
        ended = installation.run("once")
        took_s = time.monotonic() - began
        with Reader(installation.state_path) as reader:
            attempts = reader.last_poll()["requests"], len(sandbox.segment_requests)
    return ended, took_s, max(attempts)


def test_an_end_that_is_down_is_given_up_in_time(tmp_path):
    """
    However an end is down: `once` ends with 1 within 20 seconds, after no more than 12 attempts at one path,
    and says who was down and how, and no secret. All at once, since each takes its patience.
    """
    with ThreadPoolExecutor(len(WAYS_TO_BE_DOWN)) as threads:
        tried = {
            way: threads.submit(try_while_down, tmp_path / str(n), bring_down)
            for n, (way, (bring_down, _)) in enumerate(WAYS_TO_BE_DOWN.items())
        }
    for way, (_, expected) in WAYS_TO_BE_DOWN.items():
        ended, took_s, attempts = tried[way].result()
        said = [
            line.removeprefix("error: ") for line in ended.stderr.splitlines() if line.startswith("error: ")
        ]
        assert (way, ended.returncode, [line.split()[0] for line in said]) == (way, 1, list(expected))
        assert [
            (way, line) for line, how in zip(said, expected.values(), strict=True) if how not in line
        ] == []
        assert took_s < 20
        assert attempts <= 12
        assert not any(secret in ended.stdout + ended.stderr for secret in (TOKEN, KEY))


def test_after_a_failure_the_watermark_is_where_it_was(installation, gladly_segment, waiting, down):
    """A failed poll moves nothing, however often it is tried."""
    with Reader(installation.state_path) as reader:
        before = reader.watermark()["position"]
    installation.sandbox.faults.add("gladly", "*", down)
    assert gladly_segment("once").code == 1
    with Reader(installation.state_path) as reader:
        assert reader.watermark()["position"] == before
        assert from_text(reader.last_poll()["finished_at"]) > from_text(before)
        assert (reader.last_poll()["outcome"], "503" in reader.last_poll()["error"]) == ("failed", True)


# --- once --dry-run: what would be sent is shown, and not sent ------------------------------------------


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
