"""A state file with something of everything, and an inspector over it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.application import Inspector
from support.inspector_samples import Browser, fill


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A filled state file, for all tests; none changes it."""
    path = tmp_path_factory.mktemp("inspector") / "gladly-segment.db"
    fill(path)
    return path


@pytest.fixture(scope="session")
def reader(sample: Path) -> Iterator[Browser]:
    """Asks for pages of an inspector over *sample*."""
    inspector = Inspector(sample)
    yield Browser(inspector)
    inspector.close()


@pytest.fixture
def state_path(tmp_path: Path) -> Path:
    """Where the state file is, or will be."""
    return tmp_path / "gladly-segment.db"


@pytest.fixture
def browser(state_path: Path) -> Iterator[Browser]:
    """Asks for pages of an inspector over *state_path*, filled or not."""
    inspector = Inspector(state_path)
    yield Browser(inspector)
    inspector.close()


@pytest.fixture
def filled(state_path: Path, sample: Path) -> Path:
    """A state file of the test's own, filled."""
    return Path(shutil.copy(sample, state_path))
