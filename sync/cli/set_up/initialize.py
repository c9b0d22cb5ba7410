"""The command that sets the program up: `init`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sync.cli.options import Options, command
from sync.errors import SettingsError

if TYPE_CHECKING:
    from sync.settings.sections import Config


@click.command()
@click.option("--organization", metavar="NAME", help="The part before .gladly.com, or a pasted address.")
@click.option("--username", metavar="EMAIL", help="The e-mail of the Gladly agent who is an API User.")
@click.option("--region", type=click.Choice(["us", "eu"]), help="The region of the Segment workspace.")
@click.option("--force", is_flag=True, help="Replace an existing file that is not the untouched example.")
@click.pass_obj
@command
def init(
    options: Options, organization: str | None, username: str | None, region: str | None, force: bool
) -> None:
    """
    Set the program up: ask for what it needs, and write a commented config.toml.

    The command checks each answer at once at Gladly and Segment. A wrong answer is asked for again, and no
    other answer is lost. The secrets go to files of their own beside config.toml, which only you can read.
    Without a terminal, the command asks nothing, needs all three options, and writes config.toml alone.

    \b
    Example:
      gladly-segment init
      gladly-segment init --config ~/gladly-segment/config.toml
      gladly-segment init --config /etc/gladly-segment/config.toml \\
          --organization acme --username segment-sync@example.com --region eu
    """
    from sync.settings.example import is_untouched, write_config

    path = options.config_path.expanduser()
    if path.exists() and not force and not is_untouched(path):
        raise click.UsageError(f"{path} exists already. Add --force to replace it.")
    answers = {"organization": organization, "username": username, "region": region}
    if sys.stdin.isatty():
        from sync.cli.set_up.questions import Given, ask_everything

        config = ask_everything(Given(organization, username, region), path.parent, options.tuning)
        files = _write_secrets(config, path.parent)
        write_config(path, {**_answers_of(config), **files})
        click.echo(
            f"\nWrote {path}" + (f", and beside it {', '.join(files.values())}" if files else "") + "."
        )
        _show_variables()
    elif None in answers.values():
        missing = ", ".join(f"--{name}" for name, value in answers.items() if value is None)
        raise click.UsageError(f"Without a terminal, init cannot ask. Add {missing}.")
    else:
        write_config(path, _read(organization or "", username or "", region or ""))
        click.echo(
            f"Wrote {path}. The secrets do not belong in it. Set them as variables, and then check:\n"
            "  export GLADLY_API_TOKEN=… SEGMENT_WRITE_KEY=…"
        )
    _show_what_is_next(options, path)


def _read(organization: str, username: str, region: str) -> dict[str, str | None]:
    """
    Return the answers of the command line by setting.

    Raises:
        SettingsError: An answer cannot be right.
    """
    from sync.settings.values import organization_of

    if "@" not in username:
        raise SettingsError(f"{username!r} is not an e-mail address; write the e-mail of the Gladly agent.")
    try:
        name = organization_of(organization)
    except ValueError as error:
        raise SettingsError(f"{error}.") from None
    return {"gladly.organization": name, "gladly.username": username, "segment.region": region}


def _answers_of(config: "Config") -> dict[str, str | None]:
    """Return a person's answers by setting. None comments out what another answer replaces."""
    gladly, segment = config.settings.gladly, config.settings.segment
    region = None if segment.base_url else segment.region
    answers = {
        "gladly.organization": gladly.organization,
        "gladly.username": gladly.username,
        "segment.region": region,
    }
    addresses = {
        "gladly.base_url": gladly.base_url,
        "segment.base_url": segment.base_url,
        "segment.public_api_url": segment.public_api_url,
    }
    return answers | {name: address for name, address in addresses.items() if address is not None}


def _write_secrets(config: "Config", directory: Path) -> dict[str, str]:
    """
    Write each secret to a file beside the config file, unless its variable holds it.

    Return the names of the files by setting.

    Raises:
        SettingsError: A file cannot be written.
    """
    from sync.settings.example import write_secret
    from sync.settings.secrets import API_TOKEN, PUBLIC_API_TOKEN, WRITE_KEY

    secrets = config.secrets
    written: dict[str, str] = {}
    for source, secret in (
        (API_TOKEN, secrets.api_token),
        (WRITE_KEY, secrets.write_key),
        (PUBLIC_API_TOKEN, secrets.public_api_token),
    ):
        if secret and not os.environ.get(source.variable, "").strip():
            file = f"{source.section}-{source.key.replace('_', '-')}"
            write_secret(directory / file, secret)
            written[source.file_setting] = file
    return written


def _show_variables() -> None:
    """Name the variables that win over what was just written."""
    for name in (
        "GLADLY__ORGANIZATION",
        "GLADLY__BASE_URL",
        "GLADLY__USERNAME",
        "SEGMENT__REGION",
        "SEGMENT__BASE_URL",
    ):
        variable = f"GLADLY_SEGMENT_{name}"
        if os.environ.get(variable):
            click.echo(f"The variable {variable} is set, and wins over this file.")


def _show_what_is_next(options: Options, path: Path) -> None:
    from sync.cli.screens.layout import pasteable

    is_found_anyway = options.config is None
    named = () if is_found_anyway else ("--config", str(path))
    click.echo(
        "Next:\n"
        f"  {pasteable(*named, 'check')}\n"
        f"  {pasteable(*named, 'once', '--dry-run')}   # what would be sent\n"
        f"  {pasteable(*named, 'run')}"
    )
