"""The sync runs in the test's process, a cycle at a time."""

import os
from datetime import datetime, timedelta
from typing import Any

import pytest

from state.instants import from_text
from state.reader import Reader
from state.store import Store
from support.installation import Installation
from sync.reports import CycleReport
from sync.runtime.build import DEFAULT_TUNING, Tuning, build_pipeline
from sync.settings.loading import load
from sync.stop import Stop

OVERLAP = timedelta(seconds=60)


class Program:
    """The sync in this process, with real HTTP and a real state file, a cycle at a time."""

    def __init__(
        self, installation: Installation, monkeypatch: pytest.MonkeyPatch, tuning: Tuning = DEFAULT_TUNING
    ) -> None:
        for name in [name for name in os.environ if name.startswith("GLADLY_")]:
            monkeypatch.delenv(name)
        for name, value in installation.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(installation.directory)
        self.sandbox = installation.sandbox
        self.path = installation.state_path
        self._config = load(None)
        self._tuning = tuning
        self._begin()

    def _begin(self) -> None:
        self.store = Store(self.path)
        self._is_open = True
        self.stop = Stop()
        self.pipeline = build_pipeline(self._config, self.store, self.stop, tuning=self._tuning)

    def close(self) -> None:
        """Close the state file and both ends' connections."""
        if self._is_open:
            self._is_open = False
            self.pipeline.close()
            self.store.close()

    def lose_the_state_file(self) -> None:
        """Close everything, and delete the state file and the files beside it."""
        self.close()
        for file in self.path.parent.glob(f"{self.path.name}*"):
            file.unlink()

    def restart(self) -> None:
        """Close everything, and open it again on the same state file, as a new process would."""
        self.close()
        self._begin()

    def run(self) -> CycleReport:
        """Run one cycle, and tidy up after it, as a process does."""
        report = self.pipeline.cycle.run()
        self.pipeline.cycle.tidy()
        return report

    @property
    def watermark(self) -> datetime:
        """Return the watermark, which must be there."""
        position = self.store.watermark()
        assert position is not None
        return position

    def events(self, **filters: Any) -> list[dict[str, Any]]:
        """Return the events in the state file, oldest first."""
        with Reader(self.path) as reader:
            return reader.events(limit=1_000_000, **filters)[::-1]

    def statuses(self) -> set[str]:
        """Return the statuses that events in the state file have."""
        return {event["status"] for event in self.events()}


def newest_stored(program):
    """Return the instant of the newest transition in the state file."""
    return max(from_text(event["occurred_at"]) for event in program.events())
