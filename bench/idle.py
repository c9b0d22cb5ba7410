"""
Measure what the sync costs when nothing happens, which is most of the time.

The figures are an idle `once` as a process, an idle cycle inside the daemon, an hour of `run`, and the
commands that health checks and people use.
"""

import time
from pathlib import Path

from bench.harness import (
    Ends,
    Figure,
    Options,
    Run,
    alternate,
    cpu_s_of,
    daemon,
    memory_mb_of,
    python,
    run,
)
from bench.throughput import FLOOR

CYCLES_AN_HOUR = 60


def measure(options: Options) -> list[Figure]:
    """Measure beside the floor, and beside an interpreter that does nothing."""
    with Ends("bench.counterpart") as ends:
        return _once(ends, options) + _cycles(ends, options) + _hour(ends, options) + _commands(ends, options)


def _once(ends: Ends, options: Options) -> list[Figure]:
    where = options.fresh("idle")
    floor_state = str(where / "floor.db")

    def sync() -> Run:
        return run(python("-m", "sync", "once"), ends.environment, where)

    def floor() -> Run:
        return run(python(FLOOR, floor_state), ends.environment, where)

    sync()  # the first run creates the files, and asks for Gladly's clock
    floor()
    ours, bare = alternate(options.runs * 2, sync, floor)
    return [
        Figure("idle once: wall", "s", [r.wall_s for r in ours], [r.wall_s for r in bare], "floor", 2.5),
        Figure("idle once: CPU", "s", [r.cpu_s for r in ours], [r.cpu_s for r in bare], "floor"),
        Figure(
            "idle once: peak memory", "MB", [r.memory_mb for r in ours], [r.memory_mb for r in bare], "floor"
        ),
    ]


def _cycles(ends: Ends, options: Options) -> list[Figure]:
    where = options.fresh("cycles")
    count = str(options.size(200, 50))
    ours, bare = alternate(
        options.runs,
        lambda: run(python("-m", "bench.cycles", count), ends.environment, where),
        lambda: run(python(FLOOR, str(where / "floor.db"), "--cycles", count), ends.environment, where),
    )
    return [
        Figure(
            f"an idle cycle inside run: {what}",
            "ms",
            [1_000 * r.told[key] for r in ours],
            [1_000 * r.told[key] for r in bare],
            "floor",
            5.0,
        )
        for what, key in (("wall", "wall_s"), ("CPU", "cpu_s"))
    ]


def _hour(ends: Ends, options: Options) -> list[Figure]:
    """
    Calculate the cost of an hour from shorter runs.

    One run only waits. Another run polls often, which gives the cost of one cycle.
    """
    seconds = options.size(10, 3)
    hours, memory = [], []
    for _ in range(options.runs):
        where = options.fresh("hour")
        waiting_s, _, _ = _run_for(ends, where, "1h", seconds)
        polling_s, cycles, megabytes = _run_for(ends, where, "0.2s", seconds)
        a_cycle = (polling_s - waiting_s) / cycles if cycles else 0.0
        hours.append(3_600 / seconds * waiting_s + CYCLES_AN_HOUR * a_cycle)
        memory.append(megabytes)
    return [
        Figure("an idle hour of run, polling every minute: CPU, calculated from shorter runs", "s", hours),
        Figure("run, idle: resident memory", "MB", memory),
    ]


def _run_for(ends: Ends, where: Path, every: str, seconds: float) -> tuple[float, int, float]:
    """Return the CPU seconds, cycles and memory of a daemon for *seconds* seconds after its first cycle."""
    ends.ask("feed", {"changes": 0, "transitions": 0})
    environment = ends.environment | {"GLADLY_SEGMENT_SYNC__EVERY": every}
    with daemon(environment, where) as process:
        while not ends.ask("seen")["kinds"].get("events"):
            time.sleep(0.02)
        time.sleep(0.5)
        before, polls = cpu_s_of(process.pid), ends.ask("seen")["kinds"]["events"]
        time.sleep(seconds)
        after = cpu_s_of(process.pid)
        return after - before, ends.ask("seen")["kinds"]["events"] - polls, memory_mb_of(process.pid)


def _commands(ends: Ends, options: Options) -> list[Figure]:
    where = options.fresh("commands")
    run(python("-m", "sync", "once"), ends.environment, where)
    bare, helped, status = alternate(
        options.runs * 3,
        lambda: run(python("-c", "pass"), ends.environment, where),
        lambda: run(python("-m", "sync", "--help"), ends.environment, where),
        lambda: run(python("-m", "sync", "status"), ends.environment, where),
    )
    name, walls = "python", [r.wall_s for r in bare]
    return [
        Figure("--help: wall", "s", [r.wall_s for r in helped], walls, name, 8.0),
        Figure("status: wall", "s", [r.wall_s for r in status], walls, name, 12.0),
    ]
