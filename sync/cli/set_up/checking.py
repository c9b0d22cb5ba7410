"""The commands `check` and `completion`."""

import json

import click

from sync.cli.errors import exit_code_of
from sync.cli.options import Options, command, json_option


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@command
def completion(context: click.Context, shell: str) -> None:
    """
    Print the script that lets a shell complete commands.

    \b
    Example:
      eval "$(gladly-segment completion bash)"
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    program = context.find_root().command
    click.echo(kind(program, {}, "gladly-segment", "_GLADLY_SEGMENT_COMPLETE").source())


@click.command()
@click.option("--offline", is_flag=True, help="Check the settings and the state file only. Make no request.")
@json_option("Print JSON lines: the check, its state (passed, failed, unproved), and why.")
@click.pass_obj
@command
def check(options: Options, offline: bool, as_json: bool) -> int:
    """
    Check the settings, Gladly, Segment and the state file.

    Each line names a check and says whether it passed, or how to correct what failed. What cannot be proved
    is shown as unsure, with what would prove it. The exit code is 0 only if no check failed.

    \b
    Example:
      gladly-segment check && gladly-segment run
      gladly-segment check --offline
    """
    from sync.cli.set_up.findings import show_finding, shown_waiting, state_of
    from sync.runtime.checks import run_checks

    worst = 0
    with shown_waiting() as wait_for:
        for name, finding in run_checks(options.load, offline=offline, tuning=options.tuning):
            wait_for(name if finding is None else None)
            if isinstance(finding, Exception):
                worst = max(worst, exit_code_of(finding))
            if finding is None:
                continue
            if as_json:
                state = state_of(finding)
                passed = {"passed": True, "failed": False}.get(state)
                click.echo(json.dumps({"check": name, "state": state, "ok": passed, "says": str(finding)}))
            else:
                show_finding(name, finding)
    return worst
