"""The state file as Datasette sees it: live, read-only, there or not, and never asked for long."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from datasette.database import QueryInterrupted

from inspector.application import Inspector
from state.schema.version import APPLICATION_ID
from support.inspector_samples import Browser, fill, touch


def test_before_the_first_cycle_tables_and_queries_are_there_and_empty(
    state_path: Path, browser: Browser
) -> None:
    """Nothing is created by looking."""
    assert browser.get("/api/events").json()["file"] is False
    assert browser.get("/state/events.json?_shape=array").json() == []
    assert browser.get("/state/closed_again.json?_shape=array").json() == []
    assert not state_path.exists()


def test_a_file_that_appears_or_is_replaced_is_noticed(state_path: Path, browser: Browser) -> None:
    """The page that waited for the first cycle shows it; a file put in its place is shown too."""
    assert browser.get("/api/events").json()["events"] == []
    fill(state_path)
    assert len(browser.get("/api/events").json()["events"]) == 6
    for part in state_path.parent.glob("gladly-segment.db*"):
        part.unlink()
    fill(state_path)
    touch(state_path, "DELETE FROM events WHERE customer_id <> 'customer-2'")
    assert len(browser.get("/api/events").json()["events"]) == 1


def test_a_file_whose_creation_was_cut_short_is_not_there_yet(state_path: Path, browser: Browser) -> None:
    """It has our mark and no tables: the empty file that stands in for a missing one is shown."""
    touch(state_path, f"PRAGMA application_id = {APPLICATION_ID}")
    assert browser.get("/api/events").json()["events"] == []
    assert browser.get("/overview").status_code == 200
    fill(state_path)
    assert len(browser.get("/api/events").json()["events"]) == 6


def test_datasette_has_no_way_to_write(filled: Path) -> None:
    """Whatever a page of its own might ask for."""
    inspector = Inspector(filled)
    with pytest.raises(sqlite3.OperationalError, match="only read"):
        asyncio.run(inspector.database.execute_write("DELETE FROM events"))
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        asyncio.run(
            inspector.database.execute_fn(lambda connection: connection.execute("DELETE FROM events"))
        )
    inspector.close()


def test_an_answer_that_took_long_rests(filled: Path) -> None:
    """To draw a chart of a million events once a second would keep a core busy."""
    asked = []

    def slow(connection: sqlite3.Connection) -> int:
        asked.append(connection)
        time.sleep(0.05)
        return len(asked)

    inspector = Inspector(filled)
    database = inspector.database
    assert [asyncio.run(database.ask_rested("slow", slow)) for _ in range(3)] == [1, 1, 1]
    assert asyncio.run(database.ask_rested("another", slow)) == 2
    inspector.close()


def test_a_question_of_ours_that_takes_too_long_is_cut_off(filled: Path) -> None:
    """Datasette's limit holds for our pages, too: a long read would hold up the wiping of erased payloads."""
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    inspector = Inspector(filled)
    inspector.datasette.sql_time_limit_ms = 50
    with pytest.raises(QueryInterrupted):
        asyncio.run(inspector.database.ask(lambda connection: connection.execute(endless).fetchall()))
    inspector.close()


def test_looking_for_the_daemon_keeps_the_locks_on_the_file(filled: Path, browser: Browser) -> None:
    """Another process that closes the file leaves the write-ahead log, because the inspector has it open."""
    for _ in range(3):
        assert browser.get("/api/events").json()["activity"] == "stopped"
    write = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]);"
        " db.execute('DELETE FROM events WHERE rowid = 1'); db.commit(); db.close()"
    )
    subprocess.run([sys.executable, "-c", write, filled], check=True)
    assert filled.with_name(filled.name + "-wal").exists()
    assert len(browser.get("/api/events").json()["events"]) == 5
