"""
Measure freshness: the time from visible at Gladly to received at Segment. The daemon polls every 2 seconds.

The shortest possible time is the wait for the next poll: half the interval on average.
"""

import random
import statistics
import time

from bench.harness import Ends, Figure, Options, daemon

EVERY_S = 2.0


def measure(options: Options) -> list[Figure]:
    """Measure conversations that begin at random moments."""
    medians, slowest = [], []
    for number in range(options.runs):
        seconds = _one(options, number)
        medians.append(statistics.median(seconds))
        slowest.append(statistics.quantiles(seconds, n=20)[-1])
    least = [EVERY_S / 2] * options.runs
    most = [EVERY_S] * options.runs
    title = f"visible at Gladly to received at Segment, polling every {EVERY_S:g} s"
    return [
        Figure(f"{title}: median", "s", medians, least, "wait"),
        Figure(f"{title}: 95 of 100", "s", slowest, most, "wait"),
    ]


def _one(options: Options, number: int) -> list[float]:
    draw = random.Random(number)  # noqa: S311 (moments, not secrets)
    where = options.fresh("freshness")
    count = options.size(40, 10)
    with Ends("bench.serve", '{"requests_per_second": null, "lateness_s": 0}') as ends:
        environment = ends.environment | {"GLADLY_SEGMENT_SYNC__EVERY": f"{EVERY_S:g}s"}
        with daemon(environment, where):
            while ends.ask("seen")["gladly"] < 2:
                time.sleep(0.05)
            for _ in range(count):
                ends.ask("open", 1)
                time.sleep(draw.uniform(0.0, 0.8))
            deadline = time.monotonic() + 30
            while ends.ask("seen")["events"] < count and time.monotonic() < deadline:
                time.sleep(0.05)
            seconds: list[float] = ends.ask("freshness")
    assert len(seconds) == count
    return seconds
