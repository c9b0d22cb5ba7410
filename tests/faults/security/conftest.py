"""An installation whose secrets are easy to find wherever they come out."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Sandbox
from support.canaries import TOKEN, WRITE_KEY
from support.installation import Installation


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Installation]:
    """The installation has canaries for secrets, and logs at level debug."""
    with Sandbox(lateness_s=0, requests_per_second=None, api_token=TOKEN, write_key=WRITE_KEY) as sandbox:
        yield Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m", "GLADLY_SEGMENT_LOG__LEVEL": "debug"}
        )
