"""The commands that read changes again: `watermark show`, `watermark reset`, `resync`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync.cli.options import Options, command, dry_run_option, json_option, read_instant
from sync.cli.running import begin, print_preview

if TYPE_CHECKING:
    from datetime import datetime

    from state import Store
    from sync.settings.sections import Config
    from sync.stop import Stop


@click.group()
def watermark() -> None:
    """Show where the sync stands, or move it."""


@watermark.command("show")
@json_option("One JSON object.")
@click.pass_obj
@command
def watermark_show(options: Options, as_json: bool) -> None:
    """
    Show the watermark: every change recorded before it has been taken in.

    \b
    Example:
      gladly-segment watermark show
    """
    from state.instants import short_duration, utc_now
    from state.status import read_status

    found = read_status(options.state_path, utc_now())
    if as_json:
        click.echo(
            json.dumps({name: found[name] for name in ("watermark", "lag_seconds", "gap_seconds_left")})
        )
    elif found["watermark"] is None:
        click.echo("No watermark yet: the first cycle sets it (sync.start).")
    else:
        click.echo(f"{found['watermark']}  ({short_duration(found['lag_seconds'])} ago)")


@watermark.command("reset")
@click.option(
    "--to", required=True, callback=read_instant, metavar="INSTANT", help="2026-11-20T08:00Z, 36h, 7d."
)
@click.option(
    "--replay", is_flag=True, help="Also send the delivered events since then again, same messageId."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
@command
def watermark_reset(options: Options, to: "datetime", replay: bool, yes: bool) -> None:
    """
    Move the watermark: the next cycle reads every change since then again.

    Events already recorded are recognised and not sent twice; --replay sends those delivered since then
    again.

    \b
    Example:
      gladly-segment watermark reset --to 6h
      gladly-segment watermark reset --to 2026-11-20T08:00Z --replay --yes
    """
    from state import Store

    path = options.state_path
    click.echo(_meaning_of_reset(path, to, replay=replay))
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody is here to ask. Add --yes to do it.")
        click.confirm("Do it?", abort=True)
    with Store(path) as store:
        store.reset_watermark(to)
        again = store.replay(to) if replay else 0
    click.echo("Done." + (f" {again} events are pending again." if replay else ""))


def _meaning_of_reset(path: Path, to: "datetime", *, replay: bool) -> str:
    """
    Return what moving the watermark to *to* means.

    Raises:
        click.UsageError: *to* is in the future.
        StateFileError: The state file cannot be read.
    """
    from state import Reader
    from state.file import is_there
    from state.instants import to_text, utc_now
    from sync.cli.screens.watermark import reset_meaning

    now = utc_now()
    if to > now:
        raise click.UsageError(
            f"{to_text(to)} lies in the future; the sync would wait for it and read nothing."
        )
    if not is_there(path):
        return reset_meaning(None, to, now, None, replay=replay)
    with Reader(path) as reader:
        row = reader.watermark()
        counts = reader.counts_since(to_text(to))
    return reset_meaning(row["position"] if row else None, to, now, counts, replay=replay)


@click.command()
@click.option("--since", required=True, callback=read_instant, metavar="INSTANT", help="2026-11-01, 36h, 7d.")
@click.option("--until", callback=read_instant, metavar="INSTANT", help="Now, where not given.")
@dry_run_option()
@click.pass_obj
@command
def resync(options: Options, since: "datetime", until: "datetime | None", dry_run: bool) -> None:
    """
    Read the changes of a past interval again, of any age, and send what was missed.

    The watermark stays where it is. Interrupted, the same command goes on where it stopped. A running daemon
    goes on polling: the two take turns.

    \b
    Example:
      gladly-segment resync --since 2026-11-01 --until 2026-11-08 --dry-run | wc -l
      gladly-segment resync --since 7d
    """
    config, stop = begin(options)
    since, end = _interval(since, until)
    if dry_run:
        print_preview(config, stop, (since, end))
        return
    from state import Store
    from state.file import RESYNC

    with Store(config.state_path, RESYNC) as store:
        if until is None:
            since, end = _unfinished(store, since, end)
        _run_resync(config, store, since, end, stop)


def _interval(since: "datetime", until: "datetime | None") -> "tuple[datetime, datetime]":
    """
    Return the interval to read. Without *until*, it ends at the next full minute.

    Raises:
        SettingsError: The interval is empty.
    """
    from datetime import timedelta

    from state.instants import to_text, utc_now
    from sync.errors import SettingsError

    # A full minute, so that the same command, given again within the minute, means the same interval.
    end = until or utc_now().replace(second=0, microsecond=0) + timedelta(minutes=1)
    if since >= end:
        raise SettingsError(f"--since {to_text(since)} must lie before --until {to_text(end)}.")
    return since, end


def _unfinished(store: "Store", since: "datetime", until: "datetime") -> "tuple[datetime, datetime]":
    """
    Return the interval of the interrupted resync that this command continues, or else the interval given.

    An age such as 7d is another instant each time. So a resync that began within a day of *since* is the same
    one.
    """
    from datetime import timedelta

    from state.instants import to_text

    unfinished = store.unfinished_resync()
    if unfinished is None or abs(unfinished.since - since) > timedelta(days=1):
        return since, until
    click.echo(
        f"Going on with the resync of {to_text(unfinished.since)} to {to_text(unfinished.until)}.", err=True
    )
    return unfinished.since, unfinished.until


def _run_resync(config: "Config", store: "Store", since: "datetime", until: "datetime", stop: "Stop") -> None:
    """
    Read the interval and send what is missing. Show the progress, and then the result.

    Raises:
        GladlySegmentError, StateError: The resync was interrupted. The same command continues it.
    """
    from state.instants import to_text
    from sync.cli.screens.progress import shown_progress
    from sync.pipeline.intake import Figures
    from sync.pipeline.resync import Progress
    from sync.runtime.build import build_pipeline

    progress = Progress(since, Figures(), 0)
    with build_pipeline(config, store, stop) as pipeline, shown_progress(since, until) as show:
        for progress in pipeline.resync.run(since, until):
            show(progress)
    read = progress.figures
    click.echo(
        f"Read {to_text(since)} to {to_text(until)}: {read.changes} changes; {read.created} created and "
        f"{read.closed} closed that were not known; {progress.delivered} events delivered."
    )
