"""
Write logs: events with fields, on standard error. Data goes to standard output.

No e-mail address, phone number, name or secret is ever a field (semantics 5.4). Text from outside is escaped,
so that no id can forge a line or control a terminal.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from sync.printable import printable
from sync.settings.sections import LogSettings


def _printable(_: Any, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value)
    return event


class _ToldByTheCommand:
    """Leave out the errors of a cycle for as long as a command will print each of them itself."""

    _NAMES = frozenset(("gladly.failed", "segment.failed", "part.failed"))

    def __init__(self) -> None:
        self.is_on = False

    def __call__(self, _: Any, __: str, event: EventDict) -> EventDict:
        if self.is_on and event.get("event") in self._NAMES:
            raise structlog.DropEvent
        return event


_told_by_the_command = _ToldByTheCommand()


@contextlib.contextmanager
def errors_told_by_the_command() -> Iterator[None]:
    """
    Leave the errors that end a cycle out of what a person reads, while the block runs.

    The caller prints each of them afterwards, as a sentence. A log for programs has them all the same.
    """
    _told_by_the_command.is_on = True
    try:
        yield
    finally:
        _told_by_the_command.is_on = False


class _NeverFails:
    """
    Write to standard error, and ignore a full disk or a closed pipe: they must not stop a delivery (faults
    C7).
    """

    def __init__(self, *_: Any) -> None: ...

    def msg(self, message: str) -> None:
        try:
            sys.stderr.write(message + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure(settings: LogSettings) -> None:
    """
    Set up logging for the whole process.

    Args:
        settings: The level, and whether lines are for people or for programs.
    """
    on_terminal = sys.stderr.isatty()
    as_console = settings.format == "console" or (settings.format == "auto" and on_terminal)
    renderers: list[Processor]
    if as_console:
        from sync.telemetry.console import ConsoleRenderer

        colors = on_terminal and not os.environ.get("NO_COLOR")
        renderers = [
            _told_by_the_command,
            structlog.processors.format_exc_info,  # without locals, which would show secrets
            ConsoleRenderer(on_terminal=on_terminal, colors=colors),
        ]
    else:
        renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # the cycle's id
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=_NeverFails,
        cache_logger_on_first_use=False,
    )
    # The libraries' own loggers can quote URLs and headers. So only what they consider critical is shown.
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)
