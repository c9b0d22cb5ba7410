"""Gladly asks the sync to wait, or another client shares the organization's rate (faults A17, A18)."""

import threading
import time
from datetime import timedelta
from email.utils import format_datetime

import pytest
import requests

from sandbox import Fault, Sandbox
from support.checker import problems
from support.endpoints import EVENTS
from support.installation import Installation
from support.worlds import busy_minutes, one_conversation
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize(
    ("asked", "least_s", "most_s"),
    [
        pytest.param(None, 0.3, 1.2, id="nothing"),
        pytest.param("0", 0.0, 0.5, id="0"),
        pytest.param("1", 1.0, 1.9, id="1"),
        pytest.param("+1", 1.0, 1.9, id="a date in 1 s"),
        pytest.param("-60", 0.0, 1.2, id="a date that is past"),
        pytest.param("-1", 0.3, 1.2, id="-1"),
        pytest.param("soon", 0.3, 1.2, id="soon"),
        pytest.param("nan", 0.3, 1.2, id="nan"),
        pytest.param("1e400", 0.3, 1.2, id="1e400"),
        pytest.param("²", 0.3, 1.2, id="a digit that is none"),
    ],
)
def test_a_429_is_waited_for_as_asked_where_that_makes_sense(begin, sandbox, tuned, asked, least_s, most_s):
    """
    The sync waits as long as Gladly asks. Where the header makes no sense, it chooses a short wait itself.
    The same cycle then goes on (faults A17).
    """
    tuned(gladly={"default_hold_s": 0.3})
    one_conversation(sandbox)
    headers = {} if asked is None else {"Retry-After": asked}
    if asked in ("+1", "-60"):
        date = sandbox.clock.now().replace(microsecond=0) + timedelta(seconds=int(asked))
        headers = {"Retry-After": format_datetime(date, usegmt=True)}
    sandbox.faults.add("gladly", EVENTS, Fault(429, headers))
    program = begin()
    assert program.run().errors == []
    first, second = (r.at for r in sandbox.gladly_requests if r.path == EVENTS)
    assert least_s <= second - first <= most_s + 1  # a second more, for a busy machine
    assert problems(sandbox) == []


@pytest.mark.parametrize("asked", ["10000000000", "Fri, 31 Dec 9999 23:59:59 GMT"], ids=["number", "date"])
def test_a_wait_beyond_reason_is_capped_and_left_to_a_later_cycle(begin, sandbox, tuned, asked):
    """
    The cycle fails at once and says so. Gladly is left alone until the cap has passed, and then the sync goes
    on (faults A17).
    """
    tuned(retry={"patience_s": 0.2})
    one_conversation(sandbox)
    program = begin()
    program.run()
    sandbox.clock.advance(300)
    one_conversation(sandbox)
    sandbox.faults.add("gladly", EVENTS, Fault(429, {"Retry-After": asked}))
    began = time.monotonic()
    result = program.run()
    assert 800 <= result.gladly_error.retry_after_s <= 900
    assert exit_code_of(result.gladly_error) == 1
    assert "429" in str(result.gladly_error)
    asked_before = len(sandbox.gladly_requests)
    for _ in range(3):
        assert len(program.run().errors) == 1
    assert time.monotonic() - began < 5
    assert len(sandbox.gladly_requests) == asked_before
    program.restart()
    assert program.run().errors == []
    assert problems(sandbox) == []


def test_a_capped_wait_ends(begin, sandbox, tuned):
    """The test sets a cap of half a second in place of a quarter of an hour (faults A17)."""
    tuned(retry={"patience_s": 0.1})
    tuned(retry={"longest_retry_after_s": 0.5})
    one_conversation(sandbox)
    sandbox.faults.add("gladly", EVENTS, Fault(429, {"Retry-After": "10000000000"}))
    program = begin()
    assert len(program.run().errors) == 1
    time.sleep(0.6)
    assert program.run().errors == []
    assert problems(sandbox) == []


def rates(moments, window_s=1.0):
    """
    Return, for each moment, how many moments fall into the window of *window_s* seconds that begins with it.
    """
    ordered = sorted(moments)
    return [sum(1 for m in ordered[i:] if m < at + window_s) for i, at in enumerate(ordered)]


def test_beside_a_second_client_our_own_rate_holds_and_everything_arrives(tmp_path):
    """
    Two clients share the organization's 10 requests a second. The sync keeps to its own rate, and repeats
    each request that Gladly refuses (faults A18).
    """
    with Sandbox(pace=1, lateness_s=0, requests_per_second=10) as sandbox:
        busy_minutes(sandbox, 10)
        settings = {"GLADLY_SEGMENT_SYNC__START": "15m", "GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND": "7"}
        ended = threading.Event()

        def other_client():
            with requests.Session() as session:
                session.trust_env = False
                while not ended.wait(0.2):
                    session.get(
                        f"{sandbox.gladly_url}/api/v1/agents",
                        auth=(sandbox.gladly.username, sandbox.gladly.api_token),
                        headers={"User-Agent": "other"},
                        timeout=5,
                    )

        other = threading.Thread(target=other_client)
        other.start()
        try:
            done = Installation(tmp_path, sandbox, settings).run("once")
        finally:
            ended.set()
            other.join()
        assert done.returncode == 0, done.stderr
        ours = [r for r in sandbox.gladly_requests if r.headers["user-agent"] != "other"]
        assert max(rates([r.at for r in ours])) <= 7 + 2
        assert sum(r.status == 429 for r in ours) <= len(ours) / 3
        assert problems(sandbox) == []


def test_a_second_that_is_used_up_is_waited_out(begin, sandbox):
    """
    A 200 comes with `Ratelimit-Remaining-Second: 0`. The sync leaves its next request to the next second
    (faults A18).
    """
    busy_minutes(sandbox, 2)
    sandbox.faults.add("gladly", EVENTS, Fault(headers={"Ratelimit-Remaining-Second": "0"}))
    began = time.monotonic()
    assert begin(GLADLY__REQUESTS_PER_SECOND="50").run().errors == []
    moments = [(r.path, r.at) for r in sandbox.gladly_requests]
    (organization, first), (events, _), (_, third), *_ = moments
    assert (organization, events) == ("/api/v1/organization", EVENTS)
    assert 0.9 <= third - first <= 2.0
    assert max(rates([at for _, at in moments])) <= 50 + 2
    assert time.monotonic() - began < 4
    assert problems(sandbox) == []
