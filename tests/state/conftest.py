"""A state file of its own for each test, and a store on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a state file may be; there is none yet."""
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    """A new, empty store."""
    with Store(path) as opened:
        yield opened
