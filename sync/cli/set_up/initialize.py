"""The commands that set the program up: `init`, `completion`, `check`."""

import json
import sys

import click

from sync.cli.errors import exit_code_of
from sync.cli.options import Options, command, json_option


@click.command()
@click.option("--organization", metavar="NAME", help="The part before .gladly.com, or a pasted address.")
@click.option("--username", metavar="EMAIL", help="The e-mail of the Gladly agent who is an API User.")
@click.option("--region", type=click.Choice(["us", "eu"]), help="The region of the Segment workspace.")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.pass_obj
@command
def init(
    options: Options, organization: str | None, username: str | None, region: str | None, force: bool
) -> None:
    """
    Write a commented config.toml.

    The command asks for each value that you do not give as an option. It never asks for secrets.

    \b
    Example:
      gladly-segment init
      gladly-segment --config /etc/gladly-segment/config.toml init --organization acme \\
          --username segment-sync@example.com --region eu
    """
    from sync.settings.example import write_config

    path = options.config_path
    if path.exists() and not force:
        raise click.UsageError(f"{path} exists already. Add --force to replace it.")
    answers = {"organization": organization, "username": username, "region": region}
    if not sys.stdin.isatty() and None in answers.values():
        missing = ", ".join(f"--{name}" for name, value in answers.items() if value is None)
        raise click.UsageError(f"Without a terminal, init cannot ask. Add {missing}.")
    write_config(
        path,
        organization or click.prompt("Gladly organization (acme for acme.gladly.com)"),
        username or click.prompt("E-mail of the Gladly agent who is an API User"),
        region or click.prompt("Segment region", type=click.Choice(["us", "eu"]), default="us"),
    )
    click.echo(
        f"Wrote {path}. The secrets do not belong in it. Set them as variables, and then check:\n"
        "  export GLADLY_API_TOKEN=… SEGMENT_WRITE_KEY=…\n"
        f"  gladly-segment --config {path} check"
    )


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
@json_option("Print JSON lines: the check, its state (passed, failed, unproved), and why.")
@click.pass_obj
@command
def check(options: Options, as_json: bool) -> int:
    """
    Check the settings, Gladly, Segment and the state file.

    Each line names a check and says whether it passed, or how to correct what failed. What cannot be proved
    is shown as unsure, with what would prove it. The exit code is 0 only if no check failed.

    \b
    Example:
      gladly-segment check && gladly-segment run
    """
    from sync.cli.screens.checks import show_check, show_finding, state_of
    from sync.runtime.checks import run_checks

    worst = 0
    for name, finding in run_checks(options.load):
        if isinstance(finding, Exception):
            worst = max(worst, exit_code_of(finding))
        if finding is None:
            if not as_json:
                show_check(name)
        elif as_json:
            state = state_of(finding)
            passed = {"passed": True, "failed": False}.get(state)
            click.echo(json.dumps({"check": name, "state": state, "ok": passed, "says": str(finding)}))
        else:
            show_finding(name, finding)
    return worst
