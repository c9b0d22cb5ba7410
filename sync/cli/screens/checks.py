"""What `check` prints: a line for each check."""

import sys

import click


def show_check(name: str) -> None:
    """
    Print the name of a check that has begun, on a terminal only.

    A check of an end that is down takes seconds. The finding then overwrites this line.
    """
    if sys.stdout.isatty():
        click.echo(f"…       {name}\r", nl=False)


def show_finding(name: str, finding: str | Exception) -> None:
    """
    Print what a check found.

    Args:
        name: The name of the check.
        finding: A text where the check passed, an error where it failed. Further lines are indented.
    """
    passed = isinstance(finding, str)
    mark = click.style("ok    " if passed else "FAILED", fg="green" if passed else "red")
    first, *rest = str(finding).splitlines()
    click.echo(f"{mark}  {name:<11} {first}")
    for line in rest:
        click.echo(f"{'':<20}{line}")
