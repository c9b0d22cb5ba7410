"""The command that shows the settings in effect: `config show`."""

import json

import click

from sync.cli.options import Options, command, json_option
from sync.cli.program import CommandGroup


@click.group(cls=CommandGroup, subcommand_metavar="COMMAND [ARGUMENTS]")
def config() -> None:
    """
    Show the settings in effect.

    \b
    Example:
      gladly-segment config show
    """


@config.command("show")
@json_option("Print one JSON object: for each setting its value, where it comes from, and the place.")
@click.pass_obj
@command
def config_show(options: Options, as_json: bool) -> None:
    """
    Show every setting in effect, and where it comes from.

    A value comes from config.toml, from an environment variable, from another setting, or it is the default.
    A secret is shown as set or not set. The command makes no request and reads no state file.

    \b
    Example:
      gladly-segment config show
      gladly-segment config show --json | jq '."sync.every"'
    """
    from sync.settings.effective import effective_settings

    found = effective_settings(options.config)
    if as_json:
        shown = {}
        for each in found:
            shown[each.name] = {"value": each.value, "origin": each.origin, "place": each.place}
        click.echo(json.dumps(shown))
        return
    name_width = max(len(each.name) for each in found)
    value_width = min(40, max(len(each.value) for each in found))
    for each in found:
        place = click.style(each.place or "default", dim=each.place is None)
        click.echo(f"{each.name:<{name_width}}  {each.value:<{value_width}}  {place}")
