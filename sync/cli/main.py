"""
The commands: parse, call, print.

What a command needs is imported when it runs: `--help` and `status` are asked for often and by health checks,
and most of the libraries cost more to import than they take to answer.
"""

import contextlib
import gc
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, ParamSpec

import click

from state.errors import StateError, StateFileError, StateLockedError
from sync import __version__
from sync.errors import CredentialsRefusedError, GladlySegmentError, SettingsError
from sync.printable import printable

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from state import Store
    from sync.settings.sections import Config

P = ParamSpec("P")

# Exit codes (interface 2).
FAILED, WRONG_USAGE, CREDENTIALS_REFUSED, STATE_LOCKED = 1, 2, 3, 4


def exit_code_of(error: Exception) -> int:
    """The documented exit code for an error (interface 2)."""
    if isinstance(error, (SettingsError, StateFileError)):
        return WRONG_USAGE
    if isinstance(error, CredentialsRefusedError):
        return CREDENTIALS_REFUSED
    if isinstance(error, StateLockedError):
        return STATE_LOCKED
    return FAILED


class Options:
    """What stands before the command: which config file, and whether tracebacks are wanted."""

    def __init__(self, config: str | None, *, debug: bool) -> None:
        self._config = config
        self.debug = debug

    @property
    def config_path(self) -> Path:
        """The config file meant, there or not."""
        return Path(self._config or os.environ.get("GLADLY_SEGMENT_CONFIG") or "config.toml")

    def load(self, *, with_secrets: bool = True) -> "Config":
        """
        The settings; logs go where they say from then on.

        Raises:
            SettingsError: Something in them is wrong or missing.
        """
        from sync.settings.loading import load

        return load(self._config, with_secrets=with_secrets)


def main() -> NoReturn:
    """Run a command; every error ends as a sentence on standard error and a documented exit code."""
    _have_standard_streams()
    debug = "--debug" in sys.argv[1:]
    code = 0
    try:
        code = cli.main(prog_name="gladly-segment", standalone_mode=False) or 0
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
    except click.Abort:
        complain("Stopped.")
        code = FAILED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (GladlySegmentError, StateError) as error:
        if debug:
            traceback.print_exc()
        complain(*str(error).splitlines())
        code = exit_code_of(error)
    except Exception as error:
        if debug:
            traceback.print_exc()
        complain(
            f"Unexpected {type(error).__name__}: {error}. Nothing is lost; --debug shows where it came from."
        )
        code = FAILED
    gc.freeze()  # the interpreter's last look for garbage, through all that was imported, takes 30 ms
    sys.exit(code)


def _have_standard_streams() -> None:
    """Started with one of them closed, the state file must not become standard error, nor a log fail."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: PTH123, SIM115 (for as long as the process)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: PTH123, SIM115


def complain(*sentences: str) -> None:
    """Say on standard error what is wrong, a line for each thing."""
    with contextlib.suppress(OSError):
        for sentence in sentences:
            in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
            click.secho(f"error: {printable(sentence)}", err=True, fg="red" if in_color else None)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config", metavar="PATH", help="The settings; else $GLADLY_SEGMENT_CONFIG, else ./config.toml."
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="gladly-segment")
@click.pass_context
def cli(context: click.Context, config: str | None, debug: bool) -> None:
    """
    Every Gladly conversation created or closed: one Segment track event, once.

    \b
    Example:
      gladly-segment demo                       see it work, without any account
      gladly-segment check && gladly-segment run
    """
    context.obj = Options(config, debug=debug)
    if os.environ.get("NO_COLOR"):
        context.color = False


def _instant(_: click.Context, __: click.Parameter, value: str | None) -> "datetime | None":
    from state.instants import parse_instant, utc_now

    if value is None:
        return None
    try:
        return parse_instant(value, utc_now())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _duration(_: click.Context, __: click.Parameter, value: str | None) -> "timedelta | None":
    from state.instants import parse_duration

    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """Let a command return its exit code; `events | head` is no error: it has what it wanted."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs) or 0
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = 0
        raise click.exceptions.Exit(code)

    return wrapped


# Setting up


@cli.command()
@click.option("--organization", metavar="NAME", help="acme of acme.gladly.com; a pasted address will do.")
@click.option("--username", metavar="EMAIL", help="Of the Gladly agent with the API User permission.")
@click.option("--region", type=click.Choice(["us", "eu"]), help="Of the Segment workspace.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.pass_obj
@command
def init(
    options: Options, organization: str | None, username: str | None, region: str | None, force: bool
) -> None:
    """
    Write a commented config.toml, asking for what is not given. Never for secrets.

    \b
    Example:
      gladly-segment init
      gladly-segment --config /etc/gladly-segment/config.toml init --organization acme \\
          --username segment-sync@example.com --region eu
    """
    from sync.settings.example import write_config

    path = options.config_path
    if path.exists() and not force:
        raise click.UsageError(f"{path} is there already. Add --force to replace it.")
    asked = sys.stdin.isatty()
    answers = {"organization": organization, "username": username, "region": region}
    if not asked and None in answers.values():
        missing = ", ".join(f"--{name}" for name, value in answers.items() if value is None)
        raise click.UsageError(f"Nobody is here to ask. Give {missing}.")
    write_config(
        path,
        organization or click.prompt("Gladly organization (acme of acme.gladly.com)"),
        username or click.prompt("E-mail of the Gladly agent with the API User permission"),
        region or click.prompt("Segment region", type=click.Choice(["us", "eu"]), default="us"),
    )
    click.echo(
        f"Wrote {path}. The secrets stay out of it:\n"
        "  export GLADLY_API_TOKEN=… SEGMENT_WRITE_KEY=…\n"
        f"  gladly-segment --config {path} check"
    )


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@command
def completion(shell: str) -> None:
    """
    Print what a shell needs to complete commands and options.

    \b
    Example:
      eval "$(gladly-segment completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "gladly-segment", "_GLADLY_SEGMENT_COMPLETE").source())


# Running


@cli.command()
@click.pass_obj
@command
def run(options: Options) -> None:
    """
    Run as a daemon until SIGTERM or SIGINT: a cycle at once, then as scheduled.

    \b
    Example:
      GLADLY_API_TOKEN=… SEGMENT_WRITE_KEY=… gladly-segment --config config.toml run
    """
    from sync.stop import Stop, stop_on_signals

    stop = Stop()
    stop_on_signals(stop)
    config = options.load()
    from state import Store
    from sync.runtime.daemon import Daemon
    from sync.telemetry import log

    log.configure(config.settings.log)
    with (
        Store(config.state_path) as store,
        contextlib.closing(Daemon(config, store, stop, debug=options.debug)) as daemon,
    ):
        daemon.run()


@cli.command()
@click.option("--dry-run", is_flag=True, help="Show the events as JSON lines; store and send nothing.")
@click.pass_obj
@command
def once(options: Options, dry_run: bool) -> int:
    """
    Run one cycle (poll, diff, deliver) and exit: for cron.

    \b
    Example:
      * * * * *  gladly-segment --config /etc/gladly-segment/config.toml once
      gladly-segment once --dry-run | jq .event
    """
    from sync.stop import Stop, stop_on_signals

    stop = Stop()
    stop_on_signals(stop)
    config = options.load()
    from state import Store
    from sync.runtime.build import build_pipeline
    from sync.telemetry import log
    from sync.telemetry.heartbeat import Heartbeat

    log.configure(config.settings.log)
    if dry_run:
        from sync.cli.resync import copied_store

        with copied_store(config.state_path) as store, build_pipeline(config, store, stop) as pipeline:
            for payload in pipeline.preview.of_a_cycle():
                click.echo(payload)
        return 0
    with Store(config.state_path) as store, build_pipeline(config, store, stop) as pipeline:
        report = pipeline.cycle.run()
    if not report.errors:
        heartbeat = Heartbeat(config.secrets.heartbeat_url, stop)
        heartbeat.beat()
        heartbeat.wait()
    for error in report.errors:
        complain(str(error))
    return max((exit_code_of(error) for error in report.errors), default=0)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="JSON lines: the check, whether it holds, and why.")
@click.pass_obj
@command
def check(options: Options, as_json: bool) -> int:
    """
    Validate the settings, prove the Gladly credentials, reach Segment, open the state file.

    A line each, with what to mend; exit 0 only if all hold.

    \b
    Example:
      gladly-segment check && gladly-segment run
    """
    from sync.runtime.checks import run_checks

    worst = 0
    under_way = sys.stdout.isatty() and not as_json  # an end that is down takes its seconds
    for name, finding in run_checks(options.load):
        if finding is None:
            if under_way:
                click.echo(f"…       {name}\r", nl=False)
            continue
        good = isinstance(finding, str)
        if isinstance(finding, Exception):
            worst = max(worst, exit_code_of(finding))
        if as_json:
            click.echo(json.dumps({"check": name, "ok": good, "says": str(finding)}))
            continue
        mark = click.style("ok    " if good else "FAILED", fg="green" if good else "red")
        first, *rest = str(finding).splitlines()
        click.echo(f"{mark}  {name:<11} {first}")
        for line in rest:
            click.echo(f"{'':<20}{line}")
    return worst


# Looking


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--max-lag",
    callback=_duration,
    metavar="DURATION",
    help="Exit 1 when the watermark or the oldest pending event is older, say 10m. The watermark stays the "
    "overlap (60s) behind even when all is well.",
)
@click.pass_obj
@command
def status(options: Options, as_json: bool, max_lag: "timedelta | None") -> int:
    """
    Show where the sync stands: watermark, the time left for a gap, events, what needs a person.

    Works while the daemon runs and while it is stopped; takes no lock.

    \b
    Example:
      gladly-segment status
      gladly-segment status --max-lag 10m || page-someone
    """
    from state.instants import utc_now
    from state.status import is_behind, read_status

    path = options.load(with_secrets=False).state_path
    found = read_status(path, utc_now())
    if as_json:
        click.echo(json.dumps(found))
    else:
        from sync.cli.screens import status_screen

        status_screen(found, path)
    if max_lag is not None and (why := is_behind(found, max_lag)):
        complain(f"Behind: {why} (--max-lag). Look at the last poll above, or at the log.")
        return FAILED
    return 0


@cli.command()
@click.option("--status", type=click.Choice(["pending", "delivered", "rejected", "suppressed"]))
@click.option("--conversation", metavar="ID", help="Of this conversation only.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="JSON lines, the payload as an object.")
@click.option("--follow", is_flag=True, help="Go on showing new events as they come, until Ctrl-C.")
@click.pass_obj
@command
def events(
    options: Options, status: str | None, conversation: str | None, limit: int, as_json: bool, follow: bool
) -> None:
    """
    Show the latest events, newest first, as Segment's debugger does: name, time, payload.

    \b
    Example:
      gladly-segment events --status rejected
      gladly-segment events --conversation OOrlNMXeS72gs_WEX2TtMg --json | jq .payload
    """
    from state import Reader
    from state.file import is_there
    from sync.cli.screens import event_line, follow_events

    path = options.load(with_secrets=False).state_path
    show = json.dumps if as_json else event_line
    if not follow and not is_there(path):
        return
    with Reader(path) as reader:
        last = reader.last_event()
        latest = reader.events(status=status, conversation=conversation, limit=limit)
        for event in reversed(latest) if follow else latest:
            click.echo(show(event))
        if follow:
            with contextlib.suppress(KeyboardInterrupt):
                for event in follow_events(reader, last, status=status, conversation=conversation):
                    click.echo(show(event))


@cli.command()
@click.argument("conversation_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.pass_obj
@command
def explain(options: Options, conversation_id: str, as_json: bool) -> int:
    """
    Show all that is known of one conversation: changes, decisions and why, events.

    \b
    Example:
      gladly-segment explain OOrlNMXeS72gs_WEX2TtMg
    """
    from sync.cli.screens import explain_screen, explanation

    found = explanation(options.load(with_secrets=False).state_path, conversation_id)
    if found is None:
        complain(
            f"Nothing is known of conversation {conversation_id}: no change of it has been taken in. "
            "Check the id, or read its time again: gladly-segment resync --since INSTANT"
        )
        return FAILED
    if as_json:
        click.echo(json.dumps(found))
    else:
        explain_screen(found)
    return 0


@cli.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8412, show_default=True, help="0 takes a free one."
)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="Others than this machine can then read it."
)
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.pass_obj
@command
def inspect(options: Options, port: int, host: str, no_open: bool) -> None:
    """
    Open the state file in a browser: a live debugger, an overview, every conversation, all tables.

    Read-only, on this machine alone, while the daemon runs or not.

    \b
    Example:
      gladly-segment inspect
      gladly-segment inspect --no-open --port 8500
    """
    from inspector import serve

    path = options.load(with_secrets=False).state_path
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
            f"Cannot listen on {host}:{port} ({error.strerror}). Name another with --port."
        ) from error


# The watermark and the outbox


@cli.group()
def watermark() -> None:
    """Show where the sync stands, or move it."""


@watermark.command("show")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
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

    found = read_status(options.load(with_secrets=False).state_path, utc_now())
    if as_json:
        click.echo(
            json.dumps({name: found[name] for name in ("watermark", "lag_seconds", "gap_seconds_left")})
        )
    elif found["watermark"] is None:
        click.echo("No watermark yet: the first cycle sets it (sync.start).")
    else:
        click.echo(f"{found['watermark']}  ({short_duration(found['lag_seconds'])} ago)")


@watermark.command("reset")
@click.option("--to", required=True, callback=_instant, metavar="INSTANT", help="2026-11-20T08:00Z, 36h, 7d.")
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
    from sync.cli.screens import reset_meaning

    config = options.load(with_secrets=False)
    path = config.state_path
    click.echo(reset_meaning(path, to, replay=replay))
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody is here to ask. Add --yes to do it.")
        click.confirm("Do it?", abort=True)
    with Store(path) as store:
        store.reset_watermark(to)
        again = store.replay(to) if replay else 0
    click.echo("Done." + (f" {again} events are pending again." if replay else ""))


@cli.command()
@click.option("--since", required=True, callback=_instant, metavar="INSTANT", help="2026-11-01, 36h, 7d.")
@click.option("--until", callback=_instant, metavar="INSTANT", help="Now, where not given.")
@click.option("--dry-run", is_flag=True, help="Show the events as JSON lines; store and send nothing.")
@click.pass_obj
@command
def resync(options: Options, since: "datetime", until: "datetime | None", dry_run: bool) -> int:
    """
    Read the changes of a past interval again, of any age, and send what was missed.

    The watermark stays where it is. Interrupted, the same command goes on where it stopped. A running daemon
    goes on polling: the two take turns.

    \b
    Example:
      gladly-segment resync --since 2026-11-01 --until 2026-11-08 --dry-run | wc -l
      gladly-segment resync --since 7d
    """
    from sync.stop import Stop, stop_on_signals

    stop = Stop()
    stop_on_signals(stop)
    config = options.load()
    from sync.cli.resync import run_resync
    from sync.telemetry import log

    log.configure(config.settings.log)
    return run_resync(config, since, until, stop, dry_run=dry_run)


@cli.command()
@click.argument("message_ids", nargs=-1, metavar="MESSAGE_ID ...")
@click.option("--all", "every", is_flag=True, help="Every rejected event.")
@click.pass_obj
@command
def retry(options: Options, message_ids: tuple[str, ...], every: bool) -> int:
    """
    Make rejected events pending again: the next cycle sends them, with the same messageId.

    A running daemon goes on; the two take turns.

    \b
    Example:
      gladly-segment events --status rejected
      gladly-segment retry --all
    """
    if bool(message_ids) == every:
        raise click.UsageError("Name the events by their message ids, or say --all.")
    with _in_turn(options) as store:
        if every:
            click.echo(f"{store.retry(None)} events are pending again.")
            return 0
        unknown = [id_ for id_ in message_ids if not store.retry([id_])]
    click.echo(f"{len(message_ids) - len(unknown)} events are pending again.")
    for id_ in unknown:
        complain(f"{id_} is no rejected event. See: gladly-segment events --status rejected")
    return WRONG_USAGE if unknown else 0


@cli.command()
@click.argument("ids", nargs=-1, metavar="ID ...")
@click.option("--all", "every", is_flag=True, help="Every one of them.")
@click.pass_obj
@command
def dismiss(options: Options, ids: tuple[str, ...], every: bool) -> int:
    """
    Unreadable lines and gaps, once seen: they are no longer listed, and the lines are erased.

    What was passed over is not read again by this; `resync` does that. A running daemon goes on; the two
    take turns.

    \b
    Example:
      gladly-segment status
      gladly-segment dismiss --all
    """
    if bool(ids) == every:
        raise click.UsageError("Name them by the ids that `status` shows, or say --all.")
    with _in_turn(options) as store:
        if every:
            click.echo(f"{store.dismiss(None)} dismissed.")
            return 0
        unknown = [id_ for id_ in ids if not store.dismiss([id_])]
    click.echo(f"{len(ids) - len(unknown)} dismissed.")
    for id_ in unknown:
        complain(f"{id_} waits for nobody. See: gladly-segment status")
    return WRONG_USAGE if unknown else 0


@contextlib.contextmanager
def _in_turn(options: Options) -> "Iterator[Store]":
    """The state file that is there, open for writing beside a running daemon, between two of its cycles."""
    from state import Reader, Store
    from state.file import RESYNC

    def say() -> None:
        click.echo("Waiting for the cycle under way to end …", err=True)

    path = options.load(with_secrets=False).state_path
    with Reader(path):  # without one there is nothing to change, and none is made
        pass
    with Store(path, RESYNC, waiting=say) as store, store.turn():
        yield store


# Without an account


@cli.command()
@click.option("--gladly-port", type=int, default=8410, show_default=True)
@click.option("--segment-port", type=int, default=8411, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed is the same small world.")
@click.option("--tempo", type=float, default=10.0, show_default=True, help="How lively it is; 1 is natural.")
@command
def sandbox(gladly_port: int, segment_port: int, seed: int, tempo: float) -> None:
    """
    Serve a local Gladly and a local Segment, with a small world that lives on its own.

    \b
    Example:
      gladly-segment sandbox &
      gladly-segment once     with the variables that it shows
    """
    from sync.cli.demo import serve_sandbox

    serve_sandbox(gladly_port, segment_port, seed, tempo)


@cli.command()
@click.option(
    "--seconds", type=click.FloatRange(min=1), envvar="DEMO_SECONDS", default=30.0, show_default=True
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Where the demo's config.toml and state file go.",
)
@command
def demo(seconds: float, directory: Path) -> int:
    """
    Run the real job against the sandbox for a short while and show the events as they arrive.

    \b
    Example:
      gladly-segment demo --seconds 60
    """
    from sync.cli.demo import run_demo

    return run_demo(seconds, directory)
