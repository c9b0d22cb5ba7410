"""Gives all pages what they share: the state file, the template, and how times are worded."""

from datetime import timedelta
from typing import Any

from datasette.utils.asgi import Response

from inspector import charts
from inspector.database import NAME, StateDatabase
from state.instants import from_text, short_duration


def database_of(datasette: Any) -> StateDatabase:
    """Return the state file that is shown."""
    database: StateDatabase = datasette.databases[NAME]
    return database


async def render(
    datasette: Any, request: Any, template: str, context: dict[str, Any], status: int = 200
) -> Any:
    """Return a template, filled with *context*, as an answer with this status."""
    return Response.html(await datasette.render_template(template, context, request=request), status=status)


def duration(seconds: float | None) -> str:
    """Word a duration as `status` does. Return a dash where it is not known."""
    return "—" if seconds is None else short_duration(seconds)


def time_between(earlier: str | None, later: str | None) -> str | None:
    """Word the time from one instant to another. Return None where one of them is not known."""
    if not earlier or not later:
        return None
    lag = (from_text(later) - from_text(earlier)) / timedelta(seconds=1)
    return charts.seconds_words(max(0.0, lag))
