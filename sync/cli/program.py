"""The help of the program in groups of commands, options that every command takes, and ids as arguments."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import click

from sync.cli.options import Options

# 16 bytes in the URL-safe Base64 (RFC 4648, 5): one in 64 of them begins with a hyphen.
_GLADLY_ID = re.compile(r"[\w-]{22}", re.ASCII)


class Section(NamedTuple):
    """
    Commands that belong together in the help.

    Attributes:
        title: What they are for.
        commands: The commands, in the order of the help.
        example: A line that can be pasted into a terminal.
    """

    title: str
    commands: Sequence[click.Command]
    example: str


class Program(click.Group):
    """
    The group of all commands. Its help lists them by section, and cuts no sentence.

    Args:
        sections: The commands, section by section.
        more: What every group of commands takes.
    """

    def __init__(self, *, sections: Sequence[Section] = (), **more: Any) -> None:
        super().__init__(**more)
        self._sections = sections
        for section in sections:
            for command in section.commands:
                take_options_after(command)
                self.add_command(command)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of the help."""
        return [command.name or "" for section in self._sections for command in section.commands]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section: its title, a line or more for each command, and an example."""
        width = max(len(name) for name in self.list_commands(ctx))
        for section in self._sections:
            with formatter.section(section.title):
                formatter.write_dl(
                    [((command.name or "").ljust(width), summary(command)) for command in section.commands]
                )
                formatter.write_text(f"Example: {section.example}")


class CommandGroup(click.Group):
    """A command that has commands of its own. Its help cuts no sentence either."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a line or more for each command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(command)) for name, command in self.commands.items()])


class CommandOfAnId(click.Command):
    """A command that takes an id of Gladly, which may begin with a hyphen as an option does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Tell an id from an option: it is as long as an id, and no option of the command has its name."""
        names = {name for parameter in self.params for name in parameter.opts}
        ids = [arg for arg in args if _GLADLY_ID.fullmatch(arg) and arg not in names]
        if "--" not in args and any(id_.startswith("-") for id_ in ids):
            args = [*(arg for arg in args if arg not in ids), "--", *ids]
        return super().parse_args(ctx, args)


def summary(command: click.Command) -> str:
    """Return the first sentence of a command's help."""
    paragraph = " ".join((command.help or "").strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".") + "."


def take_options_after(command: click.Command) -> None:
    """Let a command, and every command within it, take the program's own options after its name."""
    command.params += [
        click.Option(
            ["--config"],
            metavar="PATH",
            expose_value=False,
            callback=_take_config,
            help="The config file, as before the command.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_take_debug,
            help="Show tracebacks, as before the command.",
        ),
    ]
    for within in command.commands.values() if isinstance(command, click.Group) else ():
        take_options_after(within)


def _take_config(context: click.Context, _: click.Parameter, value: str | None) -> None:
    options = context.find_object(Options)
    if value is not None and options is not None:
        options.config = value


def _take_debug(context: click.Context, _: click.Parameter, value: bool) -> None:
    options = context.find_object(Options)
    if value and options is not None:
        options.debug = True
