"""The command that prints the form of the events: `schema`."""

import json

import click

from sync.cli.options import Options, command


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["json-schema", "segment", "rudderstack"]),
    default="json-schema",
    show_default=True,
    help="JSON Schema (draft 7), a Segment tracking plan's rules, or a RudderStack tracking plan.",
)
@click.pass_obj
@command
def schema(options: Options, form: str) -> None:
    """
    Print the form of the events as configured.

    The settings of [properties], sync.reopened and nothing else decide it. The command needs no secret and no
    state file.

    \b
    Example:
      gladly-segment schema
      gladly-segment schema --format segment > rules.json
    """
    from sync.events.schema import json_schema, rudderstack_plan, segment_rules

    wanted = options.load_without_secrets().event_options
    if form == "rudderstack":
        click.echo(rudderstack_plan(wanted), nl=False)
    else:
        document = json_schema(wanted) if form == "json-schema" else segment_rules(wanted)
        click.echo(json.dumps(document, indent=2))
