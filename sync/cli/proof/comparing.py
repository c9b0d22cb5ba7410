"""The command that compares what Gladly's own integration delivered with the events here: `compare`."""

import json
from typing import TYPE_CHECKING

import click

from sync.cli.errors import FAILED, WRONG_USAGE, complain
from sync.cli.options import Options, command, json_option, read_instant

if TYPE_CHECKING:
    from datetime import datetime

    from sync.audit.compare_result import Result


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--since",
    callback=read_instant,
    metavar="INSTANT",
    help="Leave out what happened before this instant. The default is where both sides begin.",
)
@click.option(
    "--until",
    callback=read_instant,
    metavar="INSTANT",
    help="Leave out what happened after this instant. The default is where one side ends.",
)
@json_option("Print one JSON object.")
@click.pass_obj
@command
def compare(
    options: Options,
    files: tuple[str, ...],
    since: "datetime | None",
    until: "datetime | None",
    as_json: bool,
) -> int:
    """
    Compare what Gladly's own integration delivered with the events here.

    FILE holds Segment's raw events as JSON lines, plain or gzipped, or a warehouse table as CSV. A folder
    stands for all files in it, and - for standard input. The exit code is 0 when both sides agree, and 1 when
    they do not.

    The command reads the state file only, takes no lock and makes no request, so a daemon may be running. No
    e-mail, phone number or name is printed.

    \b
    Example:
      gladly-segment compare segment-logs/
      gladly-segment compare created.csv closed.csv --since 2026-11-20
    """
    from state.reader import Reader
    from sync.audit.compare import compare as compare_files
    from sync.audit.compare_files import BadInputError, Input, files_of
    from sync.cli.screens.comparison import show_comparison
    from sync.cli.screens.progress import shown_comparing
    from sync.cli.screens.silence import say_why

    if since is not None and until is not None and since >= until:
        raise click.UsageError("--since must be before --until. Give an earlier --since or a later --until.")
    config = options.load_without_secrets()
    try:
        with Reader(config.state_path) as reader, shown_comparing() as show:
            result = compare_files(
                Input(files_of(files)),
                reader,
                config.event_options,
                since=since,
                until=until,
                on_progress=show,
            )
    except BadInputError as error:
        complain(str(error))
        return WRONG_USAGE
    if as_json:
        click.echo(json.dumps(result.as_object()))
    else:
        show_comparison(result.as_object())
    if result.interval is None or not result.matched:
        say_why(_why_nothing_matched(result))
    return 0 if result.agree else FAILED


def _why_nothing_matched(result: "Result") -> str:
    """Return why no event of one side is an event of the other."""
    if result.interval is None:
        return "Nothing was compared: both sides have events of no common time, or none are stored here."
    return f"Nothing matched between {result.interval[0]} and {result.interval[1]}."
