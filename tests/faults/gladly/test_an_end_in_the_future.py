"""What is asked of Gladly goes by Gladly's clock, not by this machine's (faults H2.14)."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

import pytest

from sandbox import Sandbox
from state.instants import from_text
from state.reader import Reader
from support.checker import problems
from support.endpoints import EVENTS
from support.installation import Installation
from support.proxy import Proxy
from support.proxy_actions import answer
from support.worlds import busy_minutes

REFUSED = b'{"errors":[{"attr":"endAt","code":"invalid","detail":"endAt must not be in the future"}]}'


@pytest.mark.parametrize("ahead_s", [1, 59, 3_600, 86_400])
def test_a_gladly_that_refuses_an_end_in_the_future_is_never_asked_for_one(begin, sandbox, ahead_s):
    """A resync up to now, or beyond it, reads up to now (faults H2.14)."""
    busy_minutes(sandbox, 3)

    def strict(exchange):
        now, ends = sandbox.clock.now(), parse_qs(exchange.request.query).get("endAt", [])
        if any(from_text(end) > now for end in ends):
            return answer(400, {"Content-Type": "application/json"}, REFUSED)(exchange)
        return exchange.send(exchange.forward())

    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, strict)
        program = begin(gladly=proxy.url)
        now = sandbox.clock.now()
        for _ in program.pipeline.resync.run(now - timedelta(hours=1), now + timedelta(seconds=ahead_s)):
            pass
    assert problems(sandbox) == []


@pytest.fixture
def elsewhen(request, tmp_path):
    """An installation whose clock is off Gladly's by the test's parameter."""
    with Sandbox(start=datetime.now(UTC) - request.param, lateness_s=0, requests_per_second=None) as sandbox:
        busy_minutes(sandbox, 3)
        yield Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "10m"})


OFF = [timedelta(days=1), timedelta(minutes=30), timedelta(days=-1), timedelta(days=-365)]


@pytest.mark.parametrize("elsewhen", OFF, indirect=True, ids=str)
def test_an_age_counts_from_gladlys_clock(elsewhen):
    """`watermark reset --to 1h` is an hour ago at Gladly. The cycle reads from there (faults H2.14)."""
    done = elsewhen.run("watermark", "reset", "--to", "1h", "--yes")
    assert done.returncode == 0, done.stderr
    with Reader(elsewhen.state_path) as reader:
        back = elsewhen.sandbox.clock.now() - from_text(reader.watermark()["position"])
    assert timedelta(minutes=59) < back < timedelta(minutes=61)
    assert elsewhen.run("once").returncode == 0
    assert problems(elsewhen.sandbox) == []


@pytest.mark.parametrize("elsewhen", OFF, indirect=True, ids=str)
def test_a_resync_of_the_last_hour_is_that_of_gladlys_clock(elsewhen):
    """From an age up to now (faults H2.14)."""
    done = elsewhen.run("resync", "--since", "1h")
    assert done.returncode == 0, done.stderr
    assert problems(elsewhen.sandbox) == []


def test_without_gladly_an_age_counts_from_this_machines_clock_and_that_is_said(installation, sandbox):
    """The command works while Gladly is away (faults H2.14)."""
    installation.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = "http://127.0.0.1:9"
    done = installation.run("watermark", "reset", "--to", "1h", "--yes")
    assert done.returncode == 0, done.stderr
    assert "this machine's clock" in done.stderr
    with Reader(installation.state_path) as reader:
        back = datetime.now(UTC) - from_text(reader.watermark()["position"])
    assert timedelta(minutes=59) < back < timedelta(minutes=61)
