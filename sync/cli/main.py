"""
The program: all commands in one group, and how every run of it ends.

A command imports what it needs when it runs. People and health checks call `--help` and `status` often, and
importing most of the libraries takes longer than the answer.
"""

import gc
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn

import click

from state.errors import StateError
from sync import __version__
from sync.cli import local, looking, running
from sync.cli.errors import FAILED, complain, exit_code_of
from sync.cli.mending import forget, outbox, watermark
from sync.cli.options import Options
from sync.cli.program import Program, Section
from sync.cli.proof import audit, comparing, schema
from sync.cli.set_up import checking, configuration, initialize
from sync.errors import GladlySegmentError
from sync.telemetry.streams import prepare_standard_streams

if TYPE_CHECKING:
    from sync.runtime.build import Tuning


@click.command(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND [ARGUMENTS]",
    sections=(
        Section(
            "Set up",
            (initialize.init, checking.check, configuration.config, checking.completion),
            "gladly-segment init && gladly-segment check",
        ),
        Section("Run", (running.run, running.once), "gladly-segment run --config config.toml"),
        Section(
            "Look",
            (looking.status, looking.events, looking.explain, looking.inspect),
            "gladly-segment status --watch",
        ),
        Section(
            "Mend",
            (outbox.retry, outbox.dismiss, watermark.resync, watermark.watermark, forget.forget),
            "gladly-segment resync --since 2d",
        ),
        Section("Prove", (audit.audit, comparing.compare, schema.schema), "gladly-segment audit --dry-run"),
        Section("Try", (local.demo, local.sandbox), "gladly-segment demo"),
    ),
)
@click.option(
    "--config",
    metavar="PATH",
    help="The config file. The default is $GLADLY_SEGMENT_CONFIG, or else ./config.toml.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="gladly-segment")
@click.pass_context
def cli(context: click.Context, config: str | None, debug: bool) -> None:
    """
    Send one Segment track event for each Gladly conversation created or closed.

    `gladly-segment COMMAND --help` shows the options of a command, and an example. --config and --debug may
    stand before or after the command.
    """
    context.obj = Options(config, debug=debug, tuning=context.obj)
    if os.environ.get("NO_COLOR"):
        context.color = False


def main(tuning: "Tuning | None" = None) -> NoReturn:
    """
    Run a command. Every error prints a sentence on standard error and ends with a documented exit code.

    Args:
        tuning: The numbers behind the settings; None for those that the program ships with.
    """
    prepare_standard_streams()
    debug = "--debug" in sys.argv[1:]
    code = 0
    try:
        code = cli.main(prog_name="gladly-segment", standalone_mode=False, obj=tuning) or 0
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
            f"Unexpected {type(error).__name__}: {error}. Nothing is lost. Run the command again "
            "with --debug to see where the error came from, and report it."
        )
        code = FAILED
    gc.freeze()  # otherwise the last garbage collection searches everything imported for 30 ms
    sys.exit(code)
