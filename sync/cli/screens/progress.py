"""What `resync` and `compare` print while they read: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

from state.instants import short_duration

if TYPE_CHECKING:
    from sync.audit.compare import Progress as Compared
    from sync.pipeline.resync import Progress

# How often a line is printed where there is no terminal, in seconds.
_LINE_EVERY_S = 10.0


@contextlib.contextmanager
def shown_progress(since: datetime, until: datetime) -> Iterator[Callable[["Progress"], None]]:
    """
    Show on standard error how far a resync of this interval has come.

    Yields: a function to call each time the resync reports its progress.
    """
    if not sys.stderr.isatty():
        yield _Lines(since, until)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[events]} events"),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading", total=(until - since).total_seconds(), events=0)

        def show(progress: "Progress") -> None:
            bar.update(
                task,
                completed=(progress.position - since).total_seconds(),
                description=f"{progress.position:%Y-%m-%d}",
                events=progress.figures.created + progress.figures.closed,
            )

        yield show


@contextlib.contextmanager
def shown_comparing() -> Iterator[Callable[["Compared"], None]]:
    """
    Show on standard error how far a comparison has come.

    Yields: a function to call each time the comparison reports its progress.
    """
    if not sys.stderr.isatty():
        yield _ComparedLines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as ProgressBar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[lines]} lines"),
        TimeRemainingColumn(),
    )
    with ProgressBar(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks = {stage: bar.add_task(stage, total=None, lines=0) for stage in ("reading", "comparing")}

        def show(compared: "Compared") -> None:
            total = None if compared.done is None else 1.0
            bar.update(tasks[compared.stage], total=total, completed=compared.done or 0, lines=compared.lines)

        yield show


class _ComparedLines:
    """Prints a line at most every `_LINE_EVERY_S` seconds, and none for what is done before that."""

    def __init__(self) -> None:
        self._due = time.monotonic() + _LINE_EVERY_S

    def __call__(self, compared: "Compared") -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _LINE_EVERY_S
        done = "" if compared.done is None else f"  {compared.done:.0%}"
        click.echo(f"{compared.stage}{done}  {compared.lines} lines", err=True)


class _Lines:
    """Prints a line at most every `_LINE_EVERY_S` seconds."""

    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._begun = time.monotonic()
        self._due = 0.0

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _LINE_EVERY_S
        done = (progress.position - self._since) / (self._until - self._since)
        left_s = (now - self._begun) * (1 - done) / done if done > 0 else 0.0
        events = progress.figures.created + progress.figures.closed
        left = short_duration(left_s)
        click.echo(
            f"{progress.position:%Y-%m-%d %H:%M}  {done:.0%}  {events} events  about {left} left", err=True
        )
