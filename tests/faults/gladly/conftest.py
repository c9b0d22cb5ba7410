"""A proxy in front of Gladly, and a world that has lasted for longer than the feed reaches back."""

import pytest

from sandbox import Sandbox
from support.installation import Installation
from support.program import Program
from support.proxy import Proxy
from support.worlds import NOON


@pytest.fixture
def proxy(sandbox):
    """A proxy in front of Gladly."""
    with Proxy(sandbox.gladly_url) as running:
        yield running


@pytest.fixture
def old_world(tmp_path):
    """The program has run once in this world. The world's clock stands still unless a test moves it."""
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        # What each test shows is the poll's own work.
        alone = {"GLADLY_SEGMENT_SYNC__RECONCILE": "off", "GLADLY_SEGMENT_SYNC__AUDIT": "off"}
        installation = Installation(tmp_path, sandbox, alone)
        assert installation.run("once").returncode == 0
        yield installation


@pytest.fixture
def old_sandbox():
    """A world whose clock stands still unless a test moves it."""
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        yield sandbox


@pytest.fixture
def old_program(old_sandbox, tmp_path, monkeypatch, tuned, impatient):
    """The sync in this process, which has run once in this world."""
    settings = {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"}
    program = Program(Installation(tmp_path, old_sandbox, settings), monkeypatch, tuned.values)
    assert program.run().errors == []
    yield program
    program.close()


@pytest.fixture
def old_program_by(old_sandbox, tmp_path, monkeypatch, tuned, impatient):
    """Such a sync, and a proxy between it and Gladly."""
    with Proxy(old_sandbox.gladly_url) as proxy:
        settings = {"GLADLY_SEGMENT_SYNC__RECONCILE": "off", "GLADLY_SEGMENT_GLADLY__BASE_URL": proxy.url}
        program = Program(Installation(tmp_path, old_sandbox, settings), monkeypatch, tuned.values)
        assert program.run().errors == []
        yield program, proxy
        program.close()
