"""Tells Datasette where our pages are, and how cells look on the pages of Datasette itself."""

import contextlib
import logging
import re
import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlencode

from datasette import hookimpl
from datasette.database import QueryInterrupted
from datasette.utils.asgi import Base400, Response
from datasette.views.base import DatasetteError
from markupsafe import Markup, escape

from inspector.database import NAME
from inspector.formatting import pretty_json, visible
from inspector.pages import conversation, debugger, frame, overview
from state.queries.cycles import watermark

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
# pluggy's marker, with a type.
hook: Callable[[F], F] = hookimpl

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

# Longer cells than this are folded up.
_CELL_CHARACTERS = 160


@hook
def register_routes(datasette: Any) -> list[tuple[str, Callable[..., Any]]]:
    """Return our pages, and the two addresses that the debugger's script asks."""
    return [
        (r"/$", debugger.debugger),
        (r"/overview$", overview.overview),
        (r"/conversation$", conversation.conversation),
        (r"/api/events$", debugger.api_events),
        (r"/api/event$", debugger.api_event),
    ]


@hook
def prepare_jinja2_environment(env: Any) -> None:
    """Add the filters that our templates use."""
    env.filters.update(
        cell=_cell, visible=visible, instant=instant, pill=pill, query=urlencode, pretty=pretty_json
    )
    env.filters.update(duration=frame.duration, count=lambda number: f"{number:,}")


@hook
def extra_template_vars(datasette: Any) -> Any:
    """Return what the frame around every page shows."""

    async def found() -> dict[str, Any]:
        database = frame.database_of(datasette)
        mark, needs = None, 0  # a page that says what is wrong needs its frame, too
        with contextlib.suppress(sqlite3.Error, QueryInterrupted):
            mark = await database.ask(watermark)
            needs = await frame.needing_attention(database)
        tables = datasette.metadata("tables", database=NAME, fallback=False) or {}
        return {
            "page_watermark": mark["position"] if mark else None,
            "page_needs": needs,
            "metadata_of_state": tables,
        }

    return found


@hook
def render_cell(row: Any, value: Any, column: str, table: str | None, database: str) -> Any:
    """Format a cell: an instant in the viewer's time, an id as a link, a long text folded up."""
    if value is None or not isinstance(value, str):
        return None
    if _INSTANT.fullmatch(value):
        return instant(value)
    if column == "conversation_id" or (column == "id" and table in ("conversations", "open_conversations")):
        return _link("/conversation", "id", value)
    if column == "customer_id":
        return _link("/", "q", value)
    if column == "message_id":
        return _link("/", "event", value)
    if column in ("status", "outcome"):
        return pill(value)
    if column == "payload":
        return _folded("JSON", pretty_json(value) or "", "json")
    if len(value) > _CELL_CHARACTERS:
        return _folded(f"{value[:40]}…", value, "text")
    return visible(value) or None


@hook
def handle_exception(datasette: Any, request: Any, exception: Exception) -> Any:
    """
    Answer an error with a page, or with JSON.

    This takes the place of Datasette's own handler, which prints every local variable to the terminal,
    including customers' data.
    """

    async def answer() -> Any:
        if isinstance(exception, DatasetteError):
            status, title, message = exception.status, exception.title, str(exception.message or "")
        elif isinstance(exception, Base400):
            status, title, message = exception.status, None, str(exception)
        elif isinstance(exception, QueryInterrupted):
            status, title, message = (
                503,
                "Too slow",
                "The question took too long. Ask for less, or try again.",
            )
        else:
            status, title, message = 500, None, f"{type(exception).__name__}: {exception}"
            # The rest of the address, and what SQLite says of a query, may hold what a person typed.
            page = "/".join(request.path.split("/")[:3])
            log.error("inspect: %s: %s", visible(page), type(exception).__name__)
        if request.path.partition("?")[0].endswith(".json") or request.path.startswith("/api/"):
            return Response.json({"ok": False, "error": message, "status": status}, status=status)
        context = {"title": title, "status": status, "error": message}
        return Response.html(
            await datasette.render_template("error.html", context, request=request), status=status
        )

    return answer


def instant(text: str | None) -> Markup:
    """Format an instant: in UTC, which `common.js` turns into the viewer's own time."""
    if not text:
        return Markup('<span class="none">—</span>')
    return Markup('<time datetime="{0}">{0}</time>').format(visible(text))


def pill(word: str) -> Markup:
    """Format a status, in its colour."""
    name = word.lower() if word.isascii() and word.isalpha() else "other"
    return Markup('<span class="pill is-{}">{}</span>').format(name, visible(word))


def _cell(value: object) -> object:
    """Write out the controls of a cell as Datasette made it, and keep its markup."""
    return Markup(visible(value)) if isinstance(value, Markup) else visible(value)  # noqa: S704  # was markup


def _link(page: str, parameter: str, value: str) -> Markup:
    return Markup('<a class="id" href="{}?{}">{}</a>').format(
        page, urlencode({parameter: value}), visible(value)
    )


def _folded(summary: str, text: str, kind: str) -> Markup:
    return Markup('<details><summary>{}</summary><pre class="code" data-kind="{}">{}</pre></details>').format(
        visible(summary), kind, escape(visible(text))
    )
