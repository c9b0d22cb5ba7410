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
from sync.cli import local, looking, outbox, running, watermark
from sync.cli.errors import FAILED, complain, exit_code_of
from sync.cli.options import Options
from sync.cli.proof import audit, comparing, schema
from sync.cli.set_up import checking, configuration, initialize
from sync.errors import GladlySegmentError
from sync.telemetry.streams import prepare_standard_streams

if TYPE_CHECKING:
    from sync.runtime.build import Tuning


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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

    \b
    Example:
      gladly-segment demo                         shows it at work, without an account
      gladly-segment check && gladly-segment run
    """
    context.obj = Options(config, debug=debug, tuning=context.obj)
    if os.environ.get("NO_COLOR"):
        context.color = False


for _command in (
    *(initialize.init, checking.completion, checking.check, configuration.config),
    *(running.run, running.once),
    *(looking.status, looking.events, looking.explain, looking.inspect),
    *(watermark.watermark, watermark.resync),
    *(audit.audit, comparing.compare, schema.schema),
    *(outbox.retry, outbox.dismiss),
    *(local.sandbox, local.demo),
):
    cli.add_command(_command)


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
