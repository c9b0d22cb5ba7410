"""The commands that read changes again: `watermark show`, `watermark reset`, `resync`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync.cli.options import Options, check_instant, command, dry_run_option, json_option
from sync.cli.program import CommandGroup
from sync.cli.running import begin, print_preview

if TYPE_CHECKING:
    from datetime import datetime

    from state.store import Store
    from sync.settings.sections import Config
    from sync.stop import Stop


@click.group(cls=CommandGroup, subcommand_metavar="COMMAND [ARGUMENTS]")
def watermark() -> None:
    """
    Show or move the watermark.

    \b
    Example:
      gladly-segment watermark show
    """


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
    callback=check_instant,
    metavar="INSTANT",
    help="The new watermark: 2026-11-20T08:00Z, or an age like 36h or 7d.",
)
@click.option(
    "--replay", is_flag=True, help="Also send again the events delivered since then, with the same messageId."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.pass_obj
@command
def watermark_reset(options: Options, to: str, replay: bool, yes: bool) -> None:
    """
    Move the watermark.

    The next cycle reads every change since the new watermark again. It recognises recorded events and does
    not send them twice. With --replay, it sends again the events delivered since then.

    \b
    Example:
      gladly-segment watermark reset --to 6h
      gladly-segment watermark reset --to 2026-11-20T08:00Z --replay --yes
    """
    from state.instants import is_age, parse_instant, utc_now
    from state.store import Store

    path = options.state_path
    now = _present(options) if is_age(to) else utc_now()
    position = parse_instant(to, now)
    click.echo(_meaning_of_reset(path, position, now, replay=replay))
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Without a terminal, reset cannot ask for confirmation. Add --yes.")
        click.confirm("Move the watermark?", abort=True)
    with Store(path) as store:
        store.reset_watermark(position)
        again = store.outbox.replay(position) if replay else 0
    click.echo("Done." + (f" Events pending again: {again}." if replay else ""))


def _present(options: Options, loaded: "tuple[Config, Stop] | None" = None) -> "datetime":
    """
    Return the present by Gladly's clock, from which an age counts.

    Where Gladly cannot be asked, this machine's clock counts, and a line says so.

    Args:
        options: The options before the command.
        loaded: The settings and the stop, where the command has them already.
    """
    from state.instants import utc_now
    from sync.errors import GladlySegmentError, StoppedError
    from sync.runtime.build import gladly_client
    from sync.stop import Stop

    try:
        config, stop = loaded or (options.load(), Stop())
        tuning = options.tuning
        client = gladly_client(config, stop, tuning._replace(retry=tuning.retry._replace(max_attempts=1)))
        try:
            return client.beginning()
        finally:
            client.close()
    except StoppedError:
        raise
    except GladlySegmentError as error:
        click.echo(f"Ages count from this machine's clock, since Gladly cannot be asked: {error}", err=True)
        return utc_now()


def _meaning_of_reset(path: Path, to: "datetime", now: "datetime", *, replay: bool) -> str:
    """
    Return what moving the watermark to *to* means.

    Args:
        path: The state file.
        to: The new watermark.
        now: The present, by Gladly's clock where it is known.
        replay: Whether delivered events are sent again.

    Raises:
        click.UsageError: *to* is in the future.
        StateFileError: The state file cannot be read.
    """
    from state.file import is_there
    from state.instants import to_text
    from state.reader import Reader
    from sync.cli.screens.watermark import reset_meaning

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
    callback=check_instant,
    metavar="INSTANT",
    help="The beginning of the interval: 2026-11-01, or an age like 36h or 7d.",
)
@click.option(
    "--until", callback=check_instant, metavar="INSTANT", help="The end of the interval. The default is now."
)
@dry_run_option()
@click.pass_obj
@command
def resync(options: Options, since: str, until: str | None, dry_run: bool) -> None:
    """
    Read a past interval again and send what is missing.

    The interval may be of any age. The watermark does not move. After an interruption, the same command
    continues where it stopped. A daemon may be running: the two take turns.

    \b
    Example:
      gladly-segment resync --since 2026-11-01 --until 2026-11-08 --dry-run
      gladly-segment resync --since 7d
    """
    from sync.runtime.build import refuse_other_organization

    config, stop = begin(options)
    refuse_other_organization(config)  # before Gladly is asked for its clock
    start, end = _interval(since, until, _present(options, (config, stop)))
    if dry_run:
        print_preview(config, stop, (start, end))
        return
    from state.instants import is_age
    from state.locks import RESYNC
    from state.store import Store

    with Store(config.state_path, RESYNC, migrate=True, sleep=stop.sleep) as store:
        start, end = _unfinished(store, is_age(since), start, end)
        _run_resync(config, store, start, end, stop)


def _interval(since: str, until: str | None, now: "datetime") -> "tuple[datetime, datetime]":
    """
    Return the interval to read. Without *until*, it ends at the next full minute.

    Args:
        since, until: Each an INSTANT. An age counts from *now*.
        now: The present, by Gladly's clock where it is known.

    Raises:
        SettingsError: The interval is empty.
    """
    from datetime import timedelta

    from state.instants import parse_instant, to_text
    from sync.errors import SettingsError

    start = parse_instant(since, now)
    # A full minute, so that the same command, given again within the minute, means the same interval.
    next_minute = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = parse_instant(until, now) if until else next_minute
    if start >= end:
        raise SettingsError(f"--since {to_text(start)} must be before --until {to_text(end)}.")
    return start, end


def _unfinished(
    store: "Store", is_by_age: bool, since: "datetime", until: "datetime"
) -> "tuple[datetime, datetime]":
    """
    Return the interval of the interrupted resync that this command continues, or else the interval given.

    The same command continues it: the same instant, or the same age, which means another instant each time
    (*is_by_age*).
    Its end is the end that is asked for now. So what is read is the whole interval that was asked for.
    """
    from datetime import timedelta

    from state.instants import to_text, utc_now

    unfinished = store.resyncs.unfinished()
    if unfinished is None:
        return since, until
    found = unfinished.resync
    later = since - found.since
    is_same = not later
    if is_by_age:
        is_same = abs(later - (utc_now() - unfinished.started_at)) <= timedelta(minutes=5)
    has_read_what_is_between = later <= timedelta(0) or found.position >= since
    if not is_same or not has_read_what_is_between or found.position >= until:
        return since, until
    click.echo(f"Continuing the resync from {to_text(found.position)} to {to_text(until)}.", err=True)
    store.resyncs.extend(found.id, until)
    return found.since, until


def _run_resync(config: "Config", store: "Store", since: "datetime", until: "datetime", stop: "Stop") -> None:
    """
    Read the interval and send what is missing. Show the progress, and then the result.

    Raises:
        GladlySegmentError, StateError: The resync was interrupted. The same command continues it.
    """
    from state.instants import to_text
    from state.reader import Reader
    from sync.cli.screens.progress import shown_progress
    from sync.cli.screens.watermark import resync_result
    from sync.pipeline.record import Figures
    from sync.pipeline.resync import Progress
    from sync.runtime.build import build_pipeline
    from sync.telemetry.log import errors_told_by_the_command

    progress = Progress(since, Figures(), 0)
    with (
        errors_told_by_the_command(),  # the error that ends the resync is printed at its end
        build_pipeline(config, store, stop) as pipeline,
        shown_progress(since, until) as show,
    ):
        for progress in pipeline.resync.run(since, until):
            show(progress)
    click.echo(
        f"Read {to_text(since)} to {to_text(until)}. Changes: {progress.figures.changes}. "
        f"New: {progress.figures.created} created and {progress.figures.closed} closed. "
        f"Events delivered: {progress.delivered}."
    )
    with Reader(config.state_path) as reader:
        counts = reader.event_counts_between(to_text(since), to_text(until))
    click.echo(resync_result(counts, progress.delivered))
