"""Why a result is empty, in a sentence for standard error."""

from collections.abc import Callable
from pathlib import Path

import click

from sync.cli.screens.layout import shown_time


def say_why(sentence: str) -> None:
    """Print why a result is empty. Standard output stays empty, and the exit code is 0."""
    click.echo(sentence, err=True)


def why_no_events(path: Path, again: Callable[..., str], *, is_filtered: bool = False) -> str:
    """
    Return why the state file shows no event.

    Args:
        path: The state file.
        again: Makes a command that a person can paste (`Options.again`).
        is_filtered: Whether options leave events out.

    Raises:
        StateFileError: The file cannot be read.
    """
    from state.file import is_there
    from state.reader import Reader

    if not is_there(path):
        return f"Nothing yet: no cycle has run, and there is no state file {path}. Run: {again('once')}"
    with Reader(path) as reader:
        if is_filtered and reader.last_event():
            return f"No event fits these options. All events: {again('events')}"
        watermark = reader.watermark()
        if watermark is None:
            return f"Nothing yet: no cycle has succeeded. See: {again('status')}"
        since = reader.watched_since() or watermark["position"]
    return (
        f"Nothing yet: watching since {shown_time(since)}, and no conversation was created or closed since "
        f"then. Earlier ones: {again('resync', '--since', '7d')}"
    )
