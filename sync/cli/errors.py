"""What a command says on standard error: why it failed, with an exit code, or why it shows nothing."""

import contextlib
import os
import sys

import click

from state.errors import StateFileError, StateLockedError
from sync.errors import CredentialsRefusedError, SettingsError
from sync.printable import printable

# Exit codes (interface 2).
FAILED, WRONG_USAGE, CREDENTIALS_REFUSED, STATE_LOCKED = 1, 2, 3, 4


def exit_code_of(error: Exception) -> int:
    """Return the exit code of an error (interface 2)."""
    if isinstance(error, (SettingsError, StateFileError)):
        return WRONG_USAGE
    if isinstance(error, CredentialsRefusedError):
        return CREDENTIALS_REFUSED
    if isinstance(error, StateLockedError):
        return STATE_LOCKED
    return FAILED


def complain(*sentences: str) -> None:
    """Print what is wrong on standard error, one line for each sentence."""
    with contextlib.suppress(OSError):
        for sentence in sentences:
            in_color = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
            click.secho(f"error: {printable(sentence)}", err=True, fg="red" if in_color else None)


def note(*sentences: str) -> None:
    """Print on standard error what is no error, such as why there is nothing to show. One line for each."""
    with contextlib.suppress(OSError):
        for sentence in sentences:
            click.echo(printable(sentence), err=True)
