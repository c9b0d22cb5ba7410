"""
Make an organization's pipeline from its settings, ready to run. No other file does this.

To learn how the parts fit together, read `build_pipeline` from top to bottom.
"""

from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

import structlog

from state.errors import StateLockedError, other_organization, other_write_key
from state.file import is_there
from state.instants import utc_now
from state.locks import MAIN, take_role
from state.store import Store
from sync.audit.audit import Audit
from sync.audit.reconcile import Reconciler
from sync.audit.silence import SilenceWatch
from sync.events.message_id import Origin, fingerprint, message_id
from sync.gladly.client import GladlyClient
from sync.gladly.feed import ChangeFeed
from sync.gladly.limits import GladlyLimits
from sync.gladly.objects.lookups import Lookups
from sync.http.addresses import is_loopback
from sync.http.retry import RetryPolicy
from sync.pipeline.cycle import Cycle, CycleTiming
from sync.pipeline.delivery import Deliverer, DeliveryTiming
from sync.pipeline.ends import REFUSED_PAUSE_S, Ends
from sync.pipeline.look_up.stage import LookUpStage
from sync.pipeline.look_up.timing import LookUpTiming
from sync.pipeline.poll import Poller
from sync.pipeline.preview import Preview
from sync.pipeline.record import RecordStage
from sync.pipeline.resync import Resync
from sync.reports import CycleObserver, EndFigures
from sync.segment.client import SegmentClient
from sync.segment.limits import SegmentLimits, is_segments_own
from sync.settings.sections import Config
from sync.stop import Stop

if TYPE_CHECKING:
    from sync.audit.receipts import Receipts
    from sync.segment.public_api import PublicApi

log = structlog.get_logger()


class Tuning(NamedTuple):
    """
    Hold the numbers behind the settings. People do not change them, and tests do.

    Attributes:
        cycle: How often a cycle does what it does not do every time.
        look_up: How much a step of look-ups takes, and when one is made again.
        delivery: When a delivery sends.
        refused_pause_s: How many seconds an end is left alone after it refused the credentials.
        retry: How often, and how long, a failed request is made again.
        gladly: What Gladly allows, and how much of it is read and kept.
        segment: What Segment takes.
        prove_every_s: The daemon looks this often whether a past day is to be audited, or quiet conversations
            are to be compared.
        hung_after_s: A cycle without any progress for this many seconds hangs, and so does a schedule that
            is this late. The longest healthy time without progress is a request for a report.
    """

    cycle: CycleTiming = CycleTiming()
    look_up: LookUpTiming = LookUpTiming()
    delivery: DeliveryTiming = DeliveryTiming()
    refused_pause_s: float = REFUSED_PAUSE_S
    retry: RetryPolicy = RetryPolicy()
    gladly: GladlyLimits = GladlyLimits()
    segment: SegmentLimits = SegmentLimits()
    prove_every_s: float = 60.0
    hung_after_s: float = GladlyLimits().report_deadline_s + 60.0


DEFAULT_TUNING = Tuning()


class Pipeline:
    """
    Hold an organization's pipeline. As a context manager, it closes what it opened.

    Attributes:
        cycle: Runs cycles.
        resync: Reads past intervals again.
        reconciler: Compares quiet conversations with Gladly.
        audit: Proves past days.
        preview: Shows what would be sent. It needs a copy of the state file, which is thrown away afterwards.
        ends: Both ends.
    """

    def __init__(
        self,
        cycle: Cycle,
        resync: Resync,
        reconciler: Reconciler,
        audit: Audit,
        preview: Preview,
        ends: Ends,
        close: Sequence[Callable[[], None]],
    ) -> None:
        self.cycle = cycle
        self.resync = resync
        self.reconciler = reconciler
        self.audit = audit
        self.preview = preview
        self.ends = ends
        self._close = close

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads, and close the connections. The state file is the caller's."""
        for close in self._close:
            close()


def build_pipeline(
    config: Config,
    store: Store,
    stop: Stop,
    *,
    observed_by: Callable[[EndFigures], CycleObserver] | None = None,
    tuning: Tuning = DEFAULT_TUNING,
) -> Pipeline:
    """
    Make an organization's pipeline. Bind its state file to it first (semantics 5.6).

    Args:
        config: The organization's settings and secrets.
        store: Its state file, open for writing. Closing it is the caller's task.
        stop: Ends everything that waits or hangs.
        observed_by: Makes the observer, given what it can ask about both ends; None for no observer.
        tuning: The numbers behind the settings.

    Raises:
        OtherOrganizationError: The state file is another organization's. No request was made.
        StateWriteError: The state file could not be written.
    """
    settings = config.settings
    origin = Origin(fingerprint(config.secrets.write_key), urlsplit(settings.gladly.url).netloc)
    store.organization.bind(
        organization_host(config), origin.write_key_fingerprint, partial(message_id, origin)
    )
    if store.restores.note_if_put_back(utc_now()):
        log.warning("state.restored", note="what is sent again and is over 20 hours old may be a duplicate")
    ends = Ends(
        gladly_client(config, stop, tuning), segment_client(config, stop, tuning), tuning.refused_pause_s
    )
    observer = observed_by(ends) if observed_by is not None else CycleObserver()
    feed = ChangeFeed(ends.gladly, settings.sync.overlap, store.quarantine.known_bad_lines)
    lookups = Lookups(ends.gladly)
    record = RecordStage(config.event_options, store, lookups, origin)
    timing = tuning.look_up.at_pace(settings.gladly.requests_per_second)
    look_up = LookUpStage(config.event_options, store, lookups, tuning.segment, stop, timing)
    deliverer = Deliverer(store, ends.segment, ends.segment_health, observer, tuning.delivery)
    poller = Poller(
        gladly=ends.gladly,
        feed=feed,
        record=record,
        store=store,
        start=settings.sync.start,
        at_its_end=SilenceWatch(store, tuning.cycle.silence_every_s).look,
        progress_every_s=tuning.cycle.progress_every_s,
    )
    cycle = Cycle(
        ends=ends,
        poller=poller,
        look_up=look_up,
        deliverer=deliverer,
        store=store,
        stop=stop,
        retention=settings.state.retention,
        observer=observer,
        timing=tuning.cycle,
    )
    resync = Resync(
        ends=ends,
        feed=feed,
        record=record,
        look_up=look_up,
        deliverer=deliverer,
        store=store,
        stop=stop,
    )
    # One request at a time, so that a poll waits for one at most. What is kept in memory is the cycle's.
    looks_back = Lookups(ends.gladly, workers=1)
    reconciler = Reconciler(settings.sync.reconcile, store, looks_back, record, stop)
    receipts = build_receipts(config, stop, tuning)
    audit = Audit(
        every=settings.sync.audit,
        gladly=ends.gladly,
        feed=feed,
        record=record,
        store=store,
        stop=stop,
        receipts=receipts,
    )
    # A preview waits neither for a second answer nor for what is not visible yet.
    at_once = timing._replace(not_found_again_s=0.0, waits_for_late_changes=False)
    look_up_now = LookUpStage(config.event_options, store, lookups, tuning.segment, stop, at_once)
    preview = Preview(poller, feed, record, look_up_now, store, tuning.segment)
    close = [lookups.close, looks_back.close, deliverer.close, ends.close]
    if receipts is not None:
        close.append(receipts.close)
    return Pipeline(cycle, resync, reconciler, audit, preview, ends, close)


def organization_host(config: Config) -> str:
    """
    Return the host at Gladly to which the organization's state file is bound.

    All addresses of this machine are `localhost`: a sandbox is on another port each time.
    """
    url = config.settings.gladly.url
    return "localhost" if is_loopback(url) else urlsplit(url).netloc.lower().removesuffix(":443")


def refuse_other_organization(config: Config) -> None:
    """
    Make sure that the state file, where there is one, is not another organization's. Write nothing.

    The same holds for the write key, while a daemon follows the file: both would make message ids anew for
    the other's events (faults H1.18).

    Raises:
        OtherOrganizationError: It is another organization's.
        StateLockedError: A daemon follows the file with another write key.
        StateFileError: The file cannot be read.
    """
    from state.reader import Reader  # with every question about the file; only `resync` asks these two

    path, host = config.state_path, organization_host(config)
    if not is_there(path):
        return
    with Reader(path) as reader:
        bound_to, key = reader.organization(), reader.write_key_fingerprint()
    if bound_to is not None and bound_to != host:
        raise other_organization(path, bound_to, host)
    if key not in (None, fingerprint(config.secrets.write_key)):
        try:
            take_role(path.resolve(), MAIN).close()
        except StateLockedError as error:
            raise other_write_key(path) from error


def gladly_client(config: Config, stop: Stop, tuning: Tuning = DEFAULT_TUNING) -> GladlyClient:
    """Make the client of the organization's Gladly. Closing it is the caller's task."""
    gladly = config.settings.gladly
    return GladlyClient(
        gladly.url,
        gladly.username or "",
        config.secrets.api_token,
        requests_per_second=gladly.requests_per_second,
        stop=stop,
        retry=tuning.retry,
        limits=tuning.gladly,
    )


def segment_client(config: Config, stop: Stop, tuning: Tuning = DEFAULT_TUNING) -> SegmentClient:
    """Make the client of the organization's Segment source. Closing it is the caller's task."""
    segment = config.settings.segment
    return SegmentClient(
        segment.url,
        config.secrets.write_key,
        stop=stop,
        compress=segment.gzip,
        retry=tuning.retry,
        limits=tuning.segment,
    )


def public_api_client(config: Config, stop: Stop, tuning: Tuning = DEFAULT_TUNING) -> "PublicApi | None":
    """
    Make the client of the workspace's Public API. Closing it is the caller's task.

    Return None without a token.
    """
    token = config.secrets.public_api_token
    if token is None:
        return None
    from sync.segment.public_api import PublicApi  # only `check` and the audit ask it

    return PublicApi(config.settings.segment.public_api, token, stop=stop, retry=tuning.retry)


def build_receipts(config: Config, stop: Stop, tuning: Tuning = DEFAULT_TUNING) -> "Receipts | None":
    """
    Make what the audit asks about a day's receipts (semantics 6.3). Closing it is the caller's task.

    Return None without a token, and where the events go to another receiver than Segment.
    """
    segment = config.settings.segment
    api = public_api_client(config, stop, tuning)
    if api is None or (is_segments_own(segment.public_api) and not is_segments_own(segment.url)):
        return None
    from sync.audit.receipts import Receipts  # reads the state file with every question about it

    return Receipts(api, config.secrets.write_key, config.state_path)
