"""What several commands share: the options of every command, decorators, readers of an option's value."""

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import click

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from sync.runtime.build import Tuning
    from sync.settings.sections import Config

P = ParamSpec("P")


class Options:
    """
    The options that every command takes, before and after its name.

    Args:
        config: The config file's path, as given on the command line; None when it was not given.
        debug: Whether to show tracebacks.
        tuning: The numbers behind the settings; None for those that the program ships with.

    Attributes:
        config: The config file's path, as given on the command line; None when it was not given.
        debug: Whether to show tracebacks.
    """

    def __init__(self, config: str | None, *, debug: bool, tuning: "Tuning | None" = None) -> None:
        self.config = config
        self._tuning = tuning
        self.debug = debug

    @property
    def tuning(self) -> "Tuning":
        """The numbers behind the settings."""
        from sync.runtime.build import DEFAULT_TUNING

        return self._tuning or DEFAULT_TUNING

    @property
    def config_given(self) -> str | None:
        """The config file's path, as given on the command line. None when it was not given."""
        return self.config

    def again(self, *arguments: str) -> str:
        """Return a command of this program with the same config file, as a person can paste it."""
        from sync.cli.screens.layout import pasteable

        return pasteable(*(("--config", self.config) if self.config else ()), *arguments)

    @property
    def config_path(self) -> Path:
        """The path of the config file. The file may be missing."""
        return Path(self.config or os.environ.get("GLADLY_SEGMENT_CONFIG") or "config.toml")

    def load(self) -> "Config":
        """
        Read the settings and the secrets.

        Raises:
            SettingsError: The settings hold mistakes.
        """
        from sync.settings.loading import load

        return load(self.config)

    @property
    def state_path(self) -> Path:
        """
        The path of the state file. Reading it from the settings needs no secret.

        Raises:
            SettingsError: The settings hold mistakes.
        """
        return self.load_without_secrets().state_path

    def load_without_secrets(self) -> "Config":
        """
        Read the settings, and no secret.

        Raises:
            SettingsError: The settings hold mistakes.
        """
        from sync.settings.loading import load

        return load(self.config, with_secrets=False)


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """
    Let a command return its exit code. None means 0.

    A reader that closes the pipe, as in `events | head`, is no error: the exit code is 0.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs) or 0
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = 0
        raise click.exceptions.Exit(code)

    return wrapped


def json_option(help_: str) -> Callable[[Any], Any]:
    """Add `--json`, which a command receives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help=help_)


def dry_run_option() -> Callable[[Any], Any]:
    """Add `--dry-run`."""
    return click.option(
        "--dry-run", is_flag=True, help="Print the events as JSON lines. Store and send nothing."
    )


def read_instant(_: click.Context, __: click.Parameter, value: str | None) -> "datetime | None":
    """Read an INSTANT (interface 2). A click callback."""
    from state.instants import parse_instant, utc_now

    if value is None:
        return None
    try:
        return parse_instant(value, utc_now())
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def check_instant(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check an INSTANT that is read later, by Gladly's clock. A click callback."""
    read_instant(context, parameter, value)
    return value


def check_duration(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check a DURATION that is shown again as it was given. A click callback."""
    read_duration(context, parameter, value)
    return value


def read_duration(_: click.Context, __: click.Parameter, value: str | None) -> "timedelta | None":
    """Read a DURATION (interface 2). A click callback."""
    from state.instants import parse_duration

    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
