"""A proxy in front of Segment."""

import pytest

from support.proxy import Proxy


@pytest.fixture
def proxy(sandbox):
    """A proxy in front of Segment."""
    with Proxy(sandbox.segment_url) as running:
        yield running
