"""What `check` prints: a line for each check, and how long the present one takes."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Literal

import click

from sync.runtime.checks import Finding

State = Literal["passed", "failed", "unproved"]

_MARKS: dict[State, tuple[str, str]] = {
    "passed": ("ok    ", "green"),
    "failed": ("FAILED", "red"),
    "unproved": ("unsure", "yellow"),
}

# A check of an end that is down takes up to 20 s. How often the seconds are shown, in seconds.
_SHOWN_EVERY_S = 1.0

# The line is overwritten with blanks, because NO_COLOR takes control sequences out.
_ERASE = f"\r{'':<40}\r"


def state_of(finding: Finding) -> State:
    """Return the state of a check, given what it found."""
    if isinstance(finding, Exception):
        return "failed"
    return "passed" if isinstance(finding, str) else "unproved"


@contextlib.contextmanager
def shown_waiting() -> Iterator[Callable[[str | None], None]]:
    """
    Show on standard error which check goes on, and for how many seconds, where that is a terminal.

    Yields: a function to call with the name of a check that begins, and with None when it has ended.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    waiting = _Waiting()
    try:
        yield waiting.wait_for
    finally:
        waiting.wait_for(None)


class _Waiting:
    """A line that a thread writes anew each second. The finding then takes its place."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def wait_for(self, name: str | None) -> None:
        """End the line that is shown, and begin one for the check *name*."""
        if self._thread is not None:
            self._over.set()
            self._thread.join()
            self._thread = None
            click.echo(_ERASE, nl=False, err=True)
        if name is not None:
            self._over.clear()
            self._thread = threading.Thread(target=self._show, args=(name,), daemon=True)
            self._thread.start()

    def _show(self, name: str) -> None:
        begun = time.monotonic()
        click.echo(f"…       {name}", nl=False, err=True)
        while not self._over.wait(_SHOWN_EVERY_S):
            click.echo(f"{_ERASE}…       {name:<11} {time.monotonic() - begun:.0f} s", nl=False, err=True)


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
