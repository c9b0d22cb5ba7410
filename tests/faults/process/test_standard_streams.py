"""Standard error cannot be written, or a stream has no such characters (faults H2.11)."""

import json
import os
import subprocess
import sys

import pytest

from support.processes import run_under
from support.worlds import history

pytestmark = pytest.mark.long

# Each command with its exit code.
COMMANDS = [
    ("check", 0),
    ("status", 0),
    ("status --max-lag 1s", 1),
    ("events", 0),
    ("once", 0),
    ("once --dry-run", 0),
    ("resync --since 1h", 0),
    ("retry --all", 0),
    ("retry nothing-like-that", 2),
    ("explain nothing-like-that", 0),
    ("watermark show", 0),
    ("nothing-like-that", 2),
    ("run --help", 0),
]


@pytest.fixture
def delivered(installation):
    """Events whose names have characters that Latin-1 does not have."""
    history(installation.sandbox)
    world = installation.sandbox.world
    world.open_conversation(world.add_customer("Żaneta 日本 🙂"), agent=world.add_agent("Łukasz 日本 🙂"))
    assert installation.run("once").returncode == 0
    return installation


@pytest.mark.parametrize("redirection", ["2> /dev/full", "2>&-"])
@pytest.mark.parametrize(("command", "code"), COMMANDS)
def test_the_exit_code_is_that_of_the_work(delivered, command, code, redirection):
    """Whatever becomes of the log and of the sentences on standard error (faults H2.11)."""
    done = run_under(delivered, ["sh", "-c", f'exec "$@" {redirection}', "sh"], *command.split())
    assert done.returncode == code
    assert done.stderr == ""


def test_a_reader_of_standard_error_that_has_gone_away_changes_no_exit_code(delivered):
    """A command writes to a pipe that nobody reads (faults H2.11)."""
    for command, code in COMMANDS:
        reads, writes = os.pipe()
        os.close(reads)
        done = subprocess.run(
            [sys.executable, "-m", "sync", *command.split()],
            cwd=delivered.directory,
            env=delivered.environment,
            stdout=subprocess.PIPE,
            stderr=writes,
        )
        os.close(writes)
        assert done.returncode == code, command


def _output(installation, command, encoding):
    """Run a command whose standard output has that encoding. Return its exit code and its output."""
    done = subprocess.run(
        [sys.executable, "-m", "sync", *command.split()],
        cwd=installation.directory,
        env=installation.environment | {"PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("encoding", ["latin-1", "iso8859-15", "cp1252"])
def test_characters_that_standard_output_does_not_have_are_replaced(delivered, encoding):
    """The command goes on. JSON lines stay whole (faults H2.11)."""
    conversation = delivered.events()[-1]["conversation_id"]
    commands = [*COMMANDS, (f"explain {conversation}", 0), ("watermark reset --to 1h --yes", 0)]
    for command, code in commands:
        assert _output(delivered, command, encoding)[0] == code, command
    shown = _output(delivered, "events", encoding)[1].decode(encoding)
    assert "\\u65e5\\u672c \\ud83d\\ude42" in shown
    assert "Łukasz 日本 🙂" in _output(delivered, "events", "utf-8")[1].decode()
    delivered.settings["GLADLY_SEGMENT_STATE__PATH"] = "another.db"
    lines = _output(delivered, "once --dry-run", encoding)[1].splitlines()
    assert "Łukasz 日本 🙂" in [json.loads(line)["properties"].get("agentName") for line in lines]


def test_a_name_of_a_file_that_is_no_text_is_shown(installation):
    """The name of a directory holds a byte that is no UTF-8."""
    installation.settings["GLADLY_SEGMENT_STATE__PATH"] = "caf\udce9.db"
    code, shown = _output(installation, "status", "utf-8")
    assert (code, b"caf\\udce9.db" in shown) == (0, True)
