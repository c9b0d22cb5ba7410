"""Serves the debugger page, which shows events as they arrive. Its script asks the two addresses here."""

import sqlite3
from typing import Any, NamedTuple

from datasette.utils.asgi import Response

from inspector.formatting import pretty_json
from inspector.pages.frame import (
    activity,
    cursor,
    database_of,
    needing_attention,
    organization_name,
    render,
    time_between,
)
from state.instants import to_text, utc_now
from state.queries.counts import EVENT_STATUSES
from state.queries.cycles import watermark
from state.queries.event_list import (
    PAGE,
    listed_events,
    listed_events_after,
    listed_events_at,
    whole_event,
)
from state.queries.events import last_event
from state.queries.organization import organization
from state.queries.rows import Row

# For how many pending events the debugger's script may ask what became of them.
_WATCHED = 200


async def debugger(datasette: Any, request: Any) -> Any:
    """Answer with the frame of the list; the script fills it."""
    context = {"statuses": EVENT_STATUSES, "there": database_of(datasette).is_there}
    return await render(datasette, request, "inspect_debugger.html", context)


class _Asked(NamedTuple):
    """What the script asks for."""

    status: str | None
    q: str | None
    after: int | None
    before: tuple[str, int] | None
    watch: list[int]


async def api_events(datasette: Any, request: Any) -> Any:
    """
    Answer with events for the list, as JSON.

    With `after=PLACE` these are the events that arrived after that place. Otherwise they are the newest that
    match `status` and `q`. With `before=INSTANT,PLACE` they are the newest of those older than that event.
    `watch=PLACE,…` adds what became of events that were still pending.
    """
    arguments = request.args
    try:
        asked = _Asked(
            status=_choice(arguments.get("status"), EVENT_STATUSES),
            q=(arguments.get("q") or "").strip() or None,
            after=_number(arguments.get("after")),
            before=cursor(arguments.get("before")),
            watch=[int(place) for place in (arguments.get("watch") or "").split(",")[:_WATCHED] if place],
        )
    except ValueError as error:
        return Response.json({"error": str(error)}, status=400)
    database = database_of(datasette)
    now = utc_now()
    found = await database.ask(_answer, asked)
    moving = await database.ask(activity, now, is_held=database.holder().is_there)
    return Response.json(
        {
            **found,
            "file": database.is_there,
            "organization": organization_name(await database.ask(organization)),
            "activity": moving.state,
            "last_cycle": moving.last_cycle,
            "needs": await needing_attention(database),
            "now": to_text(now),
        }
    )


def _answer(connection: sqlite3.Connection, asked: _Asked) -> Row:
    head = last_event(connection)
    is_reset = asked.after is not None and asked.after > head  # a place of another file
    if asked.after is not None and not is_reset:
        events = listed_events_after(connection, asked.after) if head > asked.after else []
    else:
        events = listed_events(connection, status=asked.status, q=asked.q, before=asked.before)
    mark = watermark(connection)
    return {
        "events": events,
        "changed": listed_events_at(connection, asked.watch),
        "full": len(events) == PAGE,
        "head": head,
        "reset": is_reset,
        "watermark": mark["position"] if mark else None,
    }


async def api_event(datasette: Any, request: Any) -> Any:
    """Answer with one whole event as JSON. Its payload is indented for people."""
    event = await database_of(datasette).ask(whole_event, request.args.get("id") or "")
    if event is None:
        return Response.json({"error": "There is no such event."}, status=404)
    event["payload"] = pretty_json(event["payload"])
    event["lag"] = time_between(event["occurred_at"], event["delivered_at"])
    return Response.json(event)


def _number(text: str | None) -> int | None:
    return int(text) if text else None


def _choice(text: str | None, allowed: tuple[str, ...]) -> str | None:
    if text and text not in allowed:
        raise ValueError(f"{text!r} is not one of {', '.join(allowed)}")
    return text or None
