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

    from state.store import Store
    from sync.settings.sections import Config
    from sync.stop import Stop


@click.group()
def watermark() -> None:
    """Show or move the watermark."""


@watermark.command("show")
@json_option("Print one JSON object.")
@click.pass_obj
@command
def watermark_show(options: Options, as_json: bool) -> None:
    """
    Show the watermark.

    Every change that Gladly recorded before the watermark has been read.

    \b
    Example:
      gladly-segment watermark show
    """
    from state.instants import short_duration, utc_now
    from state.reader import read_status

    found = read_status(options.state_path, utc_now())
    if as_json:
        click.echo(
            json.dumps({name: found[name] for name in ("watermark", "lag_seconds", "gap_seconds_left")})
        )
    elif found["watermark"] is None:
        click.echo("No watermark yet. The first cycle sets it (sync.start).")
    else:
        click.echo(f"{found['watermark']}  ({short_duration(found['lag_seconds'])} ago)")


@watermark.command("reset")
@click.option(
    "--to",
    required=True,
    callback=read_instant,
    metavar="INSTANT",
    help="The new watermark: 2026-11-20T08:00Z, or an age like 36h or 7d.",
)
@click.option(
    "--replay", is_flag=True, help="Also send again the events delivered since then, with the same messageId."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
@command
def watermark_reset(options: Options, to: "datetime", replay: bool, yes: bool) -> None:
    """
    Move the watermark.

    The next cycle reads every change since the new watermark again. It recognises recorded events and does
    not send them twice. With --replay, it sends again the events delivered since then.

    \b
    Example:
      gladly-segment watermark reset --to 6h
      gladly-segment watermark reset --to 2026-11-20T08:00Z --replay --yes
    """
    from state.store import Store

    path = options.state_path
    click.echo(_meaning_of_reset(path, to, replay=replay))
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Without a terminal, reset cannot ask for confirmation. Add --yes.")
        click.confirm("Move the watermark?", abort=True)
    with Store(path) as store:
        store.reset_watermark(to)
        again = store.outbox.replay(to) if replay else 0
    click.echo("Done." + (f" Events pending again: {again}." if replay else ""))


def _meaning_of_reset(path: Path, to: "datetime", *, replay: bool) -> str:
    """
    Return what moving the watermark to *to* means.

    Raises:
        click.UsageError: *to* is in the future.
        StateFileError: The state file cannot be read.
    """
    from state.file import is_there
    from state.instants import to_text, utc_now
    from state.reader import Reader
    from sync.cli.screens.watermark import reset_meaning

    now = utc_now()
    if to > now:
        raise click.UsageError(
            f"{to_text(to)} is in the future. The sync would read nothing until then. Choose a past instant."
        )
    if not is_there(path):
        return reset_meaning(None, to, now, None, replay=replay)
    with Reader(path) as reader:
        row = reader.watermark()
        counts = reader.counts_since(to_text(to))
    return reset_meaning(row["position"] if row else None, to, now, counts, replay=replay)


@click.command()
@click.option(
    "--since",
    required=True,
    callback=read_instant,
    metavar="INSTANT",
    help="The beginning of the interval: 2026-11-01, or an age like 36h or 7d.",
)
@click.option(
    "--until", callback=read_instant, metavar="INSTANT", help="The end of the interval. The default is now."
)
@dry_run_option()
@click.pass_obj
@command
def resync(options: Options, since: "datetime", until: "datetime | None", dry_run: bool) -> None:
    """
    Read a past interval again and send what is missing.

    The interval may be of any age. The watermark does not move. After an interruption, the same command
    continues where it stopped. A daemon may be running: the two take turns.

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
    from state.locks import RESYNC
    from state.store import Store

    with Store(config.state_path, RESYNC, migrate=True, sleep=stop.sleep) as store:
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
        raise SettingsError(f"--since {to_text(since)} must be before --until {to_text(end)}.")
    return since, end


def _unfinished(store: "Store", since: "datetime", until: "datetime") -> "tuple[datetime, datetime]":
    """
    Return the interval of the interrupted resync that this command continues, or else the interval given.

    An age such as 7d means another instant each time. So *since* may differ by up to a day from the beginning
    of the interrupted interval.
    """
    from datetime import timedelta

    from state.instants import to_text

    unfinished = store.resyncs.unfinished()
    if unfinished is None or abs(unfinished.since - since) > timedelta(days=1):
        return since, until
    click.echo(
        f"Continuing the resync from {to_text(unfinished.since)} to {to_text(unfinished.until)}.", err=True
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
    from sync.pipeline.record import Figures
    from sync.pipeline.resync import Progress
    from sync.runtime.build import build_pipeline

    progress = Progress(since, Figures(), 0)
    with build_pipeline(config, store, stop) as pipeline, shown_progress(since, until) as show:
        for progress in pipeline.resync.run(since, until):
            show(progress)
    read = progress.figures
    click.echo(
        f"Read {to_text(since)} to {to_text(until)}. Changes: {read.changes}. "
        f"New: {read.created} created and {read.closed} closed. Events delivered: {progress.delivered}."
    )
