"""Datasette's own pages: every table, column and ready-made query is described and answers."""

from contextlib import closing
from html import unescape
from pathlib import Path

import pytest
from datasette.utils import parse_metadata
from sqlite_utils import Database

import inspector
from inspector.database import NAME
from state.schema.migration import empty_state
from support.inspector_samples import Browser

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
