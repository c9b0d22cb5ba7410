"""What `check` prints: a line for each check."""

import sys
from typing import Literal

import click

from sync.runtime.checks import Finding

State = Literal["passed", "failed", "unproved"]

_MARKS: dict[State, tuple[str, str]] = {
    "passed": ("ok    ", "green"),
    "failed": ("FAILED", "red"),
    "unproved": ("unsure", "yellow"),
}


def state_of(finding: Finding) -> State:
    """Return the state of a check, given what it found."""
    if isinstance(finding, Exception):
        return "failed"
    return "passed" if isinstance(finding, str) else "unproved"


def show_check(name: str) -> None:
    """
    Print the name of a check that has begun, on a terminal only.

    A check of an end that is down takes seconds. The finding then overwrites this line.
    """
    if sys.stdout.isatty():
        click.echo(f"…       {name}\r", nl=False)


def show_finding(name: str, finding: Finding) -> None:
    """
    Print what a check found.

    Args:
        name: The name of the check.
        finding: A text where the check passed, an error where it failed, `Unproved` where nothing shows
            whether it holds. Further lines are indented.
    """
    text, color = _MARKS[state_of(finding)]
    mark = click.style(text, fg=color)
    first, *rest = str(finding).splitlines()
    click.echo(f"{mark}  {name:<11} {first}")
    for line in rest:
        click.echo(f"{'':<20}{line}")
