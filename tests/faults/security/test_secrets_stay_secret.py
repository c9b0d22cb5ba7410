"""Secrets never come out (faults G1, G2)."""

import base64
import contextlib
import json
import re
from pathlib import Path

import pytest

from sandbox import Fault
from support.canaries import TOKEN, WRITE_KEY, assert_no_canary
from support.processes import FAILPOINT, run_all, running, stderr_of
from support.waiting import wait_until
from support.worlds import history, people_writing_in

pytestmark = pytest.mark.long


@pytest.mark.parametrize("layer", ["gladly.request", "gladly.answer", "commit.events", "segment.request"])
def test_no_traceback_of_a_cycle_shows_a_secret(guarded, layer):
    """
    With --debug, an error is raised in each layer. The traceback shows names and lines, and no values
    (faults G1).
    """
    history(guarded.sandbox)
    guarded.settings[FAILPOINT] = f"{layer}:1:raise"
    said = guarded.run("--debug", "once").stderr
    assert "Traceback" in said
    assert_no_canary(guarded, said)


@pytest.mark.parametrize("shape", ["console", "json"])
def test_no_traceback_in_a_daemons_log_shows_a_secret(guarded, shape):
    """The tracebacks in the log hold no local variables, in both formats (faults G1)."""
    history(guarded.sandbox)
    guarded.settings |= {
        FAILPOINT: "segment.request:1:raise",
        "GLADLY_SEGMENT_LOG__FORMAT": shape,
        "GLADLY_SEGMENT_SYNC__EVERY": "0.2s",
    }
    with running(guarded, "--debug", "run") as process:
        wait_until(lambda: "cycle.finished" in stderr_of(guarded))
        process.terminate()
        assert process.wait(10) == 0
    assert "FailpointError" in stderr_of(guarded)
    assert_no_canary(guarded, stderr_of(guarded))
    assert "Traceback" in stderr_of(guarded)  # --debug shows the traceback


FAULTS = {
    "refused": Fault(status=401, times=None),
    "an error with a body": Fault(
        status=400, body=b'{"errors":[{"attr":"x","code":"y","detail":"z"}]}', times=None
    ),
    "a redirect": Fault(status=302, headers={"Location": "https://example.com/"}, times=None),
    "too many": Fault(status=429, headers={"Retry-After": "600"}, times=None),
    "a page": Fault(status=200, body=b"<html>", content_type="text/html", times=None),
}


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_no_error_shows_a_secret(guarded, side):
    """
    An end may answer anything. No secret is in the logs, the errors, the state file or what the commands show
    of it (faults G1).
    """
    said = []
    for number, fault in enumerate(FAULTS.values()):
        people_writing_in(guarded.sandbox, 1, seconds_ago=50 - number)
        guarded.sandbox.faults.add(side, "*", fault)
        done = guarded.run("--debug", "once")
        said += [done.stdout, done.stderr]
        guarded.sandbox.faults.clear()
    said += run_all(guarded, ("status",), ("events", "--json"))
    assert_no_canary(guarded, *said)
    assert {event["status"] for event in guarded.events()} <= {"pending", "delivered", "rejected"}


def test_no_end_that_cannot_be_reached_makes_it_show_a_secret(guarded):
    """
    The end refuses the connection, has no address, or has an unknown certificate. The error names the host
    and nothing more (faults G1).
    """
    history(guarded.sandbox)
    urls = ("http://127.0.0.1:9", "https://nowhere.invalid", guarded.sandbox.gladly_url.replace("p:", "ps:"))
    with contextlib.ExitStack() as stack:
        processes = []
        for url in urls:  # at the same time, because each waits between its attempts
            guarded.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = url
            processes.append(stack.enter_context(guarded.start("--debug", "check")))
        said = [text for process in processes for text in process.communicate(timeout=30)]
    assert [process.returncode for process in processes] == [1, 1, 1]
    assert all("Gladly could not be reached at" in " ".join(text.split()) for text in said[::2])
    assert_no_canary(guarded, *said)


def test_no_kept_line_or_row_shows_a_secret(guarded):
    """Quarantined lines, rejected events and the log that a kill leaves behind hold no secret (faults G1)."""
    history(guarded.sandbox)
    guarded.sandbox.faults.rewrite_feed(lambda lines: [b"{broken\n", b'{"id":"x"}\n', *lines])
    guarded.sandbox.faults.reject_message(lambda event: event["event"].endswith("Closed"))
    guarded.settings[FAILPOINT] = "cycle.end"
    killed = guarded.run("--debug", "once")
    assert list(guarded.directory.glob("*-wal"))
    del guarded.settings[FAILPOINT]
    said = run_all(guarded, ("status",), ("events", "--json"), ("once", "--dry-run"))
    assert_no_canary(guarded, killed.stderr, killed.stdout, *said)


@pytest.mark.parametrize("side", ["gladly", "segment"])
def test_a_secret_that_an_answer_repeats_is_not_passed_on(guarded, side):
    """
    A gateway's error page may quote the request's headers. The secrets in it are not written down
    (faults G1).
    """
    history(guarded.sandbox)
    user = f"{guarded.sandbox.gladly.username}:{TOKEN}" if side == "gladly" else f"{WRITE_KEY}:"
    secret = TOKEN if side == "gladly" else WRITE_KEY
    quoted = f"bad request; Authorization: Basic {base64.b64encode(user.encode()).decode()} ({secret})"
    body = json.dumps({"errors": [{"attr": "x", "code": "y", "detail": quoted}]}).encode()
    guarded.sandbox.faults.add(side, "*", Fault(status=400, body=body, times=None))
    done = guarded.run("--debug", "once")
    said = run_all(guarded, ("status",), ("events", "--json"))
    assert_no_canary(guarded, done.stderr, done.stdout, *said)


def test_no_secret_is_among_the_arguments(guarded):
    """`ps` shows the command and perhaps a path. No option of the command line takes a secret (faults G2)."""
    with running(guarded, "run") as process:
        wait_until(lambda: "cycle.finished" in stderr_of(guarded))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pids = [str(process.pid), *(children.read_text().split() if children.exists() else [])]
        shown = b"".join(Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids)
        process.terminate()
        assert process.wait(10) == 0
    assert b"cAnArY" not in shown
    for option in ("--api-token", "--token", "--write-key", "--password"):
        for command in ((option, "x", "once"), ("once", option, "x")):
            assert guarded.run(*command).returncode == 2
    assert_no_canary(guarded)


def test_a_secret_in_the_settings_file_is_refused(guarded):
    """
    The command ends with exit 2 and says where the secret belongs, without repeating it. No request is made
    (faults G2).
    """
    (guarded.directory / "config.toml").write_text(
        f"[gladly]\napi_token = {json.dumps(TOKEN)}\n[segment]\nwrite_key = {json.dumps(WRITE_KEY)}\n"
    )
    for command in ("once", "check", "run"):
        done = guarded.run(command)
        assert done.returncode == 2
        said = done.stdout + done.stderr
        assert "gladly.api_token does not belong in this file" in said
        assert "GLADLY_API_TOKEN" in said
        assert "SEGMENT_WRITE_KEY" in said
        assert "cAnArY" not in said
    assert guarded.sandbox.gladly_requests == []


def test_a_secret_file_that_others_can_read_is_warned_of(guarded):
    """
    `check` names the file and the mode to give it. It does not mention a file that only its owner can read
    (faults G2).
    """
    environment = {"GLADLY_API_TOKEN": "", "SEGMENT_WRITE_KEY": ""}
    for name, secret in (("token", TOKEN), ("key", WRITE_KEY)):
        (guarded.directory / name).write_text(secret + "\n")
        (guarded.directory / name).chmod(0o600)
    guarded.settings |= environment | {
        "GLADLY_SEGMENT_GLADLY__API_TOKEN_FILE": "token",
        "GLADLY_SEGMENT_SEGMENT__WRITE_KEY_FILE": "key",
    }
    quiet = guarded.run("check")
    assert quiet.returncode == 0, quiet.stdout
    assert "0600" not in quiet.stdout + quiet.stderr
    (guarded.directory / "token").chmod(0o644)
    loud = guarded.run("check")
    said = loud.stdout + loud.stderr
    assert "cAnArY" not in said
    assert "token" in said
    assert re.search(r"chmod|0?600|readable by", said), said
