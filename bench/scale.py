"""
Measure scale: long windows, big backlogs and a state file of years, each beside a small one.
"""

import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.harness import Ends, Figure, Options, Run, alternate, python, run
from bench.throughput import STATE, Window

MEMORY_MB = 90.0


def measure(options: Options) -> list[Figure]:
    """Measure every figure. Each must grow only with the amount of work."""
    return _long_window(options) + _memory(options) + _history(options) + _backlog(options)


def _long_window(options: Options) -> list[Figure]:
    changes, transitions = options.size(200_000, 5_000), options.size(10_000, 250)
    with Ends("bench.counterpart") as ends:
        window = Window(ends, options, changes, transitions)
        ours, floor = alternate(options.runs, window.sync, window.floor)
    title = f"{changes:,} changes with {transitions:,} transitions"
    return [
        Figure(f"{title}: wall", "s", [r.wall_s for r in ours], [r.wall_s for r in floor], "floor"),
        Figure(f"{title}: CPU", "s", [r.cpu_s for r in ours], [r.cpu_s for r in floor], "floor"),
        Figure(
            f"{title}: peak memory", "MB", [r.memory_mb for r in ours], [r.memory_mb for r in floor], "floor"
        ),
    ]


def _memory(options: Options) -> list[Figure]:
    changes = options.size(1_000_000, 50_000)
    with Ends("bench.counterpart") as ends:
        long = Window(ends, options, changes, changes // 100)
        short = Window(ends, options, 1_000, 10)
        # The long run is slow, and its memory is the same to a megabyte each time. Half the runs are enough.
        ours, beside = alternate(max(1, options.runs // 2), long.sync, short.sync)
    title = f"peak memory, {changes:,} changes"
    megabytes = [r.memory_mb for r in ours]
    return [
        Figure(f"{title} over 1,000", "MB", megabytes, [r.memory_mb for r in beside], "of 1,000", 1.3),
        Figure(title, "MB", megabytes, bar=MEMORY_MB),
    ]


def _history(options: Options) -> list[Figure]:
    conversations = options.size(1_000_000, 50_000)
    changes = options.size(4_000, 1_000)
    full, empty = options.fresh("full"), options.fresh("empty")
    salt = 0
    with Ends("bench.counterpart") as ends:
        run(
            python("-m", "bench.data", "history", str(full / STATE), str(conversations)),
            ends.environment,
            full,
        )
        run(python("-m", "sync", "once"), ends.environment, empty)

        def poll(where: Path) -> Run:
            nonlocal salt
            salt += 1
            feed = {"changes": changes, "transitions": changes // 2, "salt": salt}
            start = ends.ask("feed", feed)["start"]
            _put_watermark(where / STATE, start)
            found = run(python("-m", "sync", "once"), ends.environment, where)
            assert ends.ask("seen")["distinct"] == changes // 2
            return found

        def idle(where: Path) -> Run:
            ends.ask("feed", {"changes": 0, "transitions": 0})
            _put_watermark(where / STATE, None)
            return run(python("-m", "sync", "once"), ends.environment, where)

        poll(full)  # the cache then holds the recent part of the file, as under a daemon
        ours, beside, idle_ours, idle_beside = alternate(
            options.runs, lambda: poll(full), lambda: poll(empty), lambda: idle(full), lambda: idle(empty)
        )
        status, idle_status = alternate(
            options.runs,
            lambda: run(python("-m", "sync", "status"), ends.environment, full),
            lambda: run(python("-m", "sync", "status"), ends.environment, empty),
        )
    shutil.rmtree(full)
    shutil.rmtree(empty)
    title = f"with {conversations:,} conversations and {2 * conversations:,} events stored"
    return [
        Figure(
            f"a poll of {changes:,} changes {title}: {what}",
            "s",
            [getattr(r, key) for r in ours],
            [getattr(r, key) for r in beside],
            "empty",
            1.15,
        )
        for what, key in (("wall", "wall_s"), ("CPU", "cpu_s"))
    ] + [
        Figure(
            f"an idle once {title}: wall",
            "s",
            [r.wall_s for r in idle_ours],
            [r.wall_s for r in idle_beside],
            "empty",
            1.15,
        ),
        Figure(
            f"status {title}: wall", "s", [r.wall_s for r in status], [r.wall_s for r in idle_status], "empty"
        ),
    ]


def _put_watermark(state: Path, start: str | None) -> None:
    """Move the watermark with plain SQL, because `watermark reset` would be measured with it."""
    position = start or (datetime.now(UTC) - timedelta(seconds=60)).isoformat(timespec="milliseconds")
    with closing(sqlite3.connect(state)) as db, db:
        db.execute("UPDATE watermark SET position = ?", (position.replace("+00:00", "Z"),))


def _backlog(options: Options) -> list[Figure]:
    much, little = options.size(100_000, 10_000), options.size(10_000, 1_000)
    where = options.fresh("backlog")
    with Ends("bench.counterpart") as ends:
        for events in (much, little):
            run(
                python("-m", "bench.data", "pending", str(where / f"{events}.db"), str(events)),
                ends.environment,
                where,
            )

        def deliver(events: int) -> Run:
            for name in (STATE, STATE + "-wal", STATE + "-shm"):
                (where / name).unlink(missing_ok=True)
            shutil.copy(where / f"{events}.db", where / STATE)
            ends.ask("feed", {"changes": 0, "transitions": 0})
            found = run(python("-m", "sync", "once"), ends.environment, where)
            assert ends.ask("seen")["distinct"] == events
            return found

        ours, beside = alternate(options.runs, lambda: deliver(much), lambda: deliver(little))
    shutil.rmtree(where)
    title = f"delivering a backlog of {much:,} over one of {little:,}"
    name = f"of {little:,}"
    figures = [
        Figure(
            f"{title}: {what} per 1,000 events",
            "s",
            [getattr(r, key) * 1_000 / much for r in ours],
            [getattr(r, key) * 1_000 / little for r in beside],
            name,
            1.5,
        )
        for what, key in (("wall", "wall_s"), ("CPU", "cpu_s"))
    ]
    memory = [[r.memory_mb for r in runs] for runs in (ours, beside)]
    return [*figures, Figure(f"{title}: peak memory", "MB", memory[0], memory[1], name)]
