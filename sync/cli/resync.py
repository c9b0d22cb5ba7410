"""`resync`: a past interval read again, with its progress shown; and the copy that a dry run works on."""

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import click

from state import Reader, Store
from state.file import RESYNC, is_there
from state.instants import short_duration, to_text, utc_now
from sync.errors import SettingsError
from sync.pipeline.intake import Figures
from sync.pipeline.resync import Progress
from sync.runtime.build import build_pipeline
from sync.settings.sections import Config
from sync.stop import Stop

# An interrupted resync is gone on with when the same command is given again within a day.
_SAME_AGE = timedelta(days=1)

# Where there is no terminal, a line this often is enough.
_LINE_EVERY_S = 10.0


def run_resync(config: Config, since: datetime, until: datetime | None, stop: Stop, *, dry_run: bool) -> int:
    """
    Read an interval again and send what was missed.

    Args:
        until: None is now.
        dry_run: Show the events that would be sent, as JSON lines, and leave everything as it is.

    Returns: the exit code.

    Raises:
        SettingsError: The interval is none.
        GladlySegmentError, StateError: It was interrupted; the same command goes on from there.
    """
    # To the minute, so that the same command, given again, is the same interval.
    end = until or utc_now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    if since >= end:
        raise SettingsError(f"--since {to_text(since)} must lie before --until {to_text(end)}.")
    if dry_run:
        with copied_store(config.state_path) as store, build_pipeline(config, store, stop) as pipeline:
            for payload in pipeline.preview.of_a_resync(since, end):
                click.echo(payload)
        return 0
    with (
        Store(config.state_path, RESYNC) as store,
        build_pipeline(config, store, stop) as pipeline,
    ):
        unfinished = store.unfinished_resync() if until is None else None
        # An age such as 7d is another instant each time it is given.
        if unfinished is not None and abs(unfinished.since - since) <= _SAME_AGE:
            since, end = unfinished.since, unfinished.until
            click.echo(f"Going on with the resync of {to_text(since)} to {to_text(end)}.", err=True)
        progress = Progress(since, Figures(), 0)
        with _progress(since, end) as show:
            for progress in pipeline.resync.run(since, end):
                show(progress.position, progress.figures)
    read = progress.figures
    click.echo(
        f"Read {to_text(since)} to {to_text(end)}: {read.changes} changes; {read.created} created and "
        f"{read.closed} closed that were not known; {progress.delivered} events delivered."
    )
    return 0


@contextlib.contextmanager
def copied_store(path: Path) -> Iterator[Store]:
    """A dry run writes to a copy, so the state file stays as it is, byte for byte, and may be in use."""
    with tempfile.TemporaryDirectory(prefix="gladly-segment-") as directory:
        copy = Path(directory) / path.name
        if is_there(path):
            with Reader(path) as reader:
                reader.copy_to(copy)
        with Store(copy) as store:
            yield store


@contextlib.contextmanager
def _progress(since: datetime, until: datetime) -> Iterator[Callable[[datetime, Figures], None]]:
    """A bar on a terminal, plain lines elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines(since, until)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[events]} events"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("reading", total=(until - since).total_seconds(), events=0)

        def show(position: datetime, figures: Figures) -> None:
            progress.update(
                task,
                completed=(position - since).total_seconds(),
                description=f"{position:%Y-%m-%d}",
                events=figures.created + figures.closed,
            )

        yield show


class _Lines:
    def __init__(self, since: datetime, until: datetime) -> None:
        self._since, self._until = since, until
        self._begun = time.monotonic()
        self._due = 0.0

    def __call__(self, position: datetime, figures: Figures) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + _LINE_EVERY_S
        done = (position - self._since) / (self._until - self._since)
        left = (now - self._begun) * (1 - done) / done if done > 0 else 0.0
        events = figures.created + figures.closed
        click.echo(
            f"{position:%Y-%m-%d %H:%M}  {done:.0%}  {events} events  about {short_duration(left)} left",
            err=True,
        )
