"""What several screens share: a labelled line, and a color for each status of an event."""

from pathlib import Path

import click

EVENT_STATUS_COLORS = {
    "delivered": "green",
    "pending": "yellow",
    "recorded": "cyan",
    "rejected": "red",
    "suppressed": "blue",
}

# The width of the column of labels, in characters.
LABEL_WIDTH = 15


def show_line(label: str, text: str) -> None:
    """Print a label and a text, in columns. An empty label continues the line above."""
    click.echo(f"{label:<{LABEL_WIDTH}}{text}")


def pasteable(*arguments: str) -> str:
    """
    Return a command that runs this program again, and that a person can paste into the same shell.

    The program is named as it was called, because it may not be on the path.
    """
    import shlex
    import shutil
    import sys

    called = sys.argv[0]
    if Path(called).name == "__main__.py":
        python = Path(sys.executable)
        words = [_short(python), "-m", "sync"]
    elif "/" not in called or shutil.which(Path(called).name) == called:
        words = [Path(called).name]
    else:
        words = [_short(Path(called))]
    return shlex.join([*words, *arguments])


def _short(program: Path) -> str:
    """Return the path from the working directory on, where the program is below it."""
    here = Path.cwd()
    return str(program.relative_to(here)) if program.is_relative_to(here) else str(program)
