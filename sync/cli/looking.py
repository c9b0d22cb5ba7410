"""The commands that only read the state file: `status`, `events`, `explain`, `inspect`."""

import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sync.cli.errors import FAILED, complain
from sync.cli.options import Options, command, json_option, read_duration, read_instant
from sync.cli.program import CommandOfAnId

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from state.reader import Reader

# How often `events --follow` looks for new events, and `status --watch` shows the screen, in seconds.
_FOLLOW_EVERY_S = 0.5
_WATCH_EVERY_S = 2.0

# What a terminal does with these: go to the top left corner; clear the rest of the line, of the screen.
_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@json_option("Print one JSON object.")
@click.option(
    "--max-lag",
    callback=read_duration,
    metavar="DURATION",
    help="Exit with 1 when the watermark or the oldest pending event is older than this, for example 10m. "
    "The watermark is always at least as old as the overlap (60s).",
)
@click.option("--watch", is_flag=True, help="Show it again every 2 seconds, until Ctrl-C.")
@click.pass_obj
@command
def status(options: Options, as_json: bool, max_lag: "timedelta | None", watch: bool) -> int:
    """
    Show where the sync stands and what needs a person.

    The command takes no lock, so a daemon may be running. With --watch, a terminal shows the screen anew
    every 2 seconds. A pipe gets one screen after the other, or with --json a line for each.

    \b
    Example:
      gladly-segment status
      gladly-segment status --watch
      gladly-segment status --max-lag 10m || page-someone
    """
    path = options.state_path
    if watch:
        if max_lag is not None:
            raise click.UsageError("--watch goes on until Ctrl-C, so it cannot be given with --max-lag.")
        with contextlib.suppress(KeyboardInterrupt):
            _watch_status(path, as_json=as_json)
        return 0
    found = _show_status(path, as_json=as_json)
    # A health check is silent while all is well.
    if max_lag is None and not as_json and not any(found["events"].values()):
        from sync.cli.screens.silence import say_why, why_no_events

        say_why(why_no_events(path, options.again))
    if max_lag is not None:
        from state.queries.status import is_behind

        if why := is_behind(found, max_lag):
            complain(f"Behind: {why} (--max-lag). See the last poll in `gladly-segment status`, or the log.")
            return FAILED
    return 0


def _show_status(path: Path, *, as_json: bool) -> dict[str, Any]:
    """Print where the sync stands, and return it."""
    from state.instants import utc_now
    from state.reader import read_status

    # The screen shows the most urgent. A script gets everything.
    found = read_status(path, utc_now(), attention_limit=None if as_json else 10)
    if as_json:
        click.echo(json.dumps(found))
    else:
        from sync.cli.screens.status import show_status

        show_status(found, path)
    return found


def _watch_status(path: Path, *, as_json: bool) -> None:
    """Show where the sync stands every `_WATCH_EVERY_S` seconds, without end."""
    context = click.get_current_context()
    on_terminal = sys.stdout.isatty() and not as_json
    if on_terminal and context.color is None:
        context.color = True  # the screen is put together before the terminal gets it
    while True:
        if on_terminal:
            with contextlib.redirect_stdout(io.StringIO()) as screen:
                _show_status(path, as_json=False)
            lines = [*_fitting(screen.getvalue().splitlines()), "Every 2 seconds. Ctrl-C ends it."]
            click.echo(_HOME + f"{_CLEAR_LINE}\n".join(lines) + _CLEAR_BELOW, nl=False)
        else:
            _show_status(path, as_json=as_json)
            if not as_json:
                click.echo()
        sys.stdout.flush()
        time.sleep(_WATCH_EVERY_S)


def _fitting(lines: list[str]) -> list[str]:
    """Return those of the first lines for which the terminal has room, with a row left below them."""
    import shutil

    width, left = shutil.get_terminal_size()
    for number, line in enumerate(lines):
        left -= max(1, -(-len(click.unstyle(line)) // width))
        if left < 1:
            return lines[:number]
    return lines


@click.command()
@click.option(
    "--status",
    type=click.Choice(["recorded", "pending", "delivered", "rejected", "suppressed"]),
    help="Show only events with this status.",
)
@click.option("--conversation", metavar="ID", help="Show only events of this conversation.")
@click.option(
    "--customer",
    metavar="ID",
    help="Show only events of this customer, and of everyone who was merged into this customer.",
)
@click.option(
    "--email",
    metavar="ADDRESS",
    help="Show only events of the customer with this e-mail address. It is looked for in the payloads that "
    "are still kept.",
)
@click.option(
    "--since",
    callback=read_instant,
    metavar="INSTANT",
    help="Show only events since then: 2026-11-20T08:00Z, or an age like 36h or 7d.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Show at most this many events.",
)
@json_option("Print JSON lines, with the payload as an object.")
@click.option("--follow", is_flag=True, help="Keep showing new events as they arrive, until Ctrl-C.")
@click.option("--utc", is_flag=True, help="Show times in UTC, not in the time zone of this machine.")
@click.pass_obj
@command
def events(
    options: Options,
    status: str | None,
    conversation: str | None,
    customer: str | None,
    email: str | None,
    since: "datetime | None",
    limit: int,
    as_json: bool,
    follow: bool,
    utc: bool,
) -> None:
    """
    Show the latest events, newest first.

    Like Segment's debugger, it shows the name, the time and the payload of each event. Times are in the time
    zone of this machine, and with --json in UTC.

    \b
    Example:
      gladly-segment events --status rejected
      gladly-segment events --since 2h --email wren@example.com
      gladly-segment events --conversation OOrlNMXeS72gs_WEX2TtMg
      gladly-segment events --json --limit 100 | jq .payload
    """
    from state.file import is_there
    from state.reader import Reader
    from sync.cli.screens.events import event_lines
    from sync.cli.screens.layout import terminal_width
    from sync.cli.screens.silence import say_why, why_no_events

    path = options.state_path
    if not follow and not is_there(path):
        say_why(why_no_events(path, options.again))
        return
    with Reader(path) as reader:
        wanted: dict[str, Any] = {"status": status, "conversation": conversation, "since": since}
        wanted["customers"] = _customers(reader, customer, email)
        if email is not None and not wanted["customers"]:
            say_why(
                "No payload that is kept has this e-mail address. Payloads are erased some time after their "
                "delivery (state.retention). Ask by id: " + options.again("events", "--customer", "ID")
            )
            return

        def show(event: dict[str, Any]) -> None:
            click.echo(json.dumps(event) if as_json else event_lines(event, utc=utc, width=terminal_width()))

        last = reader.last_event()
        latest = reader.events(**wanted, limit=limit)
        if not latest:
            is_filtered = any(value is not None for value in wanted.values())
            say_why(why_no_events(path, options.again, is_filtered=is_filtered))
        for event in reversed(latest) if follow else latest:
            show(event)
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                for event in _new_events(reader, last, wanted):
                    show(event)


def _customers(reader: "Reader", customer: str | None, email: str | None) -> list[str] | None:
    """Return the ids of the customers that are asked for. Return None where all are."""
    if email is None:
        return None if customer is None else [customer]
    found = reader.customers_with_email(email)
    return found if customer is None else [id_ for id_ in found if id_ == customer]


def _new_events(reader: "Reader", last: int, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield each event after the event number *last* as it arrives in the state file, without end."""
    while True:
        for number, event in reader.events_after(last, **wanted):
            last = number
            yield event
        time.sleep(_FOLLOW_EVERY_S)


@click.command(cls=CommandOfAnId)
@click.argument("conversation_id")
@json_option("Print one JSON object.")
@click.pass_obj
@command
def explain(options: Options, conversation_id: str, as_json: bool) -> None:
    """
    Show everything that is stored about one conversation.

    It shows the changes of the conversation, what each change meant and why, and the events.

    \b
    Example:
      gladly-segment explain OOrlNMXeS72gs_WEX2TtMg
    """
    from sync.cli.screens.explanation import show_explanation
    from sync.cli.screens.silence import say_why
    from sync.printable import printable

    found = _explanation(options.state_path, conversation_id)
    if found is None:
        say_why(
            f"Nothing is stored about conversation {printable(conversation_id)}. Check the id. To read a "
            "conversation from before the sync began: " + options.again("resync", "--since", "7d")
        )
    if as_json:
        click.echo(json.dumps(found or {"conversation": None, "changes": [], "events": []}))
    elif found is not None:
        show_explanation(found)


def _explanation(path: Path, conversation_id: str) -> dict[str, Any] | None:
    """Return everything stored about one conversation. Return None when nothing is stored."""
    from state.file import is_there
    from state.reader import Reader

    if not is_there(path):
        return None
    with Reader(path) as reader:
        conversation = reader.conversation(conversation_id)
        events = reader.events(conversation=conversation_id, limit=10_000)[::-1]
        if conversation is None and not events:
            return None
        changes = reader.changes_of(conversation_id)
    return {"conversation": conversation, "changes": changes, "events": events}


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8412,
    show_default=True,
    help="The port to listen on. 0 takes a free port.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="The address to listen on. At any other address, other machines can read the state file, if they "
    "have the token.",
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.pass_obj
@command
def inspect(options: Options, port: int, host: str, no_open: bool) -> None:
    """
    Open the state file in a browser.

    The pages are a live debugger, an overview, every conversation and all tables. They change nothing.
    Only this machine can reach them, unless --host names another address. The printed address holds a token,
    so no other user of this machine can read them. A daemon may be running.

    \b
    Example:
      gladly-segment inspect
      gladly-segment inspect --no-open --port 8500
    """
    from inspector.server import serve

    path = options.state_path
    try:
        serve(
            path,
            port=port,
            host=host,
            open_browser=not no_open,
            ready=lambda url: click.echo(f"{url}  (Ctrl-C ends it)"),
        )
    except OSError as error:
        raise click.UsageError(
            f"Cannot listen on {host}:{port} ({error.strerror}). Choose another port with --port."
        ) from error
