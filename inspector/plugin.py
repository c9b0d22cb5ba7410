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
from datasette.utils.asgi import Base400, NotFound, Response
from datasette.views.base import DatasetteError
from markupsafe import Markup, escape

from inspector.database import NAME
from inspector.formatting import pretty_json, visible
from inspector.pages import conversation, conversations, debugger, frame, overview
from state.queries.cycles import watermark
from state.queries.organization import organization

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])
# pluggy's marker, with a type.
hook: Callable[[F], F] = hookimpl

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")

_SERVER_ERROR = 500

_TOO_SLOW = (
    "The query was ended after two seconds, because a long read delays the daemon. Ask for less: fewer rows,"
    " a shorter time, or a condition on a column with an index, such as occurred_at, conversation_id or"
    " customer_id."
)
_OUR_MISTAKE = "The terminal in which it runs names the kind of the error. The daemon is not affected."

# Longer cells than this are folded up.
_CELL_CHARACTERS = 160


@hook
def register_routes(datasette: Any) -> list[tuple[str, Callable[..., Any]]]:
    """Return our pages, and the two addresses that the debugger's script asks."""
    return [
        (r"/$", debugger.debugger),
        (r"/overview$", overview.overview),
        (r"/conversations$", conversations.conversations),
        (r"/conversation$", conversation.conversation),
        (f"{frame.NOT_FOUND}$", _no_page),
        (r"/api/events$", debugger.api_events),
        (r"/api/event$", debugger.api_event),
    ]


@hook
def prepare_jinja2_environment(env: Any) -> None:
    """Add the filters that our templates use."""
    env.filters.update(
        cell=_cell,
        visible=visible,
        instant=instant,
        pill=pill,
        query=urlencode,
        pretty=pretty_json,
        opened=_opened,
    )
    env.filters.update(duration=frame.duration, count=lambda number: f"{number:,}")


@hook
def extra_template_vars(datasette: Any) -> Any:
    """Return what the frame around every page shows."""

    async def found() -> dict[str, Any]:
        database = frame.database_of(datasette)
        mark, needs, host = None, 0, None  # a page that says what is wrong needs its frame, too
        with contextlib.suppress(sqlite3.Error, QueryInterrupted):
            host = await database.ask(organization)
            mark = await database.ask(watermark)
            needs = await frame.needing_attention(database)
        tables = datasette.metadata("tables", database=NAME, fallback=False) or {}
        return {
            "page_watermark": mark["position"] if mark else None,
            "page_needs": needs,
            "page_organization": frame.organization_name(host),
            "page_file": database.file.name,
            "page_path": str(database.file),
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
        status, title, message = _what_went_wrong(exception)
        if status >= _SERVER_ERROR:
            # The rest of the address, and what SQLite says of a query, may hold what a person typed.
            page = "/".join(request.path.split("/")[:3])
            log.error("inspect: %s: %s", visible(page), type(exception).__name__)
        if request.path.partition("?")[0].endswith(".json") or request.path.startswith("/api/"):
            return Response.json({"ok": False, "error": message, "status": status}, status=status)
        asked = {name: request.args.get(name) for name in request.args}
        context = {
            "title": title,
            "error": message,
            "kept_sql": asked.pop("sql", None),
            "kept_parameters": {name: text for name, text in asked.items() if not name.startswith("_")},
        }
        return Response.html(
            await datasette.render_template("error.html", context, request=request), status=status
        )

    return answer


async def _no_page(request: Any) -> Any:
    """Answer for every address that is none."""
    raise NotFound("")


def _what_went_wrong(exception: Exception) -> tuple[int, str, str]:
    """Return the status, the title and the sentence for an error. None of them shows code."""
    if isinstance(exception, QueryInterrupted):
        return 503, "Too slow", _TOO_SLOW
    if isinstance(exception, NotFound):
        return 404, "There is no such page", "The state file has no table, query or row at this address."
    if isinstance(exception, DatasetteError):
        if exception.title == "SQL Interrupted":
            return exception.status, "Too slow", _TOO_SLOW
        if exception.title == "Invalid SQL":
            return exception.status, "This query cannot be run", f"SQLite says: {exception.message}."
        return exception.status, exception.title or "This cannot be shown", str(exception.message or "")
    if isinstance(exception, Base400):
        return exception.status, "This cannot be shown", str(exception)
    if isinstance(exception, sqlite3.Error):
        return _SERVER_ERROR, "The state file could not be read", f"SQLite says: {exception}."
    return _SERVER_ERROR, "The inspector made a mistake", _OUR_MISTAKE


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


def _opened(value: object) -> object:
    """Open what a cell folded up. Only markup of ours holds this tag: what comes from outside is escaped."""
    if not isinstance(value, Markup):
        return value
    return Markup(str(value).replace("<details>", "<details open>"))  # noqa: S704  # was markup


def _link(page: str, parameter: str, value: str) -> Markup:
    return Markup('<a class="id" href="{}?{}">{}</a>').format(
        page, urlencode({parameter: value}), visible(value)
    )


def _folded(summary: str, text: str, kind: str) -> Markup:
    return Markup('<details><summary>{}</summary><pre class="code" data-kind="{}">{}</pre></details>').format(
        visible(summary), kind, escape(visible(text))
    )
