"""Gives all pages what they share: the state file, the template, and how times are worded."""

import sqlite3
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from datasette.utils.asgi import Response

from inspector import charts
from inspector.database import NAME, StateDatabase
from state.instants import from_text, short_duration
from state.queries.attention import attention_counts
from state.queries.cycles import last_poll
from state.queries.schedules import expected_cycles

# The address that stands for every address that is none.
NOT_FOUND = "/not-found"

# SQLite counts rows up to this number.
_LAST_PLACE = 2**63 - 1

# Where `once` runs on a schedule, a cycle is late after so many intervals, at least after so many seconds.
# The view `needs_attention` counts the same.
_LATE_INTERVALS = 3
_LATE_AFTER_S = 600


class Activity(NamedTuple):
    """
    Whether anything moves the sync on.

    Attributes:
        state: `running`: a process runs cycles now. `between`: none does, and the next `once` is expected.
            `stopped`: none does, and none is expected.
        last_cycle: When the last cycle that the file knows ended. None before the first.
    """

    state: str
    last_cycle: str | None


def activity(connection: sqlite3.Connection, now: datetime, *, is_held: bool) -> Activity:
    """
    Return whether anything moves the sync on.

    Args:
        connection: The state file.
        now: The instant.
        is_held: Whether a process runs cycles over the file at this instant.
    """
    last = last_poll(connection)
    ended = (last["finished_at"] or last["started_at"]) if last else None
    if is_held:
        return Activity("running", ended)
    expected = expected_cycles(connection)
    if expected and expected["role"] == "once" and ended:
        late_s = max(_LATE_AFTER_S, _LATE_INTERVALS * expected["every_s"])
        if (now - from_text(ended)).total_seconds() <= late_s:
            return Activity("between", ended)
    return Activity("stopped", ended)


async def needing_attention(database: StateDatabase) -> int:
    """Return how many things need a person: what the header, the title and the icon of each page say."""
    counts = await database.ask_rested("attention", attention_counts)
    return sum(counts.values())


def database_of(datasette: Any) -> StateDatabase:
    """Return the state file that is shown."""
    database: StateDatabase = datasette.databases[NAME]
    return database


def cursor(text: str | None) -> tuple[str, int] | None:
    """
    Return the instant and the place that an address names as `INSTANT,PLACE`. Return None for no text.

    Raises:
        ValueError: The place is not a number, or is one that no row can have.
    """
    if not text:
        return None
    instant, _, place = text.rpartition(",")
    if not 0 <= int(place) <= _LAST_PLACE:
        raise ValueError(f"{place} is not a place")
    return instant, int(place)


def organization_name(host: str | None) -> str | None:
    """Return what the pages call an organization, given the host that the state file is bound to."""
    return "sandbox" if host == "localhost" else host


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
