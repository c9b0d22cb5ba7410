"""A daemon that runs as a process and is watched from outside, and what its metrics say."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests
from prometheus_client.parser import text_string_to_metric_families

from support.installation import Installation
from support.waiting import wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"

# Runs the program with one limit shortened, since a test cannot wait for a quarter of an hour.
IMPATIENT = (
    "from sync.cli.main import main; from sync.runtime.build import Tuning;"
    "main(tuning=Tuning(hung_after_s=1.0))"
)

# The same, with a scheduler whose thread has died.
UNSCHEDULED = (
    "from apscheduler.schedulers.background import BackgroundScheduler;"
    "BackgroundScheduler._main_loop = lambda self: None;" + IMPATIENT
)


# The same, with parts beside the cycle that fail.
BROKEN_PARTS = (
    "from sync.runtime.schedule import Schedule; from sync.telemetry.heartbeat import Heartbeat;"
    "from sync.telemetry.systemd import Notifier;"
    "Schedule.follow_the_clock = Heartbeat.beat = Notifier.status = lambda *_: 1 / 0;" + IMPATIENT
)


class Daemon:
    """A running daemon. What it writes goes to files, so that it never waits for a reader."""

    def __init__(
        self,
        installation: Installation,
        *,
        program: tuple[str, ...] = ("-m", "sync"),
        options: tuple[str, ...] = (),
    ) -> None:
        self.log_path = installation.directory / "daemon.log"
        self._output_path = installation.directory / "daemon.out"
        with self.log_path.open("wb") as log, self._output_path.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *program, *options, "run"],
                cwd=installation.directory,
                env=installation.environment,
                stdout=output,
                stderr=log,
            )

    def __enter__(self) -> "Daemon":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    @property
    def output(self) -> str:
        """
        Return what it has written to standard output. That is nothing, since its log goes to standard error.
        """
        return self._output_path.read_text()

    def lines(self, event: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """Return what it has logged so far: the lines of one event and with these fields, or all lines."""
        written = self.log_path.read_text().splitlines(keepends=True)
        logged = [json.loads(line) for line in written if line.endswith("\n")]
        return [
            line
            for line in logged
            if (event is None or line["event"] == event) and fields.items() <= line.items()
        ]

    def wait_for(self, event: str, times: int = 1, timeout_s: float = 15.0, **fields: Any) -> dict[str, Any]:
        """Wait until such a line has been logged so many times, and return the last of them."""

        def look() -> list[dict[str, Any]]:
            assert self.process.poll() is None, self.log_path.read_text()
            found = self.lines(event, **fields)
            return found if len(found) >= times else []

        return wait_until(look, timeout_s)[-1]

    def scrape(self) -> "Scrape":
        """Return its metrics as they are now."""
        answer = requests.get(self.wait_for("metrics.shown")["url"], timeout=5)
        assert answer.status_code == 200
        return Scrape(answer.text)

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to end with this signal. Return its exit code, and how many seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(timeout=30)
        return code, time.monotonic() - began


class Scrape:
    """The metrics of one scrape."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = list(text_string_to_metric_families(text))
        self.samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float | None:
        """Return one value, or None where there is none. The names here lack `gladly_segment_`."""
        return self.samples.get((f"gladly_segment_{name}", frozenset(labels.items())))

    @property
    def names(self) -> set[str]:
        """Return the names of the samples, as queries name them."""
        return {name for name, _ in self.samples}


def watched(installation: Installation, **settings: str) -> Installation:
    """
    Return the same installation with its metrics on a free port, and with more settings by section and key.
    """
    installation.settings["GLADLY_SEGMENT_METRICS__LISTEN"] = ":0"
    installation.settings |= {f"GLADLY_SEGMENT_{name}": value for name, value in settings.items()}
    return installation


def metric_names(expression: str) -> set[str]:
    """Return the project's metrics that a PromQL expression names."""
    return set(re.findall(r"\bgladly_segment_\w+", expression))
