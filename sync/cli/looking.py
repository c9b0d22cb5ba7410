"""The commands that only read the state file: `status`, `events`, `explain`, `inspect`."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sync.cli.errors import FAILED, complain
from sync.cli.options import Options, command, json_option, read_duration

if TYPE_CHECKING:
    from datetime import timedelta

    from state.reader import Reader

# How often `events --follow` looks for new events, in seconds.
_FOLLOW_EVERY_S = 0.5


@click.command()
@json_option("Print one JSON object.")
@click.option(
    "--max-lag",
    callback=read_duration,
    metavar="DURATION",
    help="Exit with 1 when the watermark or the oldest pending event is older than this, for example 10m. "
    "The watermark is always at least as old as the overlap (60s).",
)
@click.pass_obj
@command
def status(options: Options, as_json: bool, max_lag: "timedelta | None") -> int:
    """
    Show where the sync stands and what needs a person.

    The command takes no lock, so a daemon may be running.

    \b
    Example:
      gladly-segment status
      gladly-segment status --max-lag 10m || page-someone
    """
    from state.instants import utc_now
    from state.queries.status import is_behind
    from state.reader import read_status

    path = options.state_path
    # The screen shows the most urgent. A script gets everything.
    found = read_status(path, utc_now(), attention_limit=None if as_json else 10)
    if as_json:
        click.echo(json.dumps(found))
    else:
        from sync.cli.screens.status import show_status

        show_status(found, path)
        # A health check is silent while all is well.
        if max_lag is None and not any(found["events"].values()):
            from sync.cli.screens.silence import say_why, why_no_events

            say_why(why_no_events(path, options.again))
    if max_lag is not None and (why := is_behind(found, max_lag)):
        complain(f"Behind: {why} (--max-lag). See the last poll in `gladly-segment status`, or the log.")
        return FAILED
    return 0


@click.command()
@click.option(
    "--status",
    type=click.Choice(["recorded", "pending", "delivered", "rejected", "suppressed"]),
    help="Show only events with this status.",
)
@click.option("--conversation", metavar="ID", help="Show only events of this conversation.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Show at most this many events.",
)
@json_option("Print JSON lines, with the payload as an object.")
@click.option("--follow", is_flag=True, help="Keep showing new events as they arrive, until Ctrl-C.")
@click.pass_obj
@command
def events(
    options: Options, status: str | None, conversation: str | None, limit: int, as_json: bool, follow: bool
) -> None:
    """
    Show the latest events, newest first.

    Like Segment's debugger, it shows the name, the time and the payload of each event.

    \b
    Example:
      gladly-segment events --status rejected
      gladly-segment events --conversation OOrlNMXeS72gs_WEX2TtMg --json | jq .payload
    """
    from state.file import is_there
    from state.reader import Reader
    from sync.cli.screens.events import event_lines
    from sync.cli.screens.silence import say_why, why_no_events

    path = options.state_path
    show = json.dumps if as_json else event_lines
    is_filtered = status is not None or conversation is not None
    if not follow and not is_there(path):
        say_why(why_no_events(path, options.again))
        return
    with Reader(path) as reader:
        last = reader.last_event()
        latest = reader.events(status=status, conversation=conversation, limit=limit)
        for event in reversed(latest) if follow else latest:
            click.echo(show(event))
        if not latest:
            say_why(why_no_events(path, options.again, is_filtered=is_filtered))
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                for event in _new_events(reader, last, status=status, conversation=conversation):
                    click.echo(show(event))


def _new_events(
    reader: "Reader", last: int, *, status: str | None, conversation: str | None
) -> Iterator[dict[str, Any]]:
    """Yield each event after the event number *last* as it arrives in the state file, without end."""
    while True:
        for number, event in reader.events_after(last, status=status, conversation=conversation):
            last = number
            yield event
        time.sleep(_FOLLOW_EVERY_S)


@click.command()
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
