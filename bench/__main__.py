"""`python -m bench`: which figures, how often, and the table (see the package)."""

import argparse
import importlib
import json
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from rich.console import Console

from bench.harness import Figure, Options, show

# In the order of the table; each is a module of this package with a `measure`.
GROUPS = ("economy", "pace", "throughput", "scale", "idle", "freshness")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and show."""
    options = _parser().parse_args(arguments)
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        _parser().error(f"no such figures: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    runs = options.runs or (1 if options.quick else 5)
    console = Console(width=None if sys.stdout.isatty() else 130)
    found: dict[str, list[Figure]] = {}
    with tempfile.TemporaryDirectory(prefix="gladly-segment-bench-") as directory:
        for group in options.groups or GROUPS:
            console.print(f"[dim]{group} …[/]")
            began = time.monotonic()
            module: ModuleType = importlib.import_module(f"bench.{group}")
            how = Options(runs, options.quick, Path(directory), console.print)
            found[group] = module.measure(how)
            show(console, f"{group} ({time.monotonic() - began:.0f} s)", found[group])
    figures = [figure for group in found.values() for figure in group]
    missed = [figure.name for figure in figures if figure.passes is False]
    kept = sum(figure.passes is True for figure in figures)
    console.print(f"medians of {runs} runs; {kept} bars kept, {len(missed)} missed")
    if options.quick:
        console.print("a quick run: small windows, no figure to rely on")
    if options.json:
        made = {group: [figure.as_json() for figure in of] for group, of in found.items()}
        options.json.write_text(json.dumps({**_machine(runs), "figures": made}, indent=1) + "\n", "utf-8")
    return 1 if missed and options.strict else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="FIGURES", help=f"of: {', '.join(GROUPS)} (all)")
    parser.add_argument("--runs", type=int, help="medians of so many (5)")
    parser.add_argument("--quick", action="store_true", help="a smoke run of a minute")
    parser.add_argument("--json", type=Path, metavar="PATH", help="every run, as JSON")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a bar is missed")
    return parser


def _machine(runs: int) -> dict[str, object]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "runs": runs,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
    }


if __name__ == "__main__":
    sys.exit(main())
