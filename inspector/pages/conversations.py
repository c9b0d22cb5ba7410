"""Lists conversations with their customer's name, by their last change: pages, a filter and a search."""

from typing import Any
from urllib.parse import urlencode

from datasette.utils.asgi import Response

from inspector.pages.frame import cursor, database_of, render
from state.queries.conversations import PAGE, conversation, listed_conversations
from state.queries.counts import conversation_counts, conversation_total
from state.queries.rows import Row

# The filters of the page, as `status` counts them: a waiting conversation is an open one, too.
_STATUSES = {
    "open": ("OPEN", "WAITING"),
    "waiting": ("WAITING",),
    "closed": ("CLOSED",),
    "merged": ("MERGED",),
    "deleted": ("DELETED",),
}


async def conversations(datasette: Any, request: Any) -> Any:
    """
    Answer with a page of conversations.

    `status` and `q` filter them. `before=INSTANT,PLACE` begins after that conversation. Where `q` is the id
    of a conversation, go on to its page.
    """
    database = database_of(datasette)
    q = (request.args.get("q") or "").strip()
    status = request.args.get("status") or ""
    status = status if status in _STATUSES else ""
    if q and await database.ask(conversation, q):
        return Response.redirect(f"/conversation?{urlencode({'id': q})}")
    try:
        before = cursor(request.args.get("before"))
    except ValueError:
        before = None
    found = await database.ask(
        listed_conversations, statuses=_STATUSES.get(status, ()), q=q or None, before=before, limit=PAGE + 1
    )
    counts = await database.ask(conversation_counts)
    return await render(
        datasette,
        request,
        "inspect_conversations.html",
        {
            "there": database.is_there,
            "q": q,
            "status": status,
            "filters": [("", "All", conversation_total(counts), _address(q, ""))]
            + [(name, name.capitalize(), counts[name], _address(q, name)) for name in _STATUSES],
            "shown": found[:PAGE],
            "is_first": before is None,
            "first": _address(q, status),
            "older": _address(q, status, found[PAGE - 1]) if len(found) > PAGE else None,
        },
    )


def _address(q: str, status: str, last: Row | None = None) -> str:
    """Return the address of the page with these filters, which begins after *last*."""
    before = f"{last['updated_at']},{last['place']}" if last else ""
    asked = {name: each for name, each in (("q", q), ("status", status), ("before", before)) if each}
    return f"/conversations?{urlencode(asked)}".removesuffix("?")
