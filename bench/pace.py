"""
Measure the pace at 200 ms latency: the share of the allowed rate that is used while there is work, and the
largest number of requests in any second. Every period of one second counts, not only whole seconds of the
clock.

The largest number has its bar where requests leave, at the pacer, with as many threads as the look-ups have.
The number of arrivals is shown without a bar. On a busy machine a thread that got its turn may still wait for
a core, and then the next request seems to come early.
"""

import json
import threading
import time
from bisect import bisect_left

from bench.harness import Ends, Figure, Options, python, run
from sync.http.pacer import Pacer
from sync.http.retry import RetryPolicy
from sync.stop import Stop

LATENCY_S = 0.2
THREADS = 8
CLOCK_S = 0.002  # between the pacer's reading of the clock and ours


def measure(options: Options) -> list[Figure]:
    """Measure at the default pace, and at a pace that eight concurrent requests can just keep."""
    figures = []
    for allowed in (7.0, 30.0):
        conversations = options.size(int(allowed * 10), int(allowed * 2))
        used, left, arrived = [], [], []
        for _ in range(options.runs):
            times = _arrivals(options, allowed, conversations)
            used.append((len(times) - 1) / (times[-1] - times[0]) / allowed)
            arrived.append(_most_in_a_second(times))
            left.append(_most_in_a_second(_departures(allowed, options.size(8, 3))))
        title = f"{allowed:g} requests a second allowed, 200 ms latency"
        figures += [
            Figure(f"{title}: share of them used", "", used, bar=0.95, sense="at least"),
            Figure(f"{title}: most that left in any second", "", left, bar=allowed),
            Figure(f"{title}: most that arrived in any second", "", arrived),
        ]
    return figures


def _most_in_a_second(times: list[float]) -> float:
    return float(max(bisect_left(times, at + 1.0 - CLOCK_S) - i for i, at in enumerate(times)))


def _arrivals(options: Options, allowed: float, conversations: int) -> list[float]:
    where = options.fresh("pace")
    given = {"requests_per_second": None, "lateness_s": 0, "latency_s": LATENCY_S}
    with Ends("bench.serve", json.dumps(given)) as ends:
        ends.ask("bulk", {"conversations": conversations, "closed_fraction": 0.0, "over_s": 300.0})
        environment = ends.environment | {
            "GLADLY_SEGMENT_SYNC__START": "10m",
            "GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND": str(allowed),
        }
        run(python("-m", "sync", "once"), environment, where)
        seen: list[tuple[str, float]] = ends.ask("requests")
    # While there is work for every thread: from the first look-up to the last.
    return sorted(at for path, at in seen if "/conversations/" in path or "/customer-profiles/" in path)


def _departures(allowed: float, seconds: float) -> list[float]:
    pacer, times = Pacer(allowed, Stop(), patience_s=RetryPolicy().patience_s), list[float]()
    end = time.monotonic() + seconds

    def calls() -> None:
        while time.monotonic() < end:
            pacer.wait()
            times.append(time.monotonic())
            time.sleep(LATENCY_S)

    threads = [threading.Thread(target=calls) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(times)
