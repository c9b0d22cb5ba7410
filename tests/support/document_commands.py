"""How the documents' commands are run: what stands for what, what lasts, and what is not run at all."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from support.documents import ROOT, Command
from support.scene import Scene
from support.terminal import terminal

# The day on which the documents' output was made: in a command it becomes yesterday, days before it likewise.
WRITTEN_ON = date(2026, 11, 25)

_DATE = re.compile(r"\b20\d\d-\d\d-\d\d")

# A value of the state file for each placeholder.
_FROM_THE_STATE_FILE = {
    "CONVERSATION_ID": "SELECT conversation_id FROM events WHERE transition = 'closed'"
    " GROUP BY conversation_id HAVING count(*) > 1 ORDER BY min(occurred_at)",
    "MESSAGE_ID": "SELECT message_id FROM events WHERE status = 'rejected'",
    "CUSTOMER_ID": "SELECT customer_id FROM events WHERE transition = 'closed'"
    " GROUP BY conversation_id HAVING count(*) > 1 ORDER BY min(occurred_at)",
    "DELETED_ID": "SELECT id FROM customers WHERE deleted_at IS NOT NULL",
    "QUARANTINE_ID": "SELECT id FROM quarantine WHERE source = 'events'",
}

_OTHERS = {
    "GLADLY_API_TOKEN=…": "GLADLY_API_TOKEN=sandbox-token",
    "SEGMENT_WRITE_KEY=…": "SEGMENT_WRITE_KEY=another-key",
    "--since INSTANT": "--since 36h",
    "--to INSTANT": "--to 36h",
    "--max-lag DURATION": "--max-lag 1h",
    # Hours in which both sides have the same.
    "compare FILE": "compare gladly.csv --since 36h --until 12h",
}

# On a server a command stands behind what makes it that user's, or the container's; here, without.
_BEFORE_IT = re.compile(
    r"^(?:sudo -u gladly-segment |sudo podman exec gladly-segment |kubectl exec \S+ -- )(?=gladly-segment )"
)
_CONFIG = "/etc/gladly-segment/config.toml"


class NotRun(NamedTuple):
    """What cannot be run in a test, why, and what validates it instead."""

    pattern: str
    why: str
    instead: str


NOT_RUN = [
    NotRun(r"(?:.* \| )?sudo ", "changes the machine: users, /etc, services", "tests/deploy, and its files"),
    NotRun(r"ssh ", "needs a second machine", "tests/inspector/test_access.py"),
    NotRun(r"kubectl ", "needs a cluster", "tests/deploy"),
    NotRun(r"gladly-segment demo$", "takes half a minute", "tests/cli/test_local.py"),
    NotRun(r"gladly-segment init$", "asks a person for three things", "tests/cli/test_setting_up.py"),
]


class Lasting(NamedTuple):
    """
    What runs until it is told to end.

    Attributes:
        says: How it shows that it works.
        options: What lets it run beside others of its kind.
    """

    pattern: str
    says: str
    options: str = ""


LASTING = [
    Lasting(r"gladly-segment (\S+ )*run$", r'"event": "cycle.finished"'),
    Lasting(r"gladly-segment .*--follow", "Gladly Conversation"),
    Lasting(r"gladly-segment inspect\b", "Ctrl-C ends it", "--no-open --port 0"),
    Lasting(
        r"gladly-segment sandbox\b", "Ctrl-C ends it", "--gladly-port 0 --segment-port 0 --public-api-port 0"
    ),
    Lasting(r"datasette ", "Uvicorn running", "--port 0"),
]

# What asks a person, and what the person says.
ANSWERS = {r"gladly-segment watermark reset --to \S+$": b"y\n"}

# Not on every machine.
TOOLS = ("sqlite3", "jq")


def not_run(text: str) -> NotRun | None:
    """Why a command is not run, if it is not."""
    return next((entry for entry in NOT_RUN if re.match(entry.pattern, text)), None)


def as_run_here(text: str, state: Path) -> str:
    """The command with a value for every placeholder, and its dates as long ago as they were."""
    text = _BEFORE_IT.sub("", text)
    if not_run(text):
        return text
    text = text.replace(_CONFIG, "config.toml")
    for placeholder, value in _OTHERS.items():
        text = text.replace(placeholder, value)
    with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as db:
        for placeholder, question in _FROM_THE_STATE_FILE.items():
            if placeholder in text:
                row = db.execute(question).fetchone()
                assert row, f"the scene has no {placeholder}"
                text = text.replace(placeholder, row[0])
    db.close()
    shift = datetime.now(UTC).date() - timedelta(days=1) - WRITTEN_ON
    text = _DATE.sub(lambda found: (date.fromisoformat(found[0]) + shift).isoformat(), text)
    assert "…" not in text, f"nothing is known to stand for the … in: {text}"
    return text


def lacks(text: str) -> str | None:
    """The tool that a command needs and this machine does not have."""
    return next((tool for tool in TOOLS if re.search(rf"\b{tool}\b", text) and not shutil.which(tool)), None)


@dataclass
class Ended:
    """How a command ended, and what it said."""

    code: int
    said: str


def run(text: str, scene: Scene, directory: Path) -> Ended:
    """Run a command in a shell; one that lasts, until it has shown that it works."""
    lasting = next((entry for entry in LASTING if re.match(entry.pattern, text)), None)
    if lasting is not None:
        return _watch(text, lasting, scene, directory)
    answer = next((said for pattern, said in ANSWERS.items() if re.match(pattern, text)), None)
    with nullcontext() if answer is None else terminal(answer) as at:
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=directory,
            env=scene.environment,
            stdin=subprocess.DEVNULL if at is None else at.program,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
        )
    return Ended(done.returncode, done.stdout)


def _watch(text: str, lasting: Lasting, scene: Scene, directory: Path) -> Ended:
    process = subprocess.Popen(
        ["bash", "-c", f"exec {text} {lasting.options}"],
        cwd=directory,
        env=scene.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    overdue = threading.Timer(30, process.kill)
    overdue.start()
    said = ""
    try:
        assert process.stdout is not None
        while not re.search(lasting.says, said):
            line = process.stdout.readline()
            if not line:
                break
            said += line
        time.sleep(0.05)
        # The one and the other way to end it, by turns.
        process.send_signal(signal.SIGINT if len(text) % 2 else signal.SIGTERM)
        rest, _ = process.communicate(timeout=15)
    finally:
        overdue.cancel()
        process.kill()
        process.wait()
    works = re.search(lasting.says, said)
    ended_in_peace = process.returncode == 0 or not text.startswith("gladly-segment ")
    return Ended(0 if works and ended_in_peace else process.returncode or 1, said + rest)


def dry_make(text: str) -> Ended:
    """A make target is looked for, and what it would do is worked out; nothing is done."""
    words = text.split("#", maxsplit=1)[0].split()
    done = subprocess.run(
        [words[0], "-n", *words[1:]],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")},
        capture_output=True,
        text=True,
        timeout=30,
    )
    return Ended(done.returncode, done.stdout + done.stderr)


def missing_files(text: str) -> list[str]:
    """The files of the project that a command names and that are not there."""
    named = re.findall(r"(?<![\w/])(?:deploy|requirements)/[\w./-]+", text)
    return [name for name in named if not (ROOT / name).exists()]


# What differs from run to run in what is shown: instants, durations, ids, numbers, addresses, widths.
_VARIES = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+Z?)?|[0-9a-f]{8}-[0-9a-f-]{27}"
    r"|(?<![\w-])(?:[\w-]{22}|[0-9a-f]{24})(?![\w-])"
    r"|https?://\S+|\d[\d,.]*(?:d|h|m|s|%)?(?: \d+(?:h|m|s))?|[─-]{3,}|\s+"
)


def differences(command: Command, said: str) -> list[str]:
    """The lines that the page shows and that no line of what was said is like."""
    heard = [_skeleton(line) for line in said.splitlines()]
    return [line for line in command.output if line.strip() not in ("", "…") and _skeleton(line) not in heard]


def _skeleton(line: str) -> str:
    return re.sub("~+", "~", _VARIES.sub("~", line.strip()))
