"""
What the fault tests share: a world in which only the test makes things happen, and the sync in this process.
"""

from collections.abc import Iterator

import pytest

from sandbox import Sandbox

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
