"""The metrics of a real daemon agree with the state file and with what the sandbox counted itself."""

import subprocess
import sys
import threading
from collections import Counter

import pytest

from state.instants import from_text
from state.reader import Reader
from support.daemon import Daemon, watched

CREATED, CLOSED = "Gladly Conversation Created", "Gladly Conversation Closed"


def test_a_scrape_agrees_with_the_state_file_and_with_both_ends(installation, opened, ago):
    """Events are delivered, rejected and suppressed. The state file or the sandbox has every figure too."""
    world = installation.sandbox.world
    talks = [opened(300 - n) for n in range(5)]
    world.close(talks[0], at=ago(60))
    world.close(talks[1], at=ago(50))
    world.delete(talks[1].customer_id, at=ago(30))
    rejected = talks[2].id
    installation.sandbox.faults.reject_message(lambda e: e["properties"]["conversationId"] == rejected)
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.finished", outcome="ok")
        scrape = daemon.scrape()
        finished_at = daemon.wait_for("cycle.finished")["timestamp"]
    with Reader(installation.state_path) as reader:
        counts, watermark, poll = reader.event_counts(), reader.watermark(), reader.last_poll()
    stored = {status: scrape("stored_events", status=status) for status in counts}
    assert (
        stored
        == counts
        == {
            "recorded": 0,
            "pending": 0,
            "delivered": 4,
            "rejected": 1,
            "suppressed": 2,
        }
    )
    received = Counter(event["event"] for event in installation.sandbox.inbox.received)
    assert {name: scrape("events_total", event=name, status="delivered") for name in received} == received
    assert received == {CREATED: 3, CLOSED: 1}
    assert scrape("events_total", event=CREATED, status="rejected") == 1
    assert scrape("events_total", event=CLOSED, status="rejected") == 0
    assert scrape("transitions_total", transition="created") == poll["created"] == 5
    assert scrape("transitions_total", transition="closed") == poll["closed"] == 2
    for end in ("gladly", "segment"):
        seen = getattr(installation.sandbox, f"{end}_requests")
        by_status = Counter(str(request.status) for request in seen)
        shown = {
            dict(labels)["status"]: value
            for (name, labels), value in scrape.samples.items()
            if name == "gladly_segment_requests_total" and dict(labels)["end"] == end and value
        }
        assert shown == by_status
        assert scrape("end_up", end=end) == 1
        assert scrape("credentials_refused", end=end) == 0
    assert scrape("watermark_timestamp_seconds") == from_text(watermark["position"]).timestamp()
    assert scrape("gap_deadline_timestamp_seconds") == scrape("watermark_timestamp_seconds") + 86_400
    assert scrape("last_good_cycle_timestamp_seconds") == pytest.approx(
        from_text(finished_at).timestamp(), abs=1.0
    )
    assert scrape("cycles_total", outcome="ok") == 1
    assert scrape("delivery_latency_seconds_count") == 4
    assert scrape("delivery_latency_seconds_bucket", le="30.0") == 0
    assert scrape("delivery_latency_seconds_bucket", le="600.0") == 4
    assert scrape("oldest_pending_timestamp_seconds") is None
    assert scrape("last_cycle_duration_seconds") > 0
    assert "zoe" not in scrape.text.lower()


def test_a_cycle_that_breaks_counts_as_failed(installation):
    """An error that nobody foresaw is counted too."""
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = "cycle.begin:1:raise"
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.failed")
        assert daemon.scrape()("cycles_total", outcome="failed") == 1


def test_scrapes_hold_up_no_cycle(installation, opened):
    """Four threads scrape without a pause. Every event is delivered meanwhile, and no cycle fails."""
    opened()
    with Daemon(watched(installation, SYNC__EVERY="0.5s")) as daemon:
        daemon.wait_for("cycle.finished")
        over = threading.Event()
        scraped = []

        def scrape():
            while not over.is_set():
                scraped.append(daemon.scrape())

        threads = [threading.Thread(target=scrape) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            for n in range(3):
                opened(0)
                assert installation.sandbox.inbox.wait_for(n + 2)
        finally:
            over.set()
            for thread in threads:
                thread.join()
        assert daemon.lines("cycle.failed") == daemon.lines("cycle.finished", outcome="failed") == []
        assert daemon.end()[0] == 0
    assert len(scraped) > 10


def test_without_the_setting_there_is_no_port_and_nothing_is_imported(installation):
    """Someone who does not want metrics does not pay for them."""
    listens = (
        "import sys, sync.cli.main, sync.runtime.daemon, sync.runtime.checks;"
        "assert 'prometheus_client' not in sys.modules;"
        "assert 'wsgiref' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", listens]).returncode == 0
    with Daemon(installation) as daemon:
        daemon.wait_for("cycle.finished")
        assert daemon.lines("metrics.shown") == []


def test_every_metric_says_what_it_is(installation):
    """Each metric has a HELP text and a conventional ending. No metric is the interpreter's own."""
    with Daemon(watched(installation)) as daemon:
        daemon.wait_for("cycle.finished")
        scrape = daemon.scrape()
    assert [family.name for family in scrape.families if not family.documentation] == []
    for family in scrape.families:
        assert family.name.startswith(("gladly_segment_", "process_")), family.name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
    assert not any(name.endswith("_created") for name in scrape.names)
