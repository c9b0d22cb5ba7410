"""The commands that run the sync: `run` and `once`; and the dry run, which `resync` has too."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync.cli.errors import complain, exit_code_of
from sync.cli.options import Options, command, dry_run_option

if TYPE_CHECKING:
    from datetime import datetime

    from state.store import Store
    from sync.errors import CredentialsRefusedError
    from sync.runtime.build import Pipeline
    from sync.settings.sections import Config
    from sync.stop import Stop


@click.command()
@click.pass_obj
@command
def run(options: Options) -> None:
    """
    Run as a daemon: one cycle at once, then on schedule.

    SIGTERM or SIGINT ends it. SIGHUP does not.

    \b
    Example:
      gladly-segment run
      gladly-segment run --config /etc/gladly-segment/config.toml
    """
    from sync.stop import Hangup

    hangup = Hangup()
    hangup.listen()
    config, stop = begin(options)
    from sync.errors import StoppedError
    from sync.runtime.daemon import Daemon, open_store

    try:
        opened = open_store(config, stop)
    except StoppedError:
        return  # nothing has begun yet
    with (
        opened as store,
        contextlib.closing(
            Daemon(config, store, stop, hangup, debug=options.debug, tuning=options.tuning)
        ) as daemon,
    ):
        daemon.run()


@click.command()
@dry_run_option()
@click.pass_obj
@command
def once(options: Options, dry_run: bool) -> int:
    """
    Run one cycle (poll and deliver) and exit: for cron.

    \b
    Example:
      * * * * *  gladly-segment --config /etc/gladly-segment/config.toml once
      gladly-segment once --dry-run | jq .event
    """
    config, stop = begin(options)
    if dry_run:
        print_preview(config, stop)
        return 0
    from state.store import Store
    from sync.runtime.build import build_pipeline
    from sync.telemetry.heartbeat import Heartbeat
    from sync.telemetry.log import errors_told_by_the_command

    with (
        Store(config.state_path, migrate=True, sleep=stop.sleep) as store,
        build_pipeline(config, store, stop, tuning=options.tuning) as pipeline,
    ):
        with errors_told_by_the_command():
            report = pipeline.cycle.run(is_alone=True)
        if not report.errors:
            heartbeat = Heartbeat(config.secrets.heartbeat_url, stop)
            heartbeat.beat()
            heartbeat.wait()
        pipeline.cycle.tidy()
        errors = [*report.errors]
        if report.gladly_error is None and (refused := _prove(pipeline, stop)) is not None:
            errors.append(refused)
    for error in errors:
        complain(str(error))
    if not errors and sys.stderr.isatty():
        _explain_silence(options, config.state_path)
    return max((exit_code_of(error) for error in errors), default=0)


def _explain_silence(options: Options, path: Path) -> None:
    """Say since when the sync watches, to a person who sees no event. Cron is told nothing."""
    from state.reader import Reader
    from sync.cli.screens.silence import say_why, why_no_events

    with Reader(path) as reader:
        is_silent = not reader.last_event()
    if is_silent:
        say_why(why_no_events(path, options.again))


def _prove(pipeline: "Pipeline", stop: "Stop") -> "CredentialsRefusedError | None":
    """
    Reconcile, and audit one past day, where that is due (semantics 6). Send what was missing.

    Return the error where the credentials were refused. Any other is logged, and is no failure of the cycle.
    """
    from sync.errors import CredentialsRefusedError, GladlySegmentError, StoppedError
    from sync.runtime.proving import Proving

    proving = Proving(pipeline.reconciler, pipeline.audit, pipeline.ends)
    error: GladlySegmentError | None
    try:
        if proving.run(days=1) and not stop.is_set():
            pipeline.resync.send()
        error = proving.error
    except StoppedError:
        return None  # the next cycle sends it
    except GladlySegmentError as failed:
        error = failed
    return error if isinstance(error, CredentialsRefusedError) else None


def begin(options: Options) -> "tuple[Config, Stop]":
    """
    Prepare a command that talks to Gladly or Segment.

    SIGTERM and SIGINT set the returned `Stop` from now on, and logs go where the settings say.

    Raises:
        SettingsError: The settings hold mistakes.
    """
    from sync.stop import Stop, stop_on_signals

    stop = Stop()
    stop_on_signals(stop)  # first: a signal may arrive while the rest is imported
    config = options.load()
    from sync.telemetry import log

    log.configure(config.settings.log)
    return config, stop


def print_preview(
    config: "Config", stop: "Stop", interval: "tuple[datetime, datetime] | None" = None
) -> None:
    """
    Print the events that would be sent, as JSON lines. Store and send nothing.

    Args:
        config: The settings and the secrets.
        stop: Interrupts the preview when it is set.
        interval: The beginning and the end of a resync. None means a preview of one cycle.

    Raises:
        GladlySegmentError: Gladly failed.
        StateError: The state file cannot be read.
    """
    from sync.cli.screens.silence import say_why
    from sync.runtime.build import build_pipeline

    count = 0
    with copied_store(config.state_path) as store, build_pipeline(config, store, stop) as pipeline:
        preview = pipeline.preview
        for payload in preview.of_a_resync(*interval) if interval else preview.of_a_cycle():
            count += 1
            click.echo(payload)
    if not count and interval:
        say_why("Nothing would be sent: every conversation created or closed in this interval is known here.")
    elif not count:
        say_why("Nothing would be sent: Gladly recorded no new conversation created or closed.")


@contextlib.contextmanager
def copied_store(path: Path) -> "Iterator[Store]":
    """
    Open a temporary copy of the state file.

    A dry run writes to the copy. So the state file stays the same, byte for byte, and a daemon may be using
    it.
    """
    import tempfile

    from state.file import is_there
    from state.reader import Reader
    from state.store import Store

    with tempfile.TemporaryDirectory(prefix="gladly-segment-") as directory:
        copy = Path(directory) / path.name
        if is_there(path):
            with Reader(path) as reader:
                reader.copy_to(copy)
        with Store(copy, migrate=True, is_scratch=True) as store:
            yield store
