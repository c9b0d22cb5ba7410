"""What several screens share: a labelled line, an instant, the width, a color for each status of an event."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from state.instants import from_text

EVENT_STATUS_COLORS = {
    "delivered": "green",
    "pending": "yellow",
    "recorded": "cyan",
    "rejected": "red",
    "suppressed": "blue",
}

# The width of the column of labels, in characters.
LABEL_WIDTH = 15

# Below this width nothing is laid out: a terminal wraps the lines itself.
_NARROWEST = 40


def show_line(label: str, text: str) -> None:
    """Print a label and a text, in columns. An empty label continues the line above."""
    click.echo(f"{label:<{LABEL_WIDTH}}{text}")


def shown_time(text: str, *, utc: bool = False, exact: bool = False) -> str:
    """
    Return an instant of the state file for a person: `10:15:04 CET`, and with its date where it is not today.

    Args:
        text: The instant, as the state file has it.
        utc: Whether to show it in UTC. It is shown in this machine's time zone otherwise.
        exact: Whether to show the date in any case, and milliseconds: `2026-11-20 10:15:04.123 CET`.
    """
    instant = from_text(text)
    zone = UTC if utc else None
    instant, today = instant.astimezone(zone), datetime.now(UTC).astimezone(zone).date()
    if exact:
        return f"{instant.replace(tzinfo=None).isoformat(' ', 'milliseconds')} {instant.tzname()}"
    date = "" if instant.date() == today else f"{instant:%Y-%m-%d} "
    return f"{date}{instant:%H:%M:%S} {instant.tzname()}"


def terminal_width() -> int | None:
    """Return the width of the terminal that shows standard output. Return None where none shows it."""
    if not sys.stdout.isatty():
        return None
    import shutil  # its import costs milliseconds, and `status` does without

    return max(_NARROWEST, shutil.get_terminal_size().columns)


def pasteable(*arguments: str) -> str:
    """
    Return a command that runs this program again, and that a person can paste into the same shell.

    The program is named as it was called, because it may not be on the path.
    """
    import shlex
    import shutil

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
