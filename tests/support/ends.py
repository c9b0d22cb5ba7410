"""Both ends of an organization, in the sandbox, with clients that make every request once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox import Sandbox
from sync.gladly.client import GladlyClient
from sync.http.retry import RetryPolicy
from sync.pipeline.ends import Ends
from sync.segment.client import SegmentClient
from sync.stop import Stop


@contextmanager
def ends_of(sandbox: Sandbox, **options: Any) -> Iterator[Ends]:
    """Make both ends for the time of a block. Options are those of `Ends`."""
    stop, once = Stop(), RetryPolicy(max_attempts=1)
    gladly = GladlyClient(
        sandbox.gladly_url,
        sandbox.gladly.username,
        sandbox.gladly.api_token,
        requests_per_second=10_000,
        stop=stop,
        retry=once,
    )
    segment = SegmentClient(sandbox.segment_url, sandbox.segment.write_key, stop=stop, retry=once)
    ends = Ends(gladly, segment, **options)
    try:
        yield ends
    finally:
        ends.close()
