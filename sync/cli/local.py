"""The commands that need no account: `sandbox` and `demo`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync.cli.options import check_duration, command
from sync.errors import GladlySegmentError

if TYPE_CHECKING:
    from sandbox import Sandbox


class PortTakenError(GladlySegmentError):
    """Another program uses a port of the sandbox."""


@click.command()
@click.option(
    "--gladly-port", type=int, default=8410, show_default=True, help="Gladly's port. 0 takes a free port."
)
@click.option(
    "--segment-port", type=int, default=8411, show_default=True, help="Segment's port. 0 takes a free port."
)
@click.option(
    "--public-api-port",
    type=int,
    default=8413,
    show_default=True,
    help="The port of Segment's Public API. 0 takes a free port.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same seed makes the same world.")
@click.option(
    "--tempo", type=float, default=10.0, show_default=True, help="How fast things happen. 1 is natural."
)
@click.option(
    "--history",
    callback=check_duration,
    metavar="DURATION",
    help="How long a past the organization has, for example 7d, with about 40 conversations a day. The "
    "default is none.",
)
@command
def sandbox(
    gladly_port: int,
    segment_port: int,
    public_api_port: int,
    seed: int,
    tempo: float,
    history: str | None,
) -> None:
    """
    Serve a local Gladly and a local Segment.

    In them, simulated customers write and agents answer. Set the variables that the command prints, and every
    other command works against the sandbox. With --history, there is a past for resync and audit to read.

    \b
    Example:
      gladly-segment sandbox --tempo 60
      gladly-segment sandbox --history 7d
    """
    from functools import partial

    from sandbox.server import serve
    from state.instants import parse_duration

    try:
        serve(
            gladly_port=gladly_port,
            segment_port=segment_port,
            public_api_port=public_api_port,
            seed=seed,
            tempo=tempo,
            history=parse_duration(history or "0s"),
            ready=partial(_show_addresses, history=history),
        )
    except OSError as error:
        raise PortTakenError(
            f"A port is taken ({error.strerror}). Choose other ports with --gladly-port, --segment-port "
            "and --public-api-port."
        ) from error


def _show_addresses(sandbox: "Sandbox", *, history: str | None) -> None:
    from sync.cli.screens.layout import pasteable
    from sync.settings.secrets import GLADLY_TOKEN_VARIABLE, PUBLIC_API_TOKEN_VARIABLE, SEGMENT_KEY_VARIABLE

    click.echo(
        f"Gladly   {sandbox.gladly_url}   (/sandbox/truth lists what it has shown)\n"
        f"Segment  {sandbox.segment_url}   (/sandbox/events lists what it has received)\n"
        "\nIn another terminal:\n"
        f"  export GLADLY_SEGMENT_GLADLY__BASE_URL={sandbox.gladly_url}\n"
        f"  export GLADLY_SEGMENT_GLADLY__USERNAME={sandbox.gladly.username}\n"
        f"  export GLADLY_SEGMENT_SEGMENT__BASE_URL={sandbox.segment_url}\n"
        f"  export {GLADLY_TOKEN_VARIABLE}={sandbox.gladly.api_token}\n"
        f"  export {SEGMENT_KEY_VARIABLE}={sandbox.segment.write_key}\n"
        f"  export GLADLY_SEGMENT_SEGMENT__PUBLIC_API_URL={sandbox.public_api_url}\n"
        f"  export {PUBLIC_API_TOKEN_VARIABLE}={sandbox.segment.public_api_token}\n"
        f"  {pasteable('check')}\n" + (_past(history) if history else "") + "\nCtrl-C ends it."
    )


def _past(history: str) -> str:
    """Return what a sandbox with a past lets a person try."""
    from sync.cli.screens.layout import pasteable

    return (
        f"  {pasteable('resync', '--since', history)}\n"
        "\nTo see audit prove past days, begin in the past, in another directory:\n"
        f"  export GLADLY_SEGMENT_SYNC__START={history}\n"
        f"  {pasteable('once')} && {pasteable('audit')}\n"
    )


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=1),
    envvar="DEMO_SECONDS",
    default=30.0,
    show_default=True,
    help="How long to show events, in seconds.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="The directory for the demo's config.toml, state file and log.",
)
@command
def demo(seconds: float, directory: Path) -> None:
    """
    Run the sync against a sandbox and show the events.

    \b
    Example:
      gladly-segment demo --seconds 60
    """
    from sync.cli.screens.demo import run_demo

    run_demo(seconds, directory)
