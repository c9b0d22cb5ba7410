"""The metrics of a real daemon agree with the state file and with what the sandbox counted itself."""

import socket
import subprocess
import sys
import threading
from collections import Counter
from urllib.parse import urlsplit

import pytest
import requests

from sandbox import Fault
from state.instants import from_text
from state.reader import Reader
from support.daemon import Daemon, watched
from support.waiting import wait_until

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
    assert stored == counts == {"pending": 0, "delivered": 4, "rejected": 1, "suppressed": 2}
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


def test_the_next_cycle_is_announced(installation):
    """
    The metric shows what APScheduler has planned. The first cycle ran at once, so the second comes an
    interval later.
    """
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        first = from_text(daemon.wait_for("cycle.finished")["cycle"]).timestamp()
        scrape = daemon.scrape()
        while (planned := scrape("next_cycle_timestamp_seconds")) is None:
            scrape = daemon.scrape()
    assert planned == pytest.approx(first + 3_600, abs=5)


def test_segment_down_shows_in_the_outbox(installation, opened, down):
    """The metrics show the pending event and since when it is pending. They do not blame Gladly."""
    opened()
    installation.sandbox.faults.add("segment", "*", down)
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.finished", outcome="failed")
        scrape = daemon.scrape()
    (event,) = installation.events()
    assert scrape("stored_events", status="pending") == 1
    assert scrape("oldest_pending_timestamp_seconds") == from_text(event["created_at"]).timestamp()
    assert (scrape("end_up", end="gladly"), scrape("end_up", end="segment")) == (1, 0)
    assert scrape("cycles_total", outcome="failed") == 1
    assert scrape("requests_total", end="segment", status="503") == 1
    assert scrape("last_good_cycle_timestamp_seconds") is None


def test_a_refused_token_is_told_apart_from_an_end_that_is_down(installation):
    """A person has to correct it, so it has its own label."""
    installation.settings["GLADLY_API_TOKEN"] = "wrong"
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.finished", outcome="failed")
        scrape = daemon.scrape()
    assert scrape("credentials_refused", end="gladly") == 1
    assert scrape("credentials_refused", end="segment") == 0
    assert scrape("requests_total", end="gladly", status="401") == 1


def test_a_request_without_an_answer_is_counted(installation):
    """A refused connection has no status."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    with Daemon(watched(installation, GLADLY__BASE_URL=f"http://127.0.0.1:{port}")) as daemon:
        daemon.wait_for("gladly.failed")
        scrape = daemon.scrape()
    assert scrape("requests_total", end="gladly", status="none") >= 1


def test_gladly_asking_to_wait_is_counted(installation, opened):
    """A 429 asks for a wait."""
    opened()
    wait = Fault(status=429, headers={"Retry-After": "0"})
    installation.sandbox.faults.add("gladly", "/api/v1/events", wait)
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.finished")
        scrape = daemon.scrape()
    assert scrape("rate_limit_waits_total") == 1
    assert scrape("requests_total", end="gladly", status="429") == 1


def test_after_a_restart_the_last_good_cycle_is_still_known(installation, opened, down):
    """
    It comes from the state file. A daemon that starts during an outage must not look as if it had never
    worked.
    """
    opened()
    assert installation.run("once").returncode == 0
    with Reader(installation.state_path) as reader:
        last_success = from_text(reader.last_success()).timestamp()
    installation.sandbox.faults.add("gladly", "*", down)
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.finished", outcome="failed")
        assert daemon.scrape()("last_good_cycle_timestamp_seconds") == last_success


def test_a_cycle_that_breaks_counts_as_failed(installation):
    """An error that nobody foresaw is counted too."""
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = "cycle.begin:1:raise"
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.failed")
        assert daemon.scrape()("cycles_total", outcome="failed") == 1


def test_a_scrape_waits_for_no_transaction(installation, opened):
    """A cycle hangs in the middle of its commit. The scrape shows what was there before it."""
    opened()
    assert installation.run("once").returncode == 0
    opened(0)
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = "transaction.commit:1:sleep"
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("metrics.shown")
        wait_until(lambda: len(installation.sandbox.gladly_requests) >= 4)
        scrape = daemon.scrape()
    assert scrape("stored_events", status="delivered") == 1


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


def test_a_scraper_that_hangs_does_not_hold_up_the_end(installation):
    """The scraper has connected and sends nothing."""
    with Daemon(watched(installation)) as daemon:
        url = urlsplit(daemon.wait_for("metrics.shown")["url"])
        daemon.wait_for("cycle.finished")
        with (
            socket.create_connection((url.hostname, url.port)),
            socket.create_connection((url.hostname, url.port)) as half,
        ):
            half.sendall(b"GET /metrics HTTP/1.1\r\nHo")
            code, took_s = daemon.end()
        assert code == 0
        assert took_s < 5
        with pytest.raises(requests.ConnectionError):
            requests.get(url.geturl(), timeout=2)


def test_a_port_that_is_taken_is_a_wrong_setting(installation, opened):
    """The daemon ends with exit 2 and a sentence, before it makes any request."""
    opened()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = watched(installation, METRICS__LISTEN=str(port)).run("run")
    assert ended.returncode == 2
    (complaint,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert f"metrics.listen: the sync cannot listen on 127.0.0.1:{port} (Address already in use)" in complaint
    assert "Traceback" not in ended.stderr
    assert installation.sandbox.gladly_requests == []


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


def test_check_says_where_they_will_be_and_where_they_are(installation):
    """The address is free, or a daemon has it, or another program has it."""
    with Daemon(watched(installation)) as daemon:
        port = urlsplit(daemon.wait_for("metrics.shown")["url"]).port
        daemon.wait_for("cycle.finished")
        installation.settings["GLADLY_SEGMENT_METRICS__LISTEN"] = f":{port}"
        while_it_runs = installation.run("check")
    assert (
        f"ok      metrics     a running daemon shows its metrics at 127.0.0.1:{port}" in while_it_runs.stdout
    )
    free = installation.run("check")
    assert free.returncode == 0
    assert f"127.0.0.1:{port} is free" in free.stdout
    with socket.create_server(("127.0.0.1", port)) as somebody:
        somebody.settimeout(10)
        hangs_up = threading.Thread(target=lambda: somebody.accept()[0].close())  # noqa: PLW0108 (in the thread)
        hangs_up.start()
        taken = installation.run("check")
        hangs_up.join()
    assert taken.returncode == 2
    assert "FAILED  metrics" in taken.stdout


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
