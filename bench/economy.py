"""
Measure economy: requests to Gladly per event, in the worst case.

Cold: `once` on an empty state file reads only creations, each of another conversation and another customer.
Warm: a daemon sees conversations created in one poll and closed in a later poll, and still knows the
customers.
"""

import time

from bench.harness import Ends, Figure, Options, daemon, python, run


def measure(options: Options) -> list[Figure]:
    """Count the requests as the sandbox saw them."""
    conversations = options.size(400, 60)
    colds, warms = [], []
    for _ in range(options.runs):
        colds.append(_cold(options, conversations))
        warms.append(_warm(options, conversations))
    return [
        Figure("requests to Gladly per event, cold: once on an empty state file", "", colds, bar=2.05),
        Figure(
            "requests to Gladly per event, warm: created in one poll, closed in the next", "", warms, bar=2.05
        ),
    ]


def _cold(options: Options, conversations: int) -> float:
    where = options.fresh("cold")
    made = {"conversations": conversations, "closed_fraction": 0.0, "over_s": 300.0}
    with Ends("bench.serve", '{"requests_per_second": null, "lateness_s": 0}') as ends:
        ends.ask("bulk", made)
        environment = ends.environment | {"GLADLY_SEGMENT_SYNC__START": "10m"}
        run(python("-m", "sync", "once"), environment, where)
        seen = ends.ask("seen")
    assert seen["events"] == conversations
    return float(seen["gladly"] / seen["events"])


def _warm(options: Options, conversations: int) -> float:
    where = options.fresh("warm")
    with Ends("bench.serve", '{"requests_per_second": null, "lateness_s": 0}') as ends:
        environment = ends.environment | {"GLADLY_SEGMENT_SYNC__EVERY": "1s"}
        with daemon(environment, where):
            _wait_for(ends, requests=2)  # Gladly's clock, and the first poll
            for command in ("open", "close"):
                before = ends.ask("seen")["events"]
                ends.ask(command, conversations)
                _wait_for(ends, events=before + conversations)
            seen = ends.ask("seen")
    return float(seen["gladly"] / seen["events"])


def _wait_for(ends: Ends, *, requests: int = 0, events: int = 0) -> None:
    deadline = time.monotonic() + 60
    while (seen := ends.ask("seen"))["gladly"] < requests or seen["events"] < events:
        if time.monotonic() > deadline:
            raise RuntimeError(f"After 60 s there were only {seen}.")
        time.sleep(0.02)
