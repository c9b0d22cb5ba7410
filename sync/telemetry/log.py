"""
Logs: events with fields, on standard error; data goes to standard output.

No e-mail, phone, name or secret is ever a field (semantics 5.4). What comes from outside is escaped, so that
no id can forge a line or speak to a terminal.
"""

import logging
import os
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from sync.printable import printable
from sync.settings.config import LogSettings


def _printable(_: Any, __: str, event: EventDict) -> EventDict:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value)
    return event


class _NeverFails:
    """A full disk or a closed pipe behind the log does not stop a delivery (faults C7)."""

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
    """Set up what `structlog.get_logger()` gives, for the whole process."""
    on_terminal = sys.stderr.isatty()
    as_console = settings.format == "console" or (settings.format == "auto" and on_terminal)
    shape: list[Processor]
    if as_console:
        plain = structlog.dev.plain_traceback  # locals in a traceback would show secrets
        colors = on_terminal and "NO_COLOR" not in os.environ
        shape = [structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    else:
        shape = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,  # the cycle's id
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _printable,
            *shape,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.level.upper())),
        logger_factory=_NeverFails,
        cache_logger_on_first_use=False,
    )
    # The libraries' own loggers can quote URLs and headers: only what they consider an error is shown.
    logging.basicConfig(level=logging.CRITICAL, stream=sys.stderr)
