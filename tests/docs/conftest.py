"""One scene for all documents: played once, copied for each."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from support.scene import Scene


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A world that lives on, and a state file that has seen it."""
    with Sandbox(
        seed=7, tempo=10, lateness_s=1, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        played = Scene(sandbox, tmp_path_factory.mktemp("scene"))
        played.play()
        played.write_what_gladly_sent(played.directory / "gladly.csv")
        # Another write key is another source.
        sandbox.segment.wrong_keys = "taken"
        yield played


@pytest.fixture
def prepared(scene: Scene, tmp_path: Path) -> Callable[[], Path]:
    """A directory as after some days: config.toml, state file, and what Gladly's integration sent."""
    numbers = itertools.count(1)

    def prepare() -> Path:
        directory = tmp_path / str(next(numbers))
        scene.copy_to(directory)
        return directory

    return prepare
