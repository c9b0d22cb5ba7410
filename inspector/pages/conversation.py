"""Shows one conversation's whole history."""

import sqlite3
from typing import Any, NamedTuple

from datasette.utils.asgi import Response

from inspector.formatting import pretty_json
from inspector.pages.frame import database_of, render, time_between
from state.queries import conversations
from state.queries.rows import Row

# A page shows so many changes of a conversation at most.
_CHANGES = 500


class Moment(NamedTuple):
    """A line of the history: what Gladly recorded, what it meant and why, and which event it made."""

    at: str
    kind: str
    what: str
    note: str | None = None
    states: str | None = None
    event: Row | None = None


class _Known(NamedTuple):
    """What the state file knows of a conversation."""

    stored: Row | None
    changes: list[Row]
    events: list[Row]
    customer_id: str | None
    customer_name: str | None
    customer: Row | None
    others: list[Row]


async def conversation(datasette: Any, request: Any) -> Any:
    """Answer with what the state file knows of one conversation. Without an id, go on to the list of them."""
    database = database_of(datasette)
    conversation_id = (request.args.get("id") or "").strip()
    if not conversation_id:
        return Response.redirect("/conversations")
    known = await database.ask(_known_of, conversation_id)
    stored = known.stored
    return await render(
        datasette,
        request,
        "inspect_conversation.html",
        {
            "id": conversation_id,
            "stored": stored,
            "customer_id": known.customer_id,
            "customer_name": known.customer_name,
            "customer": known.customer,
            "others": known.others,
            "moments": history(stored, known.changes, known.events, known.customer),
            "events": known.events,
            "open_for": time_between(stored["created_at"], stored["closed_at"]) if stored else None,
        },
        status=200 if stored or known.events else 404,
    )


def _known_of(connection: sqlite3.Connection, conversation_id: str) -> _Known:
    stored = conversations.conversation(connection, conversation_id)
    events = conversations.events_of(connection, conversation_id)
    customer_id = stored["customer_id"] if stored else events[-1]["customer_id"] if events else None
    return _Known(
        stored=stored,
        changes=conversations.changes_of(connection, conversation_id, _CHANGES),
        events=[
            {
                **event,
                "lag": time_between(event["occurred_at"], event["delivered_at"]),
                "payload": pretty_json(event["payload"]),
            }
            for event in events
        ],
        customer_id=customer_id,
        customer_name=conversations.customer_name_of(connection, conversation_id),
        customer=conversations.customer(connection, customer_id) if customer_id else None,
        others=conversations.other_conversations_of(connection, customer_id, conversation_id)
        if customer_id
        else [],
    )


def history(stored: Row | None, changes: list[Row], events: list[Row], customer: Row | None) -> list[Moment]:
    """
    Return what happened, oldest first.

    These are the changes with what was decided, each with the event it made; the events whose change is no
    longer kept; and what became of the conversation and of its customer.

    Args:
        stored: The conversation's row of `conversations`, where there is one.
        changes: Its changes, oldest first.
        events: Its events, oldest first.
        customer: The customer's row of `customers`, where there is one.
    """
    made = {(event["transition"], event["occurred_at"]): event for event in events}
    causes = [(change["transition"], change["recorded_at"]) for change in changes]
    moments = [_moment_of(change, made.get(cause)) for change, cause in zip(changes, causes, strict=True)]
    moments += [
        Moment(event["occurred_at"], event["transition"], event["transition"].capitalize(), event=event)
        for cause, event in made.items()
        if cause not in causes
    ]
    if stored and stored["created_at"] and all(moment.kind != "created" for moment in moments):
        moments.append(Moment(stored["created_at"], "known", "Created at Gladly"))
    if stored and stored["status"] in ("MERGED", "DELETED"):
        word = stored["status"].lower()
        if all(moment.kind != word for moment in moments):
            note = "Nothing more is sent for it."
            moments.append(Moment(stored["updated_at"], word, word.capitalize(), note))
    if customer and customer["merged_into"]:
        note = f"Into {customer['merged_into']}."
        moments.append(Moment(customer["merged_at"], "merged", "Customer merged", note))
    if customer and customer["deleted_at"]:
        moments.append(Moment(customer["deleted_at"], "deleted", "Customer deleted", customer["reason"]))
    return _numbered(sorted(moments, key=lambda moment: moment.at or ""))


def _moment_of(change: Row, event: Row | None) -> Moment:
    """Word a change as `gladly-segment explain` does."""
    transition = change["transition"]
    kind = change["type"].rpartition("/")[2].lower()
    what = kind.replace("_", " ").capitalize()
    states = f"{change['status_before'] or '-'} → {change['status_after']}"
    note = f"{transition or 'nothing new'}: {change['why'] or 'not kept'}"
    return Moment(change["recorded_at"], kind, what, note, states, event)


def _numbered(moments: list[Moment]) -> list[Moment]:
    """Word every close after the first so that it stands out."""
    closes, told = 0, []
    for moment in moments:
        if moment.kind == "closed" and moment.event:
            closes += 1
            if closes > 1:
                moment = moment._replace(what="Closed again")  # noqa: PLW2901
        told.append(moment)
    return told
