"""The port on which metrics are shown: who gets it, who hangs on it, and how it is given back."""

import socket
import threading
from urllib.parse import urlsplit

import pytest
import requests
from prometheus_client import CollectorRegistry, Gauge

from support.daemon import Daemon, watched
from sync.errors import SettingsError
from sync.telemetry.metrics_page import MetricsPage, are_shown_at, listening


@pytest.fixture
def page():
    """A page with one metric, which names it as the sync's own."""
    registry = CollectorRegistry()
    Gauge("gladly_segment_build_info", "The release that runs.", registry=registry).set(1)
    made = MetricsPage(registry)
    yield made
    made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_page_is_shown_at_the_url_that_it_returns(page, host):
    """Port 0 takes a free port. An IPv6 address stands in brackets."""
    url = page.serve(host, 0)
    assert url.startswith(f"http://[{host}]:" if ":" in host else f"http://{host}:")
    assert b"gladly_segment_build_info 1.0" in requests.get(url, timeout=5).content


def test_a_page_that_is_closed_gives_its_port_back(page):
    """Another program may listen there at once. Closing a page twice is no error."""
    port = urlsplit(page.serve("127.0.0.1", 0)).port
    page.close()
    page.close()
    listening("127.0.0.1", port).server_close()


def test_only_a_daemon_s_page_is_taken_for_one(page):
    """A port that is free, or on which another page is shown, is not a daemon's."""
    port = urlsplit(page.serve("127.0.0.1", 0)).port
    assert are_shown_at("127.0.0.1", port)
    page.close()
    assert not are_shown_at("127.0.0.1", port)
    other = MetricsPage(CollectorRegistry())
    port = urlsplit(other.serve("127.0.0.1", 0)).port
    assert not are_shown_at("127.0.0.1", port)
    other.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_cannot_be_had_is_a_wrong_setting(page, host):
    """The message names the setting, the address and what to do."""
    with pytest.raises(SettingsError, match=rf"^metrics.listen: .* on {host}:0 \(.+\). Name another"):
        page.serve(host, 0)


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
