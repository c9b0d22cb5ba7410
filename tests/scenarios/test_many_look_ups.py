"""Many look-ups, some of which fail, and a long window: what was recorded is safe, and all is delivered."""

import random
import threading
import time
from collections import Counter
from datetime import timedelta
from urllib.parse import parse_qs

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text, to_text
from state.reader import Reader
from support.checker import problems
from support.daemon import Daemon
from support.endpoints import CONVERSATIONS, EVENTS, PROFILES
from support.installation import Installation
from support.proxy import Proxy
from support.worlds import busy_minutes
from sync.pipeline.look_up.timing import LookUpTiming


def answering_500_at_random(share, seed):
    """Return an action that answers a share of the requests with 500."""
    draws, lock = random.Random(seed), threading.Lock()

    def action(exchange):
        with lock:
            fails = draws.random() < share
        if not fails:
            return exchange.send(exchange.forward())
        exchange.send_head(500, "Internal Server Error", [("content-length", "0")])
        return True

    return action


def answers(sandbox):
    """Return how often each object was asked for, and how many objects there are."""
    kinds = ("/conversations/", "/customer-profiles/")
    asked = Counter(r.path for r in sandbox.gladly_requests if any(kind in r.path for kind in kinds))
    return asked.total(), len(asked)


@pytest.mark.parametrize("conversations", [300])
def test_four_in_ten_look_ups_fail_and_none_that_succeeds_is_made_again(begin, sandbox, tuned, conversations):
    """The good answers are kept. All events are delivered in the end (faults H2.2)."""
    tuned(look_up=LookUpTiming(again_s=(0.05,) * 30, linger_s=1.0))
    busy_minutes(sandbox, conversations)
    with Proxy(sandbox.gladly_url) as proxy:
        for path in (CONVERSATIONS, PROFILES):
            proxy.on(path, answering_500_at_random(0.4, 1))
        program = begin(gladly=proxy.url)
        for _ in range(3):
            program.run()
    good, objects = answers(sandbox)
    assert {event["status"] for event in program.events()} == {"delivered"}
    assert problems(sandbox) == []
    assert good <= 1.2 * objects


def test_one_conversation_that_never_answers_holds_up_none_of_the_others(begin, sandbox):
    """They are delivered in the same cycle. It is asked for five times (faults H2.1)."""
    ids = busy_minutes(sandbox, 300)
    sandbox.faults.add("gladly", f"/api/v1/conversations/{ids[7]}", Fault(500, times=None))
    program = begin()
    report = program.run()
    assert (report.errors, report.poll.delivered) == ([], 598)
    assert sum(ids[7] in r.path for r in sandbox.gladly_requests) <= 5
    sandbox.faults.clear()
    program.store.recorded.retry(None)
    program.run()
    assert problems(sandbox) == []
    came = [e["event"] for e in sandbox.inbox.received if e["properties"]["conversationId"] == ids[7]]
    assert came == ["Gladly Conversation Created", "Gladly Conversation Closed"]


@pytest.mark.long
def test_a_long_window_is_recorded_long_before_it_is_looked_up(tmp_path):
    """The watermark does not wait for look-ups. After SIGKILL the feed's first hours are not read again."""
    with Sandbox(pace=1, lateness_s=0, requests_per_second=10.0) as sandbox:
        busy_minutes(sandbox, 1_000, over_s=3 * 3_600)
        settings = {"SYNC__START": "4h", "GLADLY__REQUESTS_PER_SECOND": "7", "SYNC__EVERY": "5s"}
        named = {f"GLADLY_SEGMENT_{name}": value for name, value in settings.items()}
        installation = Installation(tmp_path, sandbox, named)
        began = sandbox.clock.now()
        with Daemon(installation):
            time.sleep(20)
            with Reader(installation.state_path) as reader:
                position = from_text(reader.watermark()["position"])
                counts = reader.event_counts()
        assert sandbox.clock.now() - position < timedelta(minutes=2, seconds=20)
        assert sum(counts.values()) == 2_000
        assert counts["recorded"] > 1_000
        before = len(sandbox.gladly_requests)
        with Daemon(installation):
            time.sleep(6)
        asked = [r.query for r in sandbox.gladly_requests[before:] if r.path == EVENTS]
        starts = [parse_qs(query)["startAt"][0] for query in asked]
        assert starts
        assert min(starts) > to_text(began - timedelta(minutes=3))
