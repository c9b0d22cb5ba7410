"""Run programs side by side: measure their processes from outside, take medians, and show the table."""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
TIMEOUT_S = 900.0
_TAIL = 2_000


@dataclass(frozen=True)
class Run:
    """
    The figures of one process, from start to end.

    Attributes:
        started_at: `time.monotonic()` just before the process started. The clocks of other processes agree
            with it.
        wall_s: Seconds from start to end.
        cpu_s: User and system time of the process and its threads, in seconds.
        memory_mb: The peak resident set, in MiB.
        out: What the process printed on standard output.
    """

    started_at: float
    wall_s: float
    cpu_s: float
    memory_mb: float
    out: str

    @property
    def told(self) -> dict[str, Any]:
        """The JSON that the process printed."""
        told: dict[str, Any] = json.loads(self.out)
        return told


def python(*arguments: str) -> list[str]:
    """Return a command line for this interpreter with *arguments*."""
    return [sys.executable, *arguments]


def run(
    command: Sequence[str], environment: dict[str, str], directory: Path, *, allowed: tuple[int, ...] = (0,)
) -> Run:
    """
    Run a process to its end and measure it.

    The peak memory is the child's own only while this process stays small: across a fork the kernel also
    counts the parent's memory. So this process never builds anything large.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started_at = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 (our own command lines)
            command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        try:
            _, status, usage = _wait(process.pid)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall_s = time.monotonic() - started_at
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in allowed:
            tail = err.read().decode("utf-8", "replace")[-_TAIL:]
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{tail}")
        cpu_s = usage.ru_utime + usage.ru_stime
        return Run(started_at, wall_s, cpu_s, usage.ru_maxrss / 1024, out.read().decode())


def _wait(pid: int) -> Any:
    deadline = time.monotonic() + TIMEOUT_S
    step = 0.0005
    while True:
        found = os.wait4(pid, os.WNOHANG)
        if found[0]:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} did not end within {TIMEOUT_S:.0f} s")
        time.sleep(step)
        step = min(0.005, step * 1.2)


class Ends:
    """A process that plays Gladly and Segment and takes commands as JSON lines. A context manager."""

    def __init__(self, module: str, *arguments: str) -> None:
        self._command = python("-m", module, *arguments)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 (our own command line)
            self._command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        urls = self._listen()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GLADLY_")},
            "PYTHONPATH": str(ROOT),
            "GLADLY_SEGMENT_GLADLY__BASE_URL": urls["gladly"],
            "GLADLY_SEGMENT_GLADLY__USERNAME": "segment-sync@example.com",
            "GLADLY_SEGMENT_GLADLY__REQUESTS_PER_SECOND": "1000000",
            "GLADLY_SEGMENT_SEGMENT__BASE_URL": urls["segment"],
            "GLADLY_SEGMENT_SYNC__RECONCILE": "off",
            "GLADLY_API_TOKEN": "sandbox-token",
            "SEGMENT_WRITE_KEY": "sandbox-write-key",
        }
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, name: str, value: Any = None) -> Any:
        """Send one command and return its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({name: value}) + "\n")
        self._process.stdin.flush()
        return self._listen()

    def _listen(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended")
        return json.loads(line)


@contextmanager
def daemon(environment: dict[str, str], directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the daemon (`run`) until the block is left."""
    with (directory / "daemon.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 (our own command line)
            python("-m", "sync", "run"), cwd=directory, env=environment, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cpu_s_of(pid: int) -> float:
    """
    Return the CPU seconds that all threads of a running process have used so far.

    Linux's scheduler statistics count nanoseconds. The clock ticks of `stat` are too coarse for an idle
    process.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def memory_mb_of(pid: int) -> float:
    """Return the resident set of a running process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@dataclass
class Options:
    """How to measure. `quick` is a smoke run with small windows: its figures are not reliable."""

    runs: int
    quick: bool
    directory: Path
    say: Callable[[str], None]

    def fresh(self, name: str) -> Path:
        """Make an empty directory whose name begins with *name*."""
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))
        return path

    def size(self, full: int, quick: int) -> int:
        """Return *quick* for a quick run, otherwise *full*."""
        return quick if self.quick else full


def alternate(runs: int, *measured: Callable[[], Run]) -> list[list[Run]]:
    """Run each in turn, *runs* times, so that other load on the machine affects all of them equally."""
    found: list[list[Run]] = [[] for _ in measured]
    for _ in range(runs):
        for place, measure in zip(found, measured, strict=True):
            place.append(measure())
    return found


@dataclass
class Figure:
    """
    One line of the table: our median, and the median of the peer or limit beside it.

    Attributes:
        name: What is measured.
        unit: The unit of the values, as the table shows it.
        ours: Our value in each run.
        beside: The value of the peer or limit in each run. An empty list means that there is none.
        beside_name: The name of the peer or limit.
        bar: The limit of the ratio, or of our median when nothing is beside it. None means no bar.
        sense: Whether the bar is the highest or the lowest value allowed.
        ratio_of: `ours/beside`, or `beside/ours` where the peer must be slower.
    """

    name: str
    unit: str
    ours: list[float]
    beside: list[float] = field(default_factory=list)
    beside_name: str = ""
    bar: float | None = None
    sense: Literal["at most", "at least"] = "at most"
    ratio_of: Literal["ours/beside", "beside/ours"] = "ours/beside"

    @property
    def median(self) -> float:
        """The median of our runs."""
        return statistics.median(self.ours)

    @property
    def ratio(self) -> float | None:
        """The ratio of the two medians. None when nothing is beside ours."""
        if not self.beside:
            return None
        ours, beside = self.median, statistics.median(self.beside)
        above, below = (ours, beside) if self.ratio_of == "ours/beside" else (beside, ours)
        return above / below if below else math.inf

    @property
    def passes(self) -> bool | None:
        """Whether the figure keeps its bar. None when it has no bar."""
        if self.bar is None:
            return None
        value = self.median if self.ratio is None else self.ratio
        return value <= self.bar if self.sense == "at most" else value >= self.bar

    def as_json(self) -> dict[str, Any]:
        """Return all values, every run included, as JSON."""
        return asdict(self) | {
            "median": self.median,
            "beside_median": statistics.median(self.beside) if self.beside else None,
            "ratio": self.ratio,
            "passes": self.passes,
        }


def show(console: Console, group: str, figures: Sequence[Figure]) -> None:
    """Print the figures of one group as a table."""
    table = Table(box=box.SIMPLE, title=group, title_justify="left", title_style="bold")
    table.add_column("figure", max_width=58)
    for name in ("ours", "beside", "ratio", "bar"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for figure in figures:
        beside = f"{_number(statistics.median(figure.beside))} {figure.beside_name}" if figure.beside else ""
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        bar = "" if figure.bar is None else f"{'≤' if figure.sense == 'at most' else '≥'} {figure.bar:g}"
        verdict = {None: "", True: "[green]pass[/]", False: "[red]miss[/]"}[figure.passes]
        table.add_row(figure.name, f"{_number(figure.median)} {figure.unit}", beside, ratio, bar, verdict)
    console.print(table)


def _number(value: float) -> str:
    if value >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
