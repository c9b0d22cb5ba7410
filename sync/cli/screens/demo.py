"""
The demo: the real daemon against the sandbox, and its events as they arrive.

The demo starts the daemon as anyone would: as a process with a config.toml, and with the two secrets in its
environment. Only the addresses differ.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click

from sandbox import Sandbox
from state.errors import StateFileError
from state.instants import to_text, utc_now
from state.reader import Reader
from sync.cli.screens.layout import pasteable
from sync.errors import GladlySegmentError
from sync.settings.secrets import GLADLY_TOKEN_VARIABLE, SEGMENT_KEY_VARIABLE
from sync.stop import Stop, stop_on_signals

_CONFIG = """\
# Written by `gladly-segment demo`, with the addresses of its sandbox and a short interval.
[gladly]
base_url = "{gladly}"
username = "{username}"

[segment]
base_url = "{segment}"

[sync]
every = "1s"
start = "1m"

[state]
path = "gladly-segment.db"

[log]
format = "console"
"""

# The world opens with a scene in which everything happens once. At tempo 1 the scene takes about 300 s.
_OPENING_S = 300.0

# A shorter demo shows the beginning of the scene only.
_SHORTEST_OPENING_S = 15.0

# Gladly shows its changes up to 15 s late. The demo is short, so its sandbox shows them 1 s late.
_LATENESS_S = 1.0

# How many seconds the demo waits for the last events to arrive. A close that is reopened at once waits for
# changes that become visible up to 15 s late (semantics 2.6).
_ARRIVES_WITHIN_S = 40.0


class DemoFailedError(GladlySegmentError):
    """The demo did not deliver what it promises."""


def run_demo(seconds: float, directory: Path) -> None:
    """
    Run the daemon against a sandbox in which much happens, and print the events as they arrive.

    Args:
        seconds: How long the demo shows events.
        directory: Where config.toml, the state file and the daemon's log go. They replace those of an earlier
            demo.

    Raises:
        DemoFailedError: The daemon ended early, or Segment did not receive exactly what happened.

    Ctrl-C ends the demo early, with what arrived until then.
    """
    stop = Stop()
    stop_on_signals(stop)
    directory.mkdir(parents=True, exist_ok=True)
    state = directory / "gladly-segment.db"
    for old in directory.glob("gladly-segment.db*"):
        old.unlink()
    tempo = _OPENING_S / max(_SHORTEST_OPENING_S, 0.5 * seconds)
    with Sandbox(seed=7, tempo=tempo, lateness_s=_LATENESS_S) as sandbox:
        config = directory / "config.toml"
        config.write_text(
            _CONFIG.format(
                gladly=sandbox.gladly_url, segment=sandbox.segment_url, username=sandbox.gladly.username
            )
        )
        log = directory / "daemon.log"
        click.echo(
            f"A local Gladly at {sandbox.gladly_url} and a local Segment at {sandbox.segment_url}, for "
            f"{seconds:.0f} seconds.\nThe daemon polls every second; its log is {log}.\n"
        )
        click.secho(f"{'recorded at':<12}  {'event':<27}  {'conversation':<22}  what became of it", bold=True)
        with log.open("w") as log_file:
            daemon = _start_daemon(config, sandbox, log_file)
            try:
                screen = _Screen(state)
                _show_events(screen, daemon, stop, seconds)
                happened = _visible(sandbox)
                _show_the_last(screen, daemon, stop, happened)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would leave the daemon behind
                daemon.send_signal(signal.SIGTERM)
                code = daemon.wait(timeout=15)
        # A signal that comes before the daemon listens for it ends the process by itself.
        if code and not (stop.is_set() and code == -signal.SIGTERM):
            raise DemoFailedError(f"The daemon ended with exit code {code}; its log is {log}.")
        _show_summary(happened, sandbox, directory, state, is_whole=not stop.is_set())


def _start_daemon(config: Path, sandbox: Sandbox, log: Any) -> "subprocess.Popen[bytes]":
    secrets = {
        GLADLY_TOKEN_VARIABLE: sandbox.gladly.api_token,
        SEGMENT_KEY_VARIABLE: sandbox.segment.write_key,
    }
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GLADLY_SEGMENT_")
    }
    # S603: our own interpreter, our own module.
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "sync", "--config", str(config), "run"],
        env=environment | secrets,
        stdout=log,
        stderr=log,
        process_group=0,  # Ctrl-C is for the demo, which then ends the daemon
    )


class _Screen:
    """The events that were printed, each once, when it is neither recorded nor pending any more."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._shown: set[str] = set()
        self._closes: Counter[str] = Counter()

    def show_new(self) -> list[dict[str, Any]]:
        """Print the events that are new. Return all that are stored."""
        try:
            with Reader(self._state) as reader:
                stored = reader.events(limit=1_000_000)
        except StateFileError:
            return []  # the daemon has not created the file yet
        for event in reversed(stored):
            if event["status"] in ("recorded", "pending") or event["message_id"] in self._shown:
                continue
            self._shown.add(event["message_id"])
            note = _outcome(event)
            if event["transition"] == "closed":
                self._closes[event["conversation_id"]] += 1
                if self._closes[event["conversation_id"]] > 1:
                    note += " (closed again, after a reopening)"
            click.echo(
                f"{event['occurred_at'][11:23]}  {event['event']:<27}  {event['conversation_id']:<22}  {note}"
            )
        return stored


def _show_events(screen: _Screen, daemon: "subprocess.Popen[bytes]", stop: Stop, seconds: float) -> None:
    """Print the events as they arrive, for *seconds* seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and daemon.poll() is None and not stop.wait(0.2):
        screen.show_new()


def _outcome(event: dict[str, Any]) -> str:
    color = {"delivered": "green", "suppressed": "blue"}.get(event["status"], "red")
    reason = f": {event['reason']}" if event["reason"] else ""
    return click.style(event["status"], fg=color) + reason


def _visible(sandbox: Sandbox) -> list[Any]:
    """Return the transitions that the feed shows by now. Each of them must arrive."""
    now = utc_now()
    return [t for t in sandbox.world.truth() if t.kind != "reopened" and t.visible_at < now]


def _show_the_last(
    screen: _Screen, daemon: "subprocess.Popen[bytes]", stop: Stop, happened: list[Any]
) -> None:
    """Go on until everything that happened has arrived. At 7 requests a second, this may take seconds."""
    until = time.monotonic() + _ARRIVES_WITHIN_S
    while time.monotonic() < until and daemon.poll() is None and not stop.is_set():
        if not _missing(screen.show_new(), happened):
            return
        stop.wait(0.2)


def _missing(stored: list[dict[str, Any]], happened: list[Any]) -> list[Any]:
    """Return the transitions whose events are missing or pending."""
    finished = {
        (e["conversation_id"], e["transition"], e["occurred_at"])
        for e in stored
        if e["status"] not in ("recorded", "pending")
    }
    return [t for t in happened if (t.conversation_id, t.kind, to_text(t.recorded_at)) not in finished]


def _show_summary(
    happened: list[Any], sandbox: Sandbox, directory: Path, state: Path, *, is_whole: bool
) -> None:
    """
    Compare what arrived with what happened, and print the result and what to try next.

    Args:
        happened: What Gladly had shown when the demo's time was over.
        sandbox: What Segment received.
        directory: The directory of the demo.
        state: The state file.
        is_whole: Whether the demo ran to its end. One that was stopped may have left events unsent.

    Raises:
        DemoFailedError: The two differ.
    """
    stored: list[dict[str, Any]] = []
    if state.exists():
        with Reader(state) as reader:
            stored = reader.events(limit=1_000_000)
    missing = _missing(stored, happened)
    received = [event["messageId"] for event in sandbox.inbox.received]
    counts = Counter(event["status"] for event in stored)
    delivered = {e["message_id"] for e in stored if e["status"] == "delivered"}
    is_right = len(received) == len(set(received)) and delivered <= set(received)
    twice = len(received) - len(set(received))
    click.echo(
        f"\nConversations created or closed: {len(stored)}. Track events at Segment: {len(received)}, "
        f"{twice or 'none'} twice.\nNot sent, because the customer was deleted: {counts['suppressed']}."
        + (f" Lost: {len(missing)}." if is_whole else "")
    )
    if not is_whole:
        unsent = counts["recorded"] + counts["pending"]
        click.echo(f"Stopped early. Events that are stored and were not sent yet: {unsent}.")
    if stored:
        _show_what_to_try(directory, state)
    if is_whole and (missing or not is_right):
        raise DemoFailedError(
            f"Segment did not receive exactly what happened in Gladly. Missing transitions: {len(missing)}."
        )


def _show_what_to_try(directory: Path, state: Path) -> None:
    config = ("--config", str(directory / "config.toml"))
    commands = [
        pasteable(*config, "status"),
        pasteable(*config, "events", "--limit", "3"),
        pasteable(*config, "inspect"),
    ]
    if shutil.which("sqlite3"):
        commands.append(f'sqlite3 {shlex.quote(str(state))} "SELECT * FROM daily_counts"')
    listed = "".join(f"  {each}\n" for each in commands)
    click.echo(
        f"\nThe state file is {state}. Try next:\n{listed}With an account, set it up with:\n"
        f"  {pasteable('--config', str(Path('~/gladly-segment/config.toml').expanduser()), 'init')}"
    )
