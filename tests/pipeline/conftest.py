"""The rooms of the pipeline, put together by hand on a real state file and against the sandbox."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox import Sandbox
from state.store import Store
from support.ends import ends_of
from support.program import OVERLAP
from support.proxy import Proxy
from sync.events.message_id import Origin, fingerprint
from sync.events.options import AS_GLADLY, EventOptions
from sync.gladly.feed import ChangeFeed
from sync.gladly.objects.lookups import Lookups
from sync.pipeline.delivery import Deliverer
from sync.pipeline.ends import Ends
from sync.pipeline.look_up.stage import LookUpStage
from sync.pipeline.look_up.timing import LookUpTiming
from sync.pipeline.poll import Poller
from sync.pipeline.record import RecordStage
from sync.reports import CycleObserver
from sync.segment.limits import SegmentLimits


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A world whose clock moves when a test moves it. Nothing happens by itself; changes show at once."""
    with Sandbox(pace=0, lateness_s=0, requests_per_second=None) as running:
        yield running


@pytest.fixture
def proxy(sandbox: Sandbox) -> Iterator[Proxy]:
    """A proxy in front of Segment."""
    with Proxy(sandbox.segment_url) as running:
        yield running


# A 404 is believed as soon as it is answered twice, and no pass lingers.
AT_ONCE = LookUpTiming(not_found_again_s=0.0, linger_s=0.0)


class Parts(NamedTuple):
    """The parts of a pipeline. Their attributes are what `build_pipeline` puts together."""

    store: Store
    ends: Ends
    feed: ChangeFeed
    lookups: Lookups
    record: RecordStage
    look_up: LookUpStage
    deliverer: Deliverer
    poller: Poller


@pytest.fixture
def parts_of(tmp_path: Path, sandbox: Sandbox) -> Iterator[Callable[..., Parts]]:
    """
    Return a function that makes the parts on one state file, with their first watermark ten minutes back:
    `parts_of()`, `parts_of(start="now")`.
    """
    with ExitStack() as stack:
        store = stack.enter_context(Store(tmp_path / "gladly-segment.db"))

        def make(
            options: EventOptions = AS_GLADLY,
            segment_limits: SegmentLimits = SegmentLimits(),
            observer: CycleObserver | None = None,
            look_up_timing: LookUpTiming = AT_ONCE,
            **of_the_poller: Any,
        ) -> Parts:
            ends = stack.enter_context(ends_of(sandbox))
            feed, lookups = ChangeFeed(ends.gladly, OVERLAP), Lookups(ends.gladly)
            stack.callback(lookups.close)
            origin = Origin(fingerprint(sandbox.segment.write_key), ends.gladly.host.address)
            record = RecordStage(options, store, lookups, origin)
            look_up = LookUpStage(options, store, lookups, segment_limits, ends.gladly.stop, look_up_timing)
            deliverer = Deliverer(store, ends.segment, ends.segment_health, observer or CycleObserver())
            stack.callback(deliverer.close)
            poller = Poller(
                gladly=ends.gladly,
                feed=feed,
                record=record,
                store=store,
                **{"start": "10m", **of_the_poller},
            )
            return Parts(store, ends, feed, lookups, record, look_up, deliverer, poller)

        yield make


@pytest.fixture
def parts(parts_of: Callable[..., Parts]) -> Parts:
    """The parts as they usually are."""
    return parts_of()
