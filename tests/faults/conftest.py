"""
What the fault tests share: a world in which only the test makes things happen, and the sync in this process.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from support.installation import Installation
from support.program import Program
from support.tuning import Tuned

RUN_PROCESSES = {"state_file", "process", "security"}


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """
    Nothing happens in this world by itself, and changes show at once. Its clock moves when a test moves it.
    In the folders whose tests run processes, its clock runs as theirs does.
    """
    pace = 1 if request.path.parent.name in RUN_PROCESSES else 0
    with Sandbox(pace=pace, lateness_s=0, requests_per_second=None) as running:
        yield running


@pytest.fixture
def tuned() -> Tuned:
    """
    Return a function that changes numbers behind the settings before the sync begins:
    `tuned(retry={"max_attempts": 1})`.
    """
    return Tuned()


@pytest.fixture
def begin(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tuned: Tuned
) -> Iterator[Callable[..., Program]]:
    """
    Return a function that starts the sync in this process, with its first watermark ten minutes back:
    `begin()`, `begin(gladly=url)`, `begin(segment=url)`. Further settings are named by their variables,
    without the prefix.
    """
    started: list[Program] = []

    def start(*, gladly: str | None = None, segment: str | None = None, **settings: Any) -> Program:
        variables = {"SYNC__START": "10m", **settings}
        if gladly is not None:
            variables["GLADLY__BASE_URL"] = gladly
        if segment is not None:
            variables["SEGMENT__BASE_URL"] = segment
        named = {f"GLADLY_SEGMENT_{name}": value for name, value in variables.items()}
        started.append(Program(Installation(tmp_path, sandbox, named), monkeypatch, tuned.values))
        return started[-1]

    yield start
    for program in started:
        program.close()


@pytest.fixture
def impatient(tuned: Tuned) -> None:
    """Shorten the wait between two attempts to next to nothing. The number of attempts stays as it is."""
    tuned(retry={"first_backoff_s": 0.01, "longest_backoff_s": 0.01})
