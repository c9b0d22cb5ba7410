"""The command that proves past days: `audit`."""

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sync.cli.errors import FAILED, complain, exit_code_of
from sync.cli.options import Options, command, dry_run_option, json_option
from sync.cli.running import begin, copied_store

if TYPE_CHECKING:
    from datetime import date

    from state.findings import AuditedDay
    from state.store import Store
    from sync.settings.sections import Config
    from sync.stop import Stop


@click.command()
@click.option(
    "--day",
    "days",
    multiple=True,
    metavar="DAY",
    help="A day of UTC to audit, like 2026-11-20; may be given several times. The default is every day that "
    "is not proved yet.",
)
@dry_run_option()
@json_option("Print one JSON object a line, one for each day.")
@click.pass_obj
@command
def audit(options: Options, days: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """
    Prove past days by Gladly's report, and send what is missing.

    A day can be audited six hours after its end. A daemon, which audits each day by itself, may be running:
    the two take turns. Exit 1 when a day could not be proved.

    \b
    Example:
      gladly-segment audit
      gladly-segment audit --day 2026-11-20 --dry-run
    """
    from sync.cli.screens.silence import say_why
    from sync.runtime.build import build_pipeline, refuse_other_organization

    wanted = [_day(text) for text in days] or None
    config, stop = begin(options)
    refuse_other_organization(config)
    code, count, found = 0, 0, 0
    with (
        _opened(config, stop, dry_run=dry_run) as store,
        build_pipeline(config, store, stop, tuning=options.tuning) as pipeline,
    ):
        for audited in pipeline.audit.run(wanted):
            count, found = count + 1, found + audited.found
            click.echo(json.dumps(_as_row(audited.row)) if as_json else _line(audited.row))
            if audited.row.outcome == "unproved":
                code = max(code, exit_code_of(audited.error) if audited.error else FAILED)
        if found and not dry_run:
            pipeline.resync.send()
    if not count:
        say_why(
            "No day is due: every whole day since the sync began that ended six hours ago or more is proved. "
            "Earlier days are read with: " + options.again("resync", "--since", "7d")
        )
    if found and dry_run:
        complain(f"Nothing was stored or sent. Without --dry-run, {found} missing events would be sent.")
    return code


def _day(text: str) -> "date":
    """
    Return the day that a person wrote.

    Raises:
        click.UsageError: It is not a day.
    """
    from datetime import date

    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise click.UsageError(f"--day {text!r} is not a day; write it like 2026-11-20.") from None


@contextlib.contextmanager
def _opened(config: "Config", stop: "Stop", *, dry_run: bool) -> "Iterator[Store]":
    """Open the state file beside a daemon that may be running; for a dry run, a copy of it."""
    from state.locks import AUDIT
    from state.store import Store

    if dry_run:
        with copied_store(config.state_path) as store:
            yield store
        return
    with Store(config.state_path, AUDIT, migrate=True, sleep=stop.sleep) as store:
        yield store


def _as_row(row: "AuditedDay") -> dict[str, Any]:
    from state.instants import to_text

    return {**row._asdict(), "audited_at": to_text(row.audited_at), "outcome": row.outcome.value}


def _line(row: "AuditedDay") -> str:
    """Return what a day's audit came to, in one line."""
    from sync.printable import printable

    if row.reported is None:
        figures = "the report was not read"
    else:
        figures = f"{row.reported} reported, {row.known} known, {row.missing} missing"
    figures += f", {row.delivered} delivered"
    if row.received is not None:
        figures += f", {row.received} received"
    if row.dropped:
        figures += f", {row.dropped} dropped"
    color = {"complete": "green", "mended": "yellow"}.get(row.outcome.value, "red")
    note = f"  {printable(row.note)}" if row.note else ""
    return f"{row.day}  {click.style(f'{row.outcome.value:<8}', fg=color)}  {figures}{note}"
