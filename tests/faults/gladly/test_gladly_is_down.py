"""Gladly is down, in one way or another (faults A19)."""

import itertools
import time
from collections import Counter

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from support.checker import problems
from support.endpoints import CONVERSATIONS, EVENTS, PROFILES
from support.proxy import Proxy
from support.proxy_actions import hang_up
from support.worlds import one_conversation
from sync.cli.errors import exit_code_of


def _refusing(sandbox):
    sandbox.stop_gladly()
    return sandbox.start_gladly


def _answering(status):
    def begin(sandbox):
        sandbox.faults.add("gladly", "*", Fault(status, times=None))
        return sandbox.faults.clear

    return begin


@pytest.mark.parametrize(
    ("fail", "says"),
    [
        *(pytest.param(_answering(n), f"answered {n}", id=str(n)) for n in (408, 500, 502, 503, 504)),
        pytest.param(_refusing, "Connection refused", id="refused"),
    ],
)
def test_a_fault_is_said_when_it_begins_and_when_it_ends(begin, sandbox, impatient, fail, says):
    """
    The fault lasts for several cycles. Each of them tries a few times, delivers what is pending, and loses
    nothing (faults A19).
    """
    program = begin()
    program.run()
    sandbox.clock.advance(300)
    one_conversation(sandbox)
    before = program.watermark
    mend = fail(sandbox)
    asked = len(sandbox.gladly_requests)
    with capture_logs() as logs:
        for _ in range(3):
            (error,) = program.run().errors
            assert exit_code_of(error) == 1
            assert says in str(error)
            assert "127.0.0.1" in str(error)
        assert program.watermark == before
        assert len(sandbox.gladly_requests) - asked <= 3 * 5
        mend()
        assert program.run().errors == []
    said = Counter(entry["event"] for entry in logs if entry["event"].startswith("gladly"))
    assert said == {"gladly.failed": 1, "gladly.recovered": 1}
    assert problems(sandbox) == []


def test_another_fault_than_before_is_said_again(begin, sandbox, impatient):
    """A new fault is logged. The same fault in the next cycle is not (faults A19)."""
    program = begin()
    with capture_logs() as logs:
        for status in (503, 503, 500, 500, 503):
            sandbox.faults.clear()
            sandbox.faults.add("gladly", "*", Fault(status, times=None))
            program.run()
    said = [entry["error"] for entry in logs if entry["event"] == "gladly.failed"]
    assert [sentence.split("answered ")[1][:3] for sentence in said] == ["503", "500", "503"]


@pytest.mark.parametrize("path", [EVENTS, CONVERSATIONS, PROFILES], ids=["feed", "conversation", "profile"])
def test_a_connection_that_is_reset_is_made_again_within_the_cycle(begin, sandbox, impatient, path):
    """Nothing is logged, because the fault is over before anybody could act on it (faults A19)."""
    one_conversation(sandbox)
    with Proxy(sandbox.gladly_url) as proxy, capture_logs() as logs:
        proxy.on(path, hang_up(), times=3)
        assert begin(gladly=proxy.url).run().errors == []
    assert [entry["event"] for entry in logs if entry["log_level"] != "debug"] == ["cycle.finished"]
    assert problems(sandbox) == []


def test_once_waits_longer_from_try_to_try_and_gives_up_in_time(installation, sandbox):
    """
    There are at most 12 attempts within 20 s. The waits grow and all differ. The command ends with exit 1 and
    one sentence (faults A19).
    """
    sandbox.faults.add("gladly", "*", Fault(503, times=None))
    began = time.monotonic()
    done = installation.run("once")
    assert time.monotonic() - began < 20
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error:")] == [
        f"error: Gladly at {sandbox.gladly_url.removeprefix('http://')} answered 503 (an error of its own) "
        "to /organization."
    ]
    moments = [r.at for r in sandbox.gladly_requests]
    assert 3 <= len(moments) <= 12
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    for wait, full in zip(waits, (0.5, 1.0, 2.0, 4.0), strict=False):
        assert 0.5 * full <= wait <= full + 1.0


def test_a_name_that_does_not_resolve_is_said_as_such(begin, sandbox, impatient, monkeypatch):
    """The error contains the host's name and no other part of the address (faults A19)."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    program = begin(gladly="https://acme.invalid")
    (error,) = program.run().errors
    assert str(error).startswith("Gladly could not be reached at acme.invalid: ")
    assert "no answer in time" not in str(error)
    assert "0x" not in str(error)
    assert len(str(error)) < 200
