"""
Measure throughput: from feed to Segment without a rate limit, and the delivery half alone.

The whole way is beside the floor and a dlt pipeline that does the same job. The delivery half is beside
`segment-analytics-python`. Gladly and Segment answer from a process of their own on the same two cores. The
wall figures include that process, the CPU figures do not.
"""

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.harness import Ends, Figure, Options, Run, alternate, python, run

FLOOR = str(Path(__file__).with_name("floor.py"))
STATE = "gladly-segment.db"


class Window:
    """One window of changes that each program reads and delivers, starting without any state."""

    def __init__(self, ends: Ends, options: Options, changes: int, transitions: int) -> None:
        self._ends, self._options = ends, options
        self._transitions = transitions
        feed: dict[str, Any] = {"changes": changes, "transitions": transitions}
        # Always the same window, so that its events are the same to the byte.
        self._feed = feed | ends.ask("feed", feed)
        self._expected: tuple[str, int] | None = None

    def sync(self) -> Run:
        """Run ours: `once` on a new state file."""
        return self._measure("sync", lambda _, __: python("-m", "sync", "once"))

    def floor(self) -> Run:
        """Run the bare script."""
        return self._measure(
            "floor", lambda start, where: python(FLOOR, str(where / "floor.db"), "--start", start)
        )

    def dlt(self) -> Run:
        """Run the dlt pipeline."""
        module = "bench.peers.dlt_pipeline"
        return self._measure("dlt", lambda start, where: python("-m", module, str(where), start))

    def _measure(self, name: str, command: Callable[[str, Path], list[str]]) -> Run:
        start = self._ends.ask("feed", self._feed)["start"]
        where = self._options.fresh(name)
        environment = {
            **self._ends.environment,
            "GLADLY_SEGMENT_SYNC__START": start,
            "DLT_DATA_DIR": str(where),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "EXTRACT__WORKERS": "8",  # as many as ours
        }
        found = run(command(start, where), environment, where)
        shutil.rmtree(where)
        seen = self._ends.ask("seen")
        if not seen["events"] == seen["distinct"] == self._transitions:
            raise RuntimeError(f"{name}: {seen['distinct']} of {self._transitions} events arrived")
        if name != "dlt":  # the floor counts only if it requests the same and sends the same
            told = seen["digest"], seen["gladly"]
            if self._expected not in (None, told):
                raise RuntimeError(f"{name} asked or sent something else: {told}, not {self._expected}")
            self._expected = told
        return replace(found, wall_s=seen["last_post_at"] - found.started_at)


def measure(options: Options) -> list[Figure]:
    """Measure the whole way, then the delivery half."""
    return _whole_way(options) + _delivery(options)


def _whole_way(options: Options) -> list[Figure]:
    changes = options.size(10_000, 1_000)
    events = changes // 2
    has_dlt = importlib.util.find_spec("dlt") is not None
    with Ends("bench.counterpart") as ends:
        window = Window(ends, options, changes, events)
        programs = [window.sync, window.floor] + ([window.dlt] if has_dlt else [])
        sync, floor, *rest = alternate(options.runs, *programs)
    per_1000 = 1_000 / events
    title = f"{changes:,} changes, half of them transitions"
    figures = [
        Figure(
            f"{title}: start to last acknowledgement",
            "s",
            [r.wall_s for r in sync],
            [r.wall_s for r in floor],
            "floor",
            2.0,
        ),
        Figure(
            f"{title}: CPU per 1,000 events",
            "s",
            [r.cpu_s * per_1000 for r in sync],
            [r.cpu_s * per_1000 for r in floor],
            "floor",
            2.0,
        ),
        Figure(
            f"{title}: events a second",
            "/s",
            [events / r.wall_s for r in sync],
            [events / r.wall_s for r in floor],
            "floor",
        ),
    ]
    if not has_dlt:
        options.say("dlt is not installed (dependency group bench): its figures are left out")
        return figures
    (dlt,) = rest
    figures += [
        Figure(
            f"{title}: how much faster than a dlt pipeline",
            "s",
            [r.wall_s for r in sync],
            [r.wall_s for r in dlt],
            "dlt",
            2.5,
            "at least",
            "beside/ours",
        ),
        Figure(
            f"{title}: CPU per 1,000 events",
            "s",
            [r.cpu_s * per_1000 for r in sync],
            [r.cpu_s * per_1000 for r in dlt],
            "dlt",
        ),
    ]
    return figures


def _delivery(options: Options) -> list[Figure]:
    events = options.size(10_000, 1_000)
    where = options.fresh("delivery")
    state, lines = where / "made.db", where / "events.jsonl"
    with Ends("bench.counterpart") as ends:
        run(python("-m", "bench.data", "pending", str(state), str(events)), ends.environment, where)
        run(python("-m", "bench.data", "jsonl", str(lines), str(events)), ends.environment, where)

        def sync() -> Run:
            for name in (STATE, STATE + "-wal", STATE + "-shm"):
                (where / name).unlink(missing_ok=True)
            shutil.copy(state, where / STATE)
            return _all_arrive(ends, events, python("-m", "sync", "once"), where)

        def analytics() -> Run:
            return _all_arrive(ends, events, python("-m", "bench.peers.analytics", str(lines)), where)

        ours, peer = alternate(options.runs, sync, analytics)
    shutil.rmtree(where)
    name = "segment-analytics"
    return [
        Figure(
            f"delivering {events:,} pending events: CPU",
            "s",
            [r.cpu_s for r in ours],
            [r.cpu_s for r in peer],
            name,
            0.6,
        ),
        Figure(
            f"delivering {events:,} pending events: start to last acknowledgement",
            "s",
            [r.wall_s for r in ours],
            [r.wall_s for r in peer],
            name,
        ),
        Figure(
            f"delivering {events:,} pending events: peak memory",
            "MB",
            [r.memory_mb for r in ours],
            [r.memory_mb for r in peer],
            name,
        ),
    ]


def _all_arrive(ends: Ends, events: int, command: list[str], where: Path) -> Run:
    ends.ask("feed", {"changes": 0, "transitions": 0})
    found = run(command, ends.environment, where)
    seen = ends.ask("seen")
    if not seen["events"] == seen["distinct"] == events:
        raise RuntimeError(f"{command}: {seen['distinct']} of {events} events arrived")
    return replace(found, wall_s=seen["last_post_at"] - found.started_at)
