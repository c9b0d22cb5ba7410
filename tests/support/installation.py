"""The program, set up against a sandbox and run as a process."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import Sandbox
from state.reader import Reader


@dataclass
class Installation:
    """The program, set up against a sandbox in a directory of its own, and run as a process."""

    directory: Path
    sandbox: Sandbox
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def state_path(self) -> Path:
        """Return where the state file is."""
        return self.directory / "gladly-segment.db"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that the program runs with."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GLADLY_")},
            "GLADLY_SEGMENT_GLADLY__BASE_URL": self.sandbox.gladly_url,
            "GLADLY_SEGMENT_GLADLY__USERNAME": self.sandbox.gladly.username,
            "GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND": "500",
            "GLADLY_SEGMENT_SEGMENT__BASE_URL": self.sandbox.segment_url,
            "GLADLY_API_TOKEN": self.sandbox.gladly.api_token,
            "SEGMENT_WRITE_KEY": self.sandbox.segment.write_key,
            **self.settings,
        }

    def start(self, *arguments: str, program: Sequence[str] = ("-m", "sync")) -> "subprocess.Popen[str]":
        """Start a command. The caller has to end it."""
        return subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout: float = 60) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def events(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the events in the state file, oldest first."""
        with Reader(self.state_path) as reader:
            return reader.events(limit=1_000_000, **filters)[::-1]
