"""A proxy in front of Gladly, and a world that the report knows more of than the feed."""

import pytest

from sandbox import Sandbox
from support.installation import Installation
from support.proxy import Proxy
from support.worlds import NOON


@pytest.fixture
def proxy(sandbox):
    with Proxy(sandbox.gladly_url) as running:
        yield running


@pytest.fixture
def old_world(tmp_path):
    """A world whose clock stands still unless moved, with the program set up since half an hour."""
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        yield installation
