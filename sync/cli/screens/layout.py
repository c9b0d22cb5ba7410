"""What several screens share: a labelled line, and a color for each status of an event."""

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
