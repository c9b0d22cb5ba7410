"""The commands that set the program up: `init`, `completion`, `check`."""

import json
import sys

import click

from sync.cli.errors import exit_code_of
from sync.cli.options import Options, command, json_option


@click.command()
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
    answers = {"organization": organization, "username": username, "region": region}
    if not sys.stdin.isatty() and None in answers.values():
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


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
@command
def completion(context: click.Context, shell: str) -> None:
    """
    Print what a shell needs to complete commands and options.

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
@json_option("JSON lines: the check, whether it holds, and why.")
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
    from sync.cli.screens.checks import show_check, show_finding
    from sync.runtime.checks import run_checks

    worst = 0
    for name, finding in run_checks(options.load):
        if isinstance(finding, Exception):
            worst = max(worst, exit_code_of(finding))
        if finding is None:
            if not as_json:
                show_check(name)
        elif as_json:
            passed = isinstance(finding, str)
            click.echo(json.dumps({"check": name, "ok": passed, "says": str(finding)}))
        else:
            show_finding(name, finding)
    return worst
