"""What `build_pipeline` makes of the settings, and of the numbers behind them."""

import threading
from datetime import timedelta

import pytest

from sandbox import Fault
from state.instants import utc_now
from state.store import Store
from support.outbox_samples import fill_outbox, payload_of
from support.worlds import busy_minutes
from sync.gladly.limits import GladlyLimits
from sync.http.retry import RetryPolicy
from sync.reports import CycleObserver
from sync.runtime.build import (
    Tuning,
    build_pipeline,
    build_receipts,
    gladly_client,
    segment_client,
)
from sync.segment.limits import SegmentLimits
from sync.settings.loading import load
from sync.stop import Stop

IMPATIENT = RetryPolicy(max_attempts=2, first_backoff_s=0.01, longest_backoff_s=0.01)


@pytest.fixture
def config_of(installation, bare):
    """Return a function that loads the settings, with more of them by section and key."""

    def read(**settings):
        for name, value in installation.environment.items():
            if name.startswith(("GLADLY_", "SEGMENT_")):
                bare.setenv(name, value)
        for name, value in settings.items():
            bare.setenv(f"GLADLY_SEGMENT_{name}", value)
        return load(None)

    return read


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "state.db") as opened:
        yield opened


def test_settings_reach_the_parts(config_of, store, sandbox, opened):
    """From the first watermark to how batches are sent and what events hold."""
    opened(60)
    opened(3_000)
    config = config_of(SYNC__START="5m", SEGMENT__GZIP="true", PROPERTIES__LEAVE_OUT="email")
    with build_pipeline(config, store, Stop()) as pipeline:
        assert pipeline.cycle.run().poll.created == 1
    (event,) = sandbox.inbox.received
    assert event["properties"]["customerName"] == "Zoë Quinn"
    assert "email" not in event["properties"]
    assert sandbox.segment_requests[0].headers["content-encoding"] == "gzip"


def test_the_numbers_behind_the_settings_reach_the_parts(config_of, store, sandbox):
    """How often a failed request is made again, how large a chunk is, and how many events a batch holds."""
    busy_minutes(sandbox, 6)
    fill_outbox(store, [payload_of(n) for n in range(6)], sandbox.clock.now() - timedelta(hours=1))
    sandbox.faults.add("gladly", "*", Fault(503, times=2))
    tuning = Tuning(
        retry=IMPATIENT,
        gladly=GladlyLimits(chunk_transitions=4),
        segment=SegmentLimits(batch_max_events=2),
    )
    with build_pipeline(config_of(), store, Stop(), tuning=tuning) as pipeline:
        first = pipeline.cycle.run()
        assert "answered 503" in str(first.gladly_error)
        assert (first.poll.requests, first.poll.delivered) == (2, 6)
        assert len(sandbox.segment_requests) == 3
        before = pipeline.cycle.progress
        second = pipeline.cycle.run()
        assert (second.poll.created, second.poll.closed, second.errors) == (6, 6, [])
        requests = second.poll.requests + len(sandbox.segment_requests) - 3
        batches, chunks = 6, 3
        assert pipeline.cycle.progress - before >= requests + batches + chunks


def test_the_observer_is_made_with_what_it_can_ask_about_the_ends(config_of, store, sandbox, opened):
    """It hears what becomes of events, and sees what both ends have answered by then."""
    opened()

    class Observer(CycleObserver):
        def __init__(self, ends):
            self.ends, self.heard = ends, []

        def delivered(self, events):
            self.heard.append((len(events), self.ends.answers["segment"]))

        def finished(self, report):
            self.heard.append(report)

    made = []

    def observer(ends):
        made.append(Observer(ends))
        return made[-1]

    with build_pipeline(config_of(), store, Stop(), observed_by=observer) as pipeline:
        report = pipeline.cycle.run()
    assert len(made) == 1
    assert made[0].heard == [(1, {"200": 1}), report]


def test_closing_ends_its_threads_and_leaves_the_state_file_open(config_of, store, sandbox, opened):
    """The caller has opened the file, and closes it."""
    busy_minutes(sandbox, 20)
    sandbox.faults.add("gladly", "/api/v1/conversations/*", Fault(delay_s=0.01, times=None))
    before = set(threading.enumerate())

    def ours():
        return [
            t.name for t in set(threading.enumerate()) - before if t.name.startswith(("gladly", "segment"))
        ]

    with build_pipeline(config_of(), store, Stop()) as pipeline:
        assert pipeline.cycle.run().errors == []
        assert {name.split("_")[0] for name in ours()} == {"gladly", "segment"}
    assert ours() == []
    assert store.watermark() is not None


def test_the_clients_alone_are_the_settings_own(config_of, sandbox):
    """`check` and the commands that look use them without a pipeline."""
    config = config_of()
    gladly, segment = gladly_client(config, Stop()), segment_client(config, Stop())
    gladly.prove_the_token()
    segment.reach()
    gladly.close()
    segment.close()
    assert [request.user for request in sandbox.gladly_requests] == [sandbox.gladly.username]
    assert [request.user for request in sandbox.segment_requests] == [sandbox.segment.write_key]


def test_receipts_are_asked_of_the_settings_own_workspace(config_of, bare, store, sandbox):
    """Only with a token. The state file is that of the settings."""
    assert build_receipts(config_of(), Stop()) is None
    bare.setenv("SEGMENT_PUBLIC_API_TOKEN", sandbox.segment.public_api_token)
    config = config_of(SEGMENT__PUBLIC_API_URL=sandbox.public_api_url, STATE__PATH=str(store.path))
    receipts = build_receipts(config, Stop())
    assert receipts is not None
    yesterday = (utc_now() - timedelta(days=1)).date()
    sandbox.clock.advance(3600)
    assert receipts.of(yesterday) == (0, 0, "")
    receipts.close()
