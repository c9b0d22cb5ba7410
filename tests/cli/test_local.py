"""`sandbox`, `demo`: what needs no account."""

import re
import signal
import socket
import subprocess
import sys
import time

import pytest

FREE = ["--gladly-port", "0", "--segment-port", "0", "--public-api-port", "0"]


@pytest.fixture
def serving(bare):
    """The sandbox running, and what it says."""
    process = subprocess.Popen(
        [sys.executable, "-m", "sync", "sandbox", *FREE],
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
