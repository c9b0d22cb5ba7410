"""What each scrape looks up: the counts of the state file, and what both ends have answered."""

import socket
from datetime import date

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from sandbox import Fault
from state.instants import from_text
from state.reader import Reader
from state.records import MissingEvents, TakenIn
from state.store import Store
from support.daemon import Daemon, Scrape, watched
from support.ends import ends_of
from support.waiting import wait_until
from sync.errors import GladlySegmentError
from sync.telemetry.collector import LiveFigures


@pytest.fixture
def ends(sandbox):
    with ends_of(sandbox) as made:
        yield made


def scrape_of(figures):
    registry = CollectorRegistry()
    registry.register(figures)
    return Scrape(generate_latest(registry).decode())


def test_the_common_statuses_are_shown_before_they_are_met(tmp_path, sandbox, ends):
    """
    For Prometheus, a counter that is born at 1 has not increased. A rare status is shown once it was met.
    """
    sandbox.faults.add("gladly", "*", Fault(status=418))
    with pytest.raises(GladlySegmentError):
        ends.gladly.prove_the_token()
    ends.gladly.prove_the_token()
    scrape = scrape_of(LiveFigures(ends, tmp_path / "state.db"))
    assert scrape("requests_total", end="gladly", status="418") == 1
    assert scrape("requests_total", end="gladly", status="200") == 1
    for status in ("200", "401", "403", "429", "500", "503", "none"):
        assert scrape("requests_total", end="segment", status=status) == 0
    assert scrape("requests_total", end="segment", status="418") is None


@pytest.mark.parametrize("content", [None, b"this is no database" * 100], ids=["no file", "another file"])
def test_without_a_state_file_the_rest_is_shown(tmp_path, ends, content):
    """A scrape never fails because of the state file. The cycle says what is wrong with it."""
    path = tmp_path / "state.db"
    figures = LiveFigures(ends, path)
    if content is not None:
        path.write_bytes(content)
    scrape = scrape_of(figures)
    assert [scrape("end_up", end=end) for end in ("gladly", "segment")] == [1, 1]
    assert not {name for name in scrape.names if "stored_events" in name or "watermark" in name}


def test_each_scrape_reads_the_state_file_again(tmp_path, ends, ago):
    """Other processes write it too. What is not known yet is not shown."""
    path = tmp_path / "state.db"
    with Store(path) as store:
        figures = LiveFigures(ends, path)
        assert scrape_of(figures)("watermark_timestamp_seconds") is None
        store.commit(TakenIn(position=ago(60)))
        scrape = scrape_of(figures)
    assert scrape("watermark_timestamp_seconds") == pytest.approx(ago(60).timestamp(), abs=0.001)
    assert scrape("stored_events", status="pending") == 0


def test_an_instant_is_shown_once_it_is_known(tmp_path, ends, ago):
    """The daemon says when the next cycle begins and when the last good one ended."""
    figures = LiveFigures(ends, tmp_path / "state.db")
    assert scrape_of(figures)("next_cycle_timestamp_seconds") is None
    assert scrape_of(figures)("last_good_cycle_timestamp_seconds") is None
    figures.plan(ago(-10))
    figures.went_well(ago(5))
    scrape = scrape_of(figures)
    assert scrape("next_cycle_timestamp_seconds") == pytest.approx(ago(-10).timestamp(), abs=0.001)
    assert scrape("last_good_cycle_timestamp_seconds") == pytest.approx(ago(5).timestamp(), abs=0.001)


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


def test_a_scrape_says_up_to_when_the_sync_is_proved(tmp_path, ends):
    """And what the audits found. Nothing is said of a proof before the first."""
    path = tmp_path / "state.db"
    with Store(path) as store:
        figures = LiveFigures(ends, path)
        assert scrape_of(figures)("audited_until_timestamp_seconds") is None
        store.commit(TakenIn(audit=MissingEvents("2026-11-20", 3)))
        store.audits.finish(date(2026, 11, 20), 10, None)
        store.audits.finish(date(2026, 11, 21), 10, "A row cannot be read.")
        scrape = scrape_of(figures)
    proved_until = from_text("2026-11-21").timestamp()
    assert scrape("audited_until_timestamp_seconds") == proved_until
    assert scrape("audit_missing_events_total") == 3
    assert [scrape("audits", outcome=outcome) for outcome in ("mended", "unproved")] == [1, 1]
