"""Setting up and looking around: `init`, `completion`, `explain`, `inspect`, `demo`."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
import urllib.request

import pytest

from sync.settings.loading import load

ASKED = (
    "--organization",
    "https://acme.us-1.gladly.com/",
    "--username",
    "sync@example.com",
    "--region",
    "eu",
)


def test_init_writes_a_config_that_is_valid_and_commented(installation, tmp_path, monkeypatch):
    """The example with the answers in it; the secrets are not asked for."""
    done = installation.run("init", *ASKED)
    assert done.returncode == 0
    text = (tmp_path / "config.toml").read_text()
    assert "# " in text
    monkeypatch.setenv("GLADLY_API_TOKEN", "t")
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "k")
    settings = load(str(tmp_path / "config.toml")).settings
    assert (settings.gladly.url, settings.segment.region) == ("https://acme.us-1.gladly.com", "eu")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param((), "--organization", id="nobody to ask"),
        pytest.param((*ASKED[:3], "nobody", *ASKED[4:]), "not an e-mail", id="a user name that is none"),
        pytest.param((ASKED[0], "not one", *ASKED[2:]), "is not an organization", id="no organization"),
    ],
)
def test_init_writes_nothing_from_answers_that_cannot_be_right(installation, tmp_path, arguments, says):
    """It says so, with exit 2."""
    done = installation.run("init", *arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert not (tmp_path / "config.toml").exists()


def test_init_replaces_a_file_only_when_told(installation, tmp_path):
    """What a person wrote stays."""
    (tmp_path / "config.toml").write_text("# mine\n")
    refused = installation.run("init", *ASKED)
    assert (refused.returncode, (tmp_path / "config.toml").read_text()) == (2, "# mine\n")
    assert installation.run("init", "--force", *ASKED).returncode == 0
    assert "acme.us-1" in (tmp_path / "config.toml").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete(installation, shell):
    """The script names the program."""
    done = installation.run("completion", shell)
    assert done.returncode == 0
    assert "gladly-segment" in done.stdout


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
    """Exit 1, also before there is a state file."""
    for _ in range(2):
        done = installation.run("explain", "nobody-knows")
        assert done.returncode == 1
        assert "resync" in done.stderr
        installation.run("once")


def test_a_resync_shows_a_bar_on_a_terminal(installation, ago):
    """And a sentence at its end."""
    world = installation.sandbox.world
    world.open_conversation(world.add_customer("Ana"), at=ago(300))
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "sync", "resync", "--since", "10m"],
        cwd=installation.directory,
        env=installation.environment | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=theirs,
        timeout=30,
    )
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "1 created and 0 closed" in done.stdout.decode()
    assert "events" in shown


def test_inspect_serves_the_state_file_until_it_is_stopped(installation):
    """On loopback, read-only; SIGTERM ends it with 0."""
    installation.run("once")
    process = installation.start("inspect", "--no-open", "--port", "0")
    url = process.stdout.readline().split()[0]
    with urllib.request.urlopen(url + "overview", timeout=20) as page:
        assert b"Watermark" in page.read()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=15)
    assert process.returncode == 0


def test_inspect_on_a_port_that_is_taken_says_so(installation):
    """Exit 2, with the way out."""
    taken = installation.sandbox.gladly_url.rsplit(":", 1)[1]
    done = installation.run("inspect", "--no-open", "--port", taken)
    assert done.returncode == 2
    assert "--port" in done.stderr


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
