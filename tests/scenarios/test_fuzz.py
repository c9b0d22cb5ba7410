"""
A world lives, and cycles, resyncs, resets, gaps and faults of the feed come at random. What Segment received
is what happened: each transition once, with the right fields.

GLADLY_SEGMENT_FUZZ_SEEDS sets how many worlds there are: a few in the suite, 200 for a long run.
"""

import email.utils
import os
import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sandbox import Sandbox
from state.instants import utc_now
from support.checker import problems, suppressed
from support.endpoints import EVENTS
from support.installation import Installation
from support.program import Program
from support.proxy import Proxy
from support.proxy_actions import answer, rewrite
from support.tuning import Tuned

pytestmark = pytest.mark.long

SEEDS = int(os.environ.get("GLADLY_SEGMENT_FUZZ_SEEDS", "6"))
STEPS = 14


def _cut_in_a_line(moments):
    """The feed ends in mid-line, and its message properly (faults H1.1)."""
    share = moments.random()
    return rewrite(lambda got: replace(got, body=got.body[: int(len(got.body) * share)]))


def _failed_in_the_middle(moments):
    """A later line says that the stream failed (faults H1.2)."""
    share, line = moments.random(), moments.choice([b'{"errors":[{"detail":"no"}]}\n', b'{"error":"no"}\n'])

    def change(got):
        lines = got.body.splitlines(keepends=True)
        return replace(got, body=b"".join(lines[: int(len(lines) * share)]) + line)

    return rewrite(change)


def _after_an_interim_answer(_):
    """An interim answer comes first (faults H1.3)."""

    def action(exchange):
        exchange.sock.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        return exchange.send(exchange.forward())

    return action


def _with_another_date(moments):
    """`Date` is not the clock of the records (faults H1.4)."""
    seconds = moments.choice([70, 300, 7_200, 365 * 86_400, -300])

    def change(got):
        then = email.utils.parsedate_to_datetime(dict(got.headers)["date"]) + timedelta(seconds=seconds)
        headers = [*got.without("date"), ("date", email.utils.format_datetime(then, usegmt=True))]
        return replace(got, headers=headers)

    return rewrite(change)


def _empty_and_not_gladly_s(_):
    """An empty 200 that is not Gladly's (faults H1.5)."""
    return answer(200, {"content-type": "text/plain"})


FAULTS = [
    _cut_in_a_line,
    _failed_in_the_middle,
    _after_an_interim_answer,
    _with_another_date,
    _empty_and_not_gladly_s,
]


class Course:
    """One run: a world, a proxy before its Gladly, and the sync, step by step."""

    def __init__(self, seed: int, program: Program, sandbox: Sandbox, proxy: Proxy) -> None:
        self.moments = random.Random(seed)
        self.program = program
        self.sandbox = sandbox
        self.proxy = proxy

    def step(self) -> None:
        """Let some time pass, and do something."""
        seconds = self.moments.choice([2, 5, 17, 40, 90, 600, 3_000])
        self.sandbox.clock.advance(seconds)
        # The world's clock has jumped against the monotonic one, as for a process that begins then.
        self.program.restart()
        self.moments.choice(
            [self.cycle, self.cycle, self.faulty_cycle, self.faulty_cycle, self.resync, self.reset]
        )()

    def cycle(self) -> None:
        """Run a cycle."""
        self.program.run()

    def faulty_cycle(self) -> None:
        """Run a cycle, and one more at once in which the feed is disturbed."""
        self.program.run()
        self.proxy.on(EVENTS, self.moments.choice(FAULTS)(self.moments), times=self.moments.choice([1, 1, 9]))
        self.sandbox.clock.advance(self.moments.choice([0, 1, 4]))
        self.program.run()
        self.proxy.script.clear()

    def resync(self) -> None:
        """Read some past again."""
        now = self.sandbox.clock.now().replace(microsecond=0)
        since = now - timedelta(seconds=self.moments.choice([60, 900, 40_000, 130_000]))
        for _ in self.program.pipeline.resync.run(since, now):
            pass

    def reset(self) -> None:
        """Put the watermark back."""
        back = timedelta(seconds=self.moments.choice([30, 600, 7_200, 100_000]))
        position = self.program.store.watermark()
        if position is not None:
            self.program.store.reset_watermark(position - back)
        self.program.run()

    def settle(self) -> datetime:
        """Let everything become visible and be delivered. Return until when the world counts."""
        until = self.sandbox.clock.now()
        for _ in range(4):
            self.sandbox.clock.advance(30)
            self.program.restart()
            self.program.store.recorded.retry(None)
            self.program.run()
        return until


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_lost_or_twice_or_wrong(tmp_path, monkeypatch, seed):
    """Whatever comes, in whatever order (faults H1)."""
    tuned = Tuned()
    tuned(
        retry={"max_attempts": 2, "first_backoff_s": 0.01},
        look_up={"linger_s": 0.1, "waits_for_late_changes": True},
    )
    start = utc_now().replace(microsecond=0) - timedelta(days=6)
    with (
        Sandbox(
            seed=seed,
            tempo=0.25,
            start=start,
            pace=0,
            lateness_s=15.0,
            requests_per_second=None,
            reports_per_minute=None,
        ) as sandbox,
        Proxy(sandbox.gladly_url) as proxy,
    ):
        variables = {"GLADLY__BASE_URL": proxy.url, "SYNC__START": "1m", "SYNC__RECONCILE": "off"}
        named = {f"GLADLY_SEGMENT_{name}": value for name, value in variables.items()}
        program = Program(Installation(tmp_path, sandbox, named), monkeypatch, tuned.values)
        course = Course(seed, program, sandbox, proxy)
        course.cycle()
        gap_at = course.moments.randrange(2 * STEPS)  # every other world has a gap
        for number in range(STEPS):
            if number == gap_at:
                sandbox.clock.advance(26 * 3_600)
            course.step()
        until = course.settle()
        events = program.events()
        program.close()
        assert problems(sandbox, since=start, until=until) == []
        assert suppressed(sandbox, events) == []
        assert len(sandbox.inbox.received) > 20
