"""Write a log line for a person: the time, what happened, its figures, and last the sentence of an error."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from structlog.typing import EventDict

# SGR codes of the terminal (ECMA-48, 8.3.117).
_COLORS = {"debug": "2", "warning": "33", "error": "31", "critical": "31"}

# The figures of a cycle that are shown where they are not 0, the names of a single one, the outcomes' colors.
_FIGURES = ("changes", "created", "closed", "delivered")
_OF_ONE = {"changes": "change"}
_OUTCOMES = {"ok": "32", "degraded": "33", "failed": "31"}

# What has a place of its own in the line, and the cycle's id: the time tells which lines belong together.
_PLACED = ("timestamp", "level", "event", "error", "exception", "cycle")


class ConsoleRenderer:
    """
    Render an event as one line, as structlog's last processor. Only a traceback makes it longer.

    Args:
        on_terminal: Whether a terminal shows the lines. The time is then local and without its date, as the
            line appears at that time. Otherwise it is in UTC, with its date.
        colors: Whether to color the level and the outcome of a cycle.
    """

    def __init__(self, *, on_terminal: bool, colors: bool) -> None:
        self._on_terminal = on_terminal
        self._colors = colors

    def __call__(self, _: Any, __: str, event: EventDict) -> str:
        """Return the line of *event*."""
        level = event.get("level", "info")
        words = [self._time(event["timestamp"])]
        if level != "info":
            words.append(self._colored(level, _COLORS.get(level)))
        words.append(str(event["event"]))
        if event["event"] == "cycle.finished":
            words += self._of_a_cycle(event)
        else:
            words += [f"{name}={_quoted(value)}" for name, value in event.items() if name not in _PLACED]
        sentence = f": {event['error']}" if event.get("error") else ""
        traceback = f"\n{event['exception']}" if event.get("exception") else ""
        return " ".join(words) + sentence + traceback

    def _time(self, timestamp: str) -> str:
        instant = datetime.fromisoformat(timestamp)
        if self._on_terminal:
            return f"{instant.astimezone():%H:%M:%S}"
        return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"

    def _of_a_cycle(self, event: EventDict) -> Sequence[str]:
        """Return the outcome of a cycle and its figures, short enough for a terminal of 80 columns."""
        counts = {name: event[name] for name in _FIGURES if event.get(name)}
        figures = [f"{n} {name if n > 1 else _OF_ONE.get(name, name)}" for name, n in counts.items()]
        outcome = str(event["outcome"])
        told = ", ".join([*(figures or ["nothing new"]), f"{event['seconds']:.1f} s"])
        return [self._colored(outcome, _OUTCOMES.get(outcome)) + ":", told]

    def _colored(self, text: str, code: str | None) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colors and code else text


def _quoted(value: Any) -> str:
    """Return a value of a field, in quotes where it would not be told from what follows."""
    text = str(value)
    if text and " " not in text and "=" not in text:
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'
