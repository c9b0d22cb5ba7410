"""What all pages share: before there is a file, and however large it is."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from inspector.application import Inspector
from inspector.database import NAME
from state.store import Store
from support.inspector_samples import Browser


@pytest.mark.parametrize("address", ["/", "/overview", "/conversations"])
def test_before_the_first_cycle_a_page_says_so(browser: Browser, address: str) -> None:
    """No state file is a state of its own, with what to do next."""
    answer = browser.get(address)
    assert answer.status_code == 200
    assert "No state file yet" in answer.text
    assert "gladly-segment run" in answer.text


def test_no_page_of_ours_reads_a_whole_table(filled: Path) -> None:
    """
    Every question is carried by an index, whatever the file's size; only counts walk one, and they rest.
    """
    asked: list[str] = []

    def watch(statement: str) -> None:
        asked.append(statement)

    inspector = Inspector(filled)
    original = inspector.datasette._prepare_connection

    def prepare(connection: sqlite3.Connection, name: str) -> None:
        original(connection, name)
        if name == NAME:
            connection.set_trace_callback(watch)

    inspector.datasette._prepare_connection = prepare
    browser = Browser(inspector)
    for address in (
        "/",
        "/overview?range=7d",
        "/conversations",
        "/conversations?status=open&before=2030-01-01T00:00:00.000Z,9",
        "/conversations?q=customer-1&status=closed",
        "/conversations?q=zoë",
        "/conversation?id=conversation-1",
        "/api/events",
        "/api/events?after=1&watch=1,2",
        "/api/events?q=customer-1",
        "/api/events?status=delivered&before=2030-01-01T00:00:00.000Z,9",
        "/api/event?id=message-1",
    ):
        assert browser.get(address).status_code in (200, 404), address
    inspector.close()
    whole = re.compile(r"^SCAN (?:TABLE )?(?:events|conversations)$")
    asks = [each for each in asked if re.search(r"\b(events|conversations)\b", each) and "SELECT" in each]
    assert len(asks) > 10
    with closing(sqlite3.connect(filled)) as connection:
        for statement in asks:
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
            assert not [step for step in plan if whole.match(step)], (statement, plan)


@pytest.mark.parametrize(
    "address", ["/", "/overview", "/conversations", "/state", "/state/events", "/no-such-page"]
)
def test_title_and_header_name_the_organization_and_the_file(
    state_path: Path, browser: Browser, address: str
) -> None:
    """So that two inspectors are told apart."""
    with Store(state_path) as store:
        store.organization.bind("acme.gladly.com", "fingerprint", lambda *_: "")
    page = browser.get(address, accept="text/html").text
    assert re.search(r"<title>[^<]* · acme.gladly.com · gladly-segment.db</title>", page)
    assert '<b id="organization">acme.gladly.com</b> <span id="file">gladly-segment.db</span>' in page
    assert f'title="{state_path}"' in page


def test_a_sandbox_is_called_one(state_path: Path, browser: Browser) -> None:
    """Its host says only that it is on this machine."""
    with Store(state_path) as store:
        store.organization.bind("localhost", "fingerprint", lambda *_: "")
    assert '<b id="organization">sandbox</b>' in browser.get("/").text
