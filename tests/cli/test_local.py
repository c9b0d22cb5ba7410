"""`sandbox`, `demo`: what needs no account."""

import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from support.dialogue import dialogue

FREE = ["--gladly-port", "0", "--segment-port", "0", "--public-api-port", "0"]


@pytest.fixture
def serving(bare, request):
    """The sandbox running, and what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sync", "sandbox", *FREE, *getattr(request, "param", ())],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        said += line
    yield process, said
    process.kill()
    process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_it_says_to_export_is_all_it_takes(serving, command, number):
    """With the variables it shows, `check` holds; a signal ends it in peace."""
    process, said = serving
    exports = dict(re.findall(r"export (\w+)=(\S+)", said))
    assert command("check", **exports).code == 0
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("serving", [["--history", "7d", "--tempo", "0.001"]], indirect=True)
def test_a_sandbox_with_a_past_has_something_to_resync_and_explain(serving, command, monkeypatch):
    """Conversations on each day. The command that reads them can be pasted as it is printed."""
    _, said = serving
    exports = dict(re.findall(r"export (\w+)=(\S+)", said))
    for name, value in exports.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND", "10")
    assert f"{shlex.quote(sys.executable)} -m sync resync --since 7d" in said
    day = (datetime.now(UTC) - timedelta(days=3)).date()
    hours = ("--since", f"{day}T08:00Z", "--until", f"{day}T12:00Z")
    ended = command("resync", *hours)
    assert ended.code == 0
    latest = command("events", "--limit", "1", "--json").json_lines[0]
    assert latest["occurred_at"][:10] == day.isoformat()
    # It may have been created before these hours. Then its close is all that they show.
    assert re.search(r"(created|closed): ", command("explain", latest["conversation_id"]).out)


def test_a_history_that_is_no_duration_is_refused(command):
    """Exit 2, before anything listens."""
    ended = command("sandbox", *FREE, "--history", "a week")
    assert (ended.code, ended.out) == (2, "")
    assert "'a week' is not a duration" in ended.err


def test_a_port_that_is_taken_is_said(command):
    """With the options that name another; nothing is left listening."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = command(
            "sandbox",
            "--gladly-port",
            str(taken.getsockname()[1]),
            "--segment-port",
            "0",
            "--public-api-port",
            "0",
        )
    assert (ended.code, ended.out) == (1, "")
    assert "--gladly-port" in ended.err


def test_the_demo_shows_what_it_promises_and_ends(installation, tmp_path):
    """Created, closed and suppressed events, none lost, and what to try next; a second one replaces it."""
    began = time.monotonic()
    done = installation.run("demo", "--seconds", "9", "--directory", str(tmp_path / "demo"), timeout=40)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 30
    for words in (
        "Gladly Conversation Created",
        "Gladly Conversation Closed",
        "suppressed",
        "Lost: 0",
        "status",
    ):
        assert words in done.stdout
    assert installation.run("--config", str(tmp_path / "demo/config.toml"), "status").returncode == 0


def test_a_demo_of_a_second_ends_well(installation):
    """What happened in that second arrives; what it says to try next can be pasted."""
    done = installation.run("demo", "--seconds", "1", timeout=40)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Lost: 0." in done.stdout
    pasted = next(line.strip() for line in done.stdout.splitlines() if line.endswith(" status"))
    shell = subprocess.run(["sh", "-c", pasted], cwd=installation.directory, capture_output=True, text=True)
    assert shell.stdout.startswith("state file     demo/gladly-segment.db")


def test_ctrl_c_ends_a_demo_well(installation):
    """At any time: exit 0, and what was stored and not sent is no loss."""
    with dialogue("demo", directory=installation.directory, environment=installation.environment) as talk:
        talk.hear("Gladly Conversation Created", within_s=30)
        talk.interrupt()
        assert talk.end() == 0
    assert "Stopped early. Events that are stored and were not sent yet: " in talk.said
    assert "Lost" not in talk.said
    assert "error" not in talk.said
