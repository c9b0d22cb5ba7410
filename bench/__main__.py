"""Measure the chosen figures, and print the table of medians (see the package)."""

import argparse
import compileall
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

# In the order of the table. Each group is a module of this package with a `measure`.
GROUPS = ("economy", "pace", "throughput", "scale", "idle", "freshness")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the chosen groups, show their figures, and return the exit code."""
    options = _parser().parse_args(arguments)
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        _parser().error(f"no such figures: {', '.join(sorted(unknown))}. Choose from {', '.join(GROUPS)}.")
    runs = options.runs or (1 if options.quick else 5)
    console = Console(width=None if sys.stdout.isatty() else 130)
    found: dict[str, list[Figure]] = {}
    _compile()
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
        console.print("This was a quick run with small windows. Do not rely on its figures.")
    if options.json:
        made = {group: [figure.as_json() for figure in of] for group, of in found.items()}
        options.json.write_text(json.dumps({**_machine(runs), "figures": made}, indent=1) + "\n", "utf-8")
    return 1 if missed and options.strict else 0


def _compile() -> None:
    """
    Write the bytecode of our modules, as an installation does (pip compiles what it installs).

    Where PYTHONDONTWRITEBYTECODE is set, Python would compile a checkout anew at each start, and the peers,
    which are installed, not.
    """
    for directory in ("sync", "state", "bench"):
        if not compileall.compile_dir(directory, quiet=1):
            raise SystemExit(f"The modules of {directory} do not compile.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="FIGURES", help=f"any of {', '.join(GROUPS)} (default: all)"
    )
    parser.add_argument("--runs", type=int, help="how many runs each median is of (default: 5)")
    parser.add_argument("--quick", action="store_true", help="do a smoke run of a minute")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write every run to PATH as JSON")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a bar is missed")
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
