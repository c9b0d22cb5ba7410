"""Datasette's own pages: tables, columns and ready-made queries are described and answer; errors, too."""

import asyncio
from contextlib import closing
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from datasette.utils import parse_metadata
from datasette.utils.asgi import Request
from sqlite_utils import Database

import inspector
from inspector.database import NAME
from inspector.plugin import handle_exception
from state.schema.migration import empty_state
from support.inspector_samples import Browser, touch

METADATA = Path(inspector.__file__).with_name("metadata.yaml")


def schema() -> "dict[str, set[str]]":
    """The tables and views of the state file, and their columns."""
    with closing(empty_state()) as connection:
        database = Database(connection)
        names = [*database.table_names(), *database.view_names()]
        return {
            name: {row[1] for row in connection.execute(f"PRAGMA table_info([{name}])")}
            for name in names
            if not name.startswith(("_", "sqlite_"))
        }


def test_every_table_and_every_column_is_described_and_no_other() -> None:
    """metadata.yaml against state/schema/steps.py."""
    described = parse_metadata(METADATA.read_text())["databases"][NAME]["tables"]
    assert {name: set(table["columns"]) for name, table in described.items()} == schema()
    assert all(table["description"] for table in described.values())


@pytest.mark.parametrize("name", parse_metadata(METADATA.read_text())["databases"][NAME]["queries"])
def test_every_ready_made_query_answers(reader: Browser, name: str) -> None:
    """With a title, a description and rows."""
    answer = reader.get(f"/state/{name}.json?_shape=array&customer_id=customer-1")
    assert answer.status_code == 200
    if name not in ("troubled_polls",):
        assert answer.json()


@pytest.mark.parametrize("name", sorted(schema()))
def test_every_table_page_describes_itself(reader: Browser, name: str) -> None:
    """Description, columns, facets."""
    page = unescape(reader.get(f"/state/{name}").text)
    described = parse_metadata(METADATA.read_text())["databases"][NAME]["tables"][name]
    assert " ".join(described["description"].split()) in page
    assert all(text in page for text in described["columns"].values())


def test_what_a_phone_shows_are_columns_of_the_table() -> None:
    """A column that is named wrongly would never be shown."""
    described = parse_metadata(METADATA.read_text())["databases"][NAME]["tables"]
    for name, table in described.items():
        assert set(table.get("matters", ())) <= set(table["columns"]), name


def test_an_address_that_is_none_has_a_page(reader: Browser) -> None:
    """With the way to the others; a program gets a line of text."""
    for address in (
        "/nowhere",
        "/-/settings",
        "/state/nothing",
        "/state/events/nobody",
        "/state.db",
        "/nowhere.json",
    ):
        answer = reader.get(address, accept="text/html")
        assert answer.status_code == 404, address
        if not address.endswith(".json"):
            assert "<h1>There is no such page</h1>" in answer.text
            assert '<a href="/overview">Overview</a>' in answer.text
    assert reader.get("/nowhere").text == "There is no such page.\n"


ENDLESS = (
    "with recursive n(i) as (select 1 union all select i+1 from n where i <> :end) select count(*) from n"
)


def test_a_query_that_takes_too_long_is_kept(reader: Browser) -> None:
    """With its parameters, and without code or a link to the settings of Datasette."""
    datasette = reader.inspector.datasette
    limit, datasette.sql_time_limit_ms = datasette.sql_time_limit_ms, 50
    try:
        answer = reader.get("/state?" + urlencode({"sql": ENDLESS, "end": "<b>"}), accept="text/html")
    finally:
        datasette.sql_time_limit_ms = limit
    page = unescape(answer.text)
    assert "<h1>Too slow</h1>" in page
    assert f"{ENDLESS}</textarea>" in page
    assert 'name="end" value="<b>"' in page
    assert "&lt;b&gt;" in answer.text
    for foreign in ("scrollHeight", "sql_time_limit_ms", "datasette.io", "querySelector"):
        assert foreign not in page


@pytest.mark.parametrize(
    "sql", ["delete from events", "select nothing from nowhere", "selec 1", "select 1; select 2"]
)
def test_a_query_that_cannot_be_run_is_kept(reader: Browser, sql: str) -> None:
    """With what is wrong."""
    page = reader.get("/state?" + urlencode({"sql": sql}), accept="text/html").text
    assert f">{sql}</textarea>" in page
    assert '<p class="trouble" role="alert">' in page


def test_a_mistake_of_ours_shows_no_code(reader: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """The page says what holds, and the log names the kind of the error, not what a person typed."""
    request = Request.fake("/state/events?email=ana@example.com")
    request.scope["csrftoken"] = str  # what Datasette's own middleware adds
    answer = handle_exception(reader.inspector.datasette, request, KeyError("ana@example.com"))
    page = asyncio.run(answer())
    assert page.status == 500
    assert "<h1>The inspector made a mistake</h1>" in page.body
    assert "KeyError" not in page.body
    assert "inspect: /state/events: KeyError" in caplog.text
    assert "ana@" not in page.body + caplog.text


def test_a_state_file_that_cannot_be_read_has_a_page(filled: Path, browser: Browser) -> None:
    """It says what SQLite says."""
    touch(filled, "DROP TABLE polls")
    page = browser.get("/overview", accept="text/html").text
    assert "<h1>The state file could not be read</h1>" in page
    assert "no such table" in page


def test_the_page_of_a_row_shows_its_payload(reader: Browser) -> None:
    """Indented, and not folded up as in the table."""
    row = reader.get("/state/events.json?_shape=array&status=delivered").json()[0]
    page = unescape(reader.get(f"/state/events/{row['message_id']}").text)
    assert "<details open><summary>JSON</summary>" in page
    assert '\n  "type": "track"' in page
