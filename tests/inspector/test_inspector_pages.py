"""What the pages say: the words of `status`, the file as it is, and nothing that hides."""

import asyncio
import json
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
from datasette.database import QueryInterrupted
from datasette.utils import parse_metadata
from sqlite_utils import Database

import inspector
from inspector import charts
from inspector.application import Inspector
from inspector.database import NAME
from inspector.formatting import pretty_json, visible
from inspector.pages.conversation import history
from state.reader import read_status
from state.records import Status, TakenIn, Transition
from state.schema.migration import empty_state
from state.schema.version import APPLICATION_ID
from state.store import Store
from support.inspector_samples import HOSTILE, Browser, fill, make_conversation, make_event, touch

METADATA = Path(inspector.__file__).with_name("metadata.yaml")
HIDING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def test_the_overview_says_what_status_says(state_path: Path, browser: Browser) -> None:
    """Watermark, gap clock, last poll, counts, what needs a person with the command that mends it."""
    fill(state_path)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", browser.get("/overview").text))
    for words in (
        "Watermark 1m",
        "7 changes, 4 created, 3 closed, 0 delivered, 9 requests",
        "delivered 3",
        "rejected 1",
        "suppressed 1",
        "Needs you rejected event",
        "unreadable line",
        "gladly-segment retry message-3-created",
        "9 requests in the last hour",
    ):
        assert words in text
    assert re.search(r"23h 5\dm left of the Events API's 24h", text)


def test_the_overview_and_status_show_the_same_figures(state_path: Path, browser: Browser) -> None:
    """
    A waiting conversation is an open one, and an event waits since it was put into the outbox: one of three
    hours ago, just taken in by a resync, is not late.
    """
    now = datetime.now(UTC)
    three_hours_ago = now - timedelta(hours=3)
    waiting = make_conversation(1, three_hours_ago)
    waiting.status = Status.WAITING
    with Store(state_path) as store:
        store.commit(
            TakenIn(
                conversations=[waiting, make_conversation(2, three_hours_ago)],
                events=[make_event(1, Transition.CREATED, three_hours_ago)],
            )
        )
    found = read_status(state_path, datetime.now(UTC))
    assert (found["conversations"]["open"], found["conversations"]["waiting"]) == (2, 1)
    assert 0 <= found["oldest_pending_seconds"] < 60
    page = browser.get("/overview").text
    assert 'is-open">open</span> <b>2</b>' in page
    assert 'is-waiting">waiting</span> <b>1</b>' in page
    assert re.search(r"<h2>Conversations</h2>\s*<p class=\"big\">2</p>", page)
    assert re.search(r"Oldest pending: \d\d?s<", page)


def test_the_overview_counts_what_status_counts(filled: Path, browser: Browser) -> None:
    """The same file gives the same figures in the terminal and in the browser."""
    found = read_status(filled, datetime.now(UTC))
    page = browser.get("/overview").text
    for name, number in (found["events"] | found["conversations"]).items():
        assert re.search(rf'is-{name}">{name}</span> <b>{number}</b>', page), name


@pytest.mark.parametrize("address", ["/", "/overview", "/conversation"])
def test_before_the_first_cycle_a_page_says_so(browser: Browser, address: str) -> None:
    """No state file is a state of its own, with what to do next."""
    answer = browser.get(address)
    assert answer.status_code == 200
    assert "No state file yet" in answer.text
    assert "gladly-segment run" in answer.text


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


def test_events_come_newest_first_and_page_by_page(reader: Browser) -> None:
    """The list, its cursor for what arrived since, and its cursor for older ones."""
    first = reader.get("/api/events").json()
    times = [event["occurred_at"] for event in first["events"]]
    assert times == sorted(times, reverse=True)
    assert first["head"] == 6
    assert reader.get("/api/events?after=6").json()["events"] == []
    assert [event["place"] for event in reader.get("/api/events?after=4").json()["events"]] == [6, 5]
    third = first["events"][2]
    older = reader.get(f"/api/events?before={third['occurred_at']},{third['place']}").json()["events"]
    assert [event["place"] for event in older] == [event["place"] for event in first["events"][3:]]


def test_a_cursor_of_another_file_begins_again(reader: Browser) -> None:
    """A place beyond the newest event cannot be of this file."""
    answer = reader.get("/api/events?after=999").json()
    assert answer["reset"] is True
    assert len(answer["events"]) == 6


def test_what_became_of_pending_events_is_told_on_request(filled: Path, browser: Browser) -> None:
    """The list watches those still pending."""
    pending = [e for e in browser.get("/api/events").json()["events"] if e["status"] == "pending"]
    place = pending[0]["place"]
    touch(filled, "UPDATE events SET status = 'delivered' WHERE rowid = ?", place)
    changed = browser.get(f"/api/events?after=6&watch={place}").json()["changed"]
    assert [(event["place"], event["status"]) for event in changed] == [(place, "delivered")]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        pytest.param("conversation-1", 3, id="a conversation"),
        pytest.param("customer-2", 1, id="a customer"),
        pytest.param("message-4", 1, id="the beginning of a message id"),
        pytest.param("conv", 5, id="the beginning of several"),
        pytest.param("con", 0, id="too short to be a beginning"),
        pytest.param("%", 0, id="no wildcard"),
        pytest.param("customer-9", 0, id="a customer merged away has no event here"),
        pytest.param(HOSTILE, 1, id="whatever an id may be"),
    ],
)
def test_search_finds_by_id(reader: Browser, q: str, expected: int) -> None:
    """Conversation, customer or message; whole, or its beginning."""
    assert len(reader.get("/api/events?" + urlencode({"q": q})).json()["events"]) == expected


def test_search_and_status_go_together(reader: Browser) -> None:
    """Both filters hold."""
    found = reader.get("/api/events?q=conversation-1&status=delivered").json()["events"]
    assert {event["conversation_id"] for event in found} == {"conversation-1"}
    assert reader.get("/api/events?q=conversation-1&status=rejected").json()["events"] == []
    assert reader.get("/api/events?status=lost").status_code == 400


def test_after_a_merge_a_customer_is_found_by_the_id_that_remains(filled: Path, browser: Browser) -> None:
    """Events keep the customer they were sent for; the conversation belongs to the one that remains."""
    touch(filled, "UPDATE conversations SET customer_id = 'customer-7' WHERE id = 'conversation-2'")
    assert len(browser.get("/api/events?q=customer-7").json()["events"]) == 1


@pytest.mark.parametrize(
    "address",
    [
        "/overview",
        "/conversation",
        "/state/events",
        "/state/conversations",
        "/state/needs_attention",
        "/state/rejected_and_why",
    ],
)
def test_what_comes_from_outside_is_shown_and_does_nothing(reader: Browser, address: str) -> None:
    """Markup, terminal escapes and direction overrides in names and ids appear as text."""
    page = reader.get(address).text
    assert "alert(1)" in unescape(page)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    outside_links = re.sub(r'(href|data-copy|value)="[^"]*"', "", page)
    assert not HIDING.search(outside_links)


def test_a_hostile_conversation_has_its_page(reader: Browser) -> None:
    """Also where its id is markup."""
    page = reader.get("/conversation?" + urlencode({"id": HOSTILE})).text
    assert "rejected" in page
    assert "<script>alert" not in page


def test_invisible_characters_are_written_out_and_a_payload_stays_the_same_json() -> None:
    """Pretty, harmless, and still what was sent."""
    assert visible("a\u202eb\x1b[0m") == "a\\u202eb\\u001b[0m"
    sent = json.dumps(
        {"name": HOSTILE, "n": 12345678901234567890, "tags": ["ü", "\u2028"]}, ensure_ascii=False
    )
    pretty = pretty_json(sent)
    assert pretty is not None
    assert json.loads(pretty) == json.loads(sent)
    assert not HIDING.search(pretty)
    assert pretty_json("not \x1b JSON") == "not \\u001b JSON"
    assert pretty_json(None) is None


def test_a_conversation_shows_its_whole_history(reader: Browser) -> None:
    """Created, closed, closed again: each with its event, what became of it, and what was sent."""
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", reader.get("/conversation?id=conversation-1").text))
    told = text[text.index("History") :]
    assert told.index("Created") < told.index("Closed") < told.index("Closed again")
    assert "taken in" in text
    assert "1 attempt" in text
    assert "Zoë 1" in text


def test_an_unknown_conversation_is_said_to_be_unknown(reader: Browser) -> None:
    """With the command that reads further back."""
    answer = reader.get("/conversation?id=nobody")
    assert answer.status_code == 404
    assert "gladly-segment resync" in answer.text


def change(type_: str, at: str, transition: str | None, why: str) -> dict[str, str | None]:
    """A row of `changes`."""
    return {
        "type": type_,
        "recorded_at": at,
        "transition": transition,
        "why": why,
        "status_before": None,
        "status_after": "OPEN",
    }


def test_a_history_joins_changes_with_the_events_they_made() -> None:
    """What meant nothing new is there too, with the reason."""
    event = {"transition": "created", "occurred_at": "2026-11-20T08:00:00.000Z"}
    changes = [
        change("CREATED", "2026-11-20T08:00:00.000Z", "created", "not known before"),
        change("REOPENED", "2026-11-20T09:00:00.000Z", None, "open already"),
    ]
    first, second = history(None, changes, [event], None)
    assert (first.what, first.note, first.states, first.event) == (
        "Created",
        "created: not known before",
        "- → OPEN",
        event,
    )
    assert (second.what, second.note, second.event) == ("Reopened", "nothing new: open already", None)


def test_a_history_ends_with_a_merge_or_a_deletion() -> None:
    """Why nothing more is sent."""
    stored = {
        "status": "DELETED",
        "created_at": "2026-11-20T08:00:00.000Z",
        "updated_at": "2026-11-20T09:00:00.000Z",
    }
    customer = {
        "merged_into": None,
        "merged_at": None,
        "deleted_at": "2026-11-20T10:00:00.000Z",
        "reason": "customer was deleted",
    }
    told = [(moment.what, moment.note) for moment in history(stored, [], [], customer)]
    assert told == [
        ("Created at Gladly", None),
        ("Deleted", "Nothing more is sent for it."),
        ("Customer deleted", "customer was deleted"),
    ]


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
        "/conversation",
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


@pytest.mark.parametrize(
    ("top", "counts", "seconds"), [(0, 1, 1), (3, 1, 1), (4, 2, 2), (40, 20, 15), (5_000, 2_000, 1_800)]
)
def test_an_axis_has_round_ticks(top: float, counts: float, seconds: float) -> None:
    """At most three steps, of a length people count in."""
    assert charts.count_step(top) == counts
    assert charts.seconds_step(top) == seconds


def test_a_chart_can_be_read_without_seeing_it() -> None:
    """A title, a description, and the same figures as a table."""
    start = datetime(2026, 11, 20, 8, tzinfo=UTC)
    buckets = [charts.Bucket(start + timedelta(hours=n), (n, None)) for n in range(3)]
    made = charts.bars("x", "Title", "Said <b>", buckets, [charts.Series("a", "a"), charts.Series("b", "b")])
    assert 'aria-labelledby="x-title x-description"' in made
    assert "Said &lt;b&gt;" in made
    assert made.count("<tr>") == 3  # the head and the two that are not empty
    assert "style=" not in made


def test_a_chart_of_nothing_says_so() -> None:
    """No events are no error."""
    assert "Nothing in this time." in charts.bars("x", "Title", "None", [], [charts.Series("a", "a")])
