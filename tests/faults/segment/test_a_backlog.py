"""Very many events are pending, or many instances send at once (faults D11)."""

import threading
import time
from collections import Counter

from sandbox import Fault
from state.records import TakenIn
from support.endpoints import BATCH
from support.outbox_samples import fill_outbox, payload_of, pending
from sync.segment.client import SegmentClient
from sync.stop import Stop


def test_a_backlog_of_fifty_thousand_leaves_in_full_batches_at_a_flat_cost(begin, sandbox, monkeypatch):
    """The sync makes no more requests than needed, and the cost of an event does not grow (faults D11)."""
    program = begin()
    count = 50_000
    payload, at = payload_of(0, 300), sandbox.clock.now()
    for first in range(0, count, 25_000):
        numbers = range(first, first + 25_000)
        program.store.commit(
            TakenIn(
                events=[pending(n, payload.replace(b"message-0", b"message-%d" % n), at) for n in numbers]
            )
        )
    costs, mark = [time.thread_time()], program.store.outbox.mark_delivered

    def marking(ids):
        mark(ids)
        costs.append(time.thread_time())

    monkeypatch.setattr(program.store.outbox, "mark_delivered", marking)
    result = program.run()
    assert (result.errors, result.poll.delivered) == ([], count)
    posts = sandbox.segment_requests
    assert len(posts) <= count * 310 / 490_000 + 1
    assert all(r.body_bytes > 480_000 for r in posts[:-1])
    half = len(costs) // 2  # this thread's CPU time, which does not depend on what else the machine does
    assert costs[-1] - costs[half] < 2 * (costs[half] - costs[0]) + 0.2
    assert len(sandbox.inbox) == count


def test_a_limit_on_requests_is_kept_to_while_a_backlog_drains(begin, sandbox, tuned):
    """A 429 that asks for a wait slows the delivery down, and loses nothing (faults D11)."""
    tuned(segment={"batch_max_events": 10})
    program = begin()
    fill_outbox(program.store, [payload_of(n) for n in range(60)], sandbox.clock.now())
    for _ in range(3):
        sandbox.faults.add("segment", BATCH, Fault())
        sandbox.faults.add("segment", BATCH, Fault(429, {"X-RateLimit-Reset": "0.3"}))
    began = time.monotonic()
    assert program.run().errors == []
    assert time.monotonic() - began >= 0.9
    assert Counter(r.status for r in sandbox.segment_requests) == {200: 6, 429: 3}
    assert [a.message_id for a in sandbox.inbox.attempts] == [f"message-{n}" for n in range(60)]


def test_ten_instances_do_not_come_back_in_step(sandbox):
    """
    Each instance waits for a different time after the same refusal. So they do not all hit a recovering
    Segment at once (faults D11).
    """
    instances = 10
    sandbox.segment.wrong_keys = "taken"
    sandbox.faults.add("segment", BATCH, Fault(503, times=instances))
    together = threading.Barrier(instances)
    batch = [pending(0, payload_of(0), sandbox.clock.now())]

    def instance(n):
        client = SegmentClient(sandbox.segment_url, f"key-{n}", stop=Stop())
        together.wait()
        for _ in client.deliver(batch):
            pass
        client.close()

    threads = [threading.Thread(target=instance, args=(n,)) for n in range(instances)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    moments = {}
    for request in sandbox.segment_requests:
        moments.setdefault(request.user, []).append(request.at)
    waits = sorted(later - earlier for earlier, later in moments.values())
    assert len(waits) == instances
    assert 0.2 <= waits[0] < waits[-1] <= 2
    assert waits[-1] - waits[0] > 0.05
