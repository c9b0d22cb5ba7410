"""The debugger: the list of events, its cursors, its search."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest

from state.instants import to_text, utc_now
from state.store import Store
from support.inspector_samples import HOSTILE, Browser, touch


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


@pytest.mark.parametrize(("q", "found"), [("Zoë 1", 3), ("ZOË 2", 1), ("nobody", 0), ("zoë", 4)])
def test_a_search_finds_a_name(reader: Browser, q: str, found: int) -> None:
    """Any part of it, in capitals or not."""
    assert len(reader.get("/api/events?" + urlencode({"q": q})).json()["events"]) == found


def test_a_search_finds_an_email(filled: Path, browser: Browser) -> None:
    """Any part of it, too. An erased payload is not found any more."""
    touch(
        filled,
        "UPDATE events SET payload = json_set(payload, '$.properties.email', ?) WHERE rowid = 4",
        "Ana@Example.com",
    )
    assert [event["place"] for event in browser.get("/api/events?q=ana@example").json()["events"]] == [4]
    assert [event["place"] for event in browser.get("/api/events?q=EXAMPLE.COM").json()["events"]] == [4]
    touch(filled, "UPDATE events SET payload = NULL WHERE rowid = 4")
    assert browser.get("/api/events?q=ana@example").json()["events"] == []


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


def test_live_means_that_a_process_runs_cycles(filled: Path, browser: Browser) -> None:
    """While a process has the main role of the file, and no longer."""
    stopped = browser.get("/api/events").json()
    assert stopped["activity"] == "stopped"
    assert stopped["last_cycle"] is not None
    with Store(filled):
        assert browser.get("/api/events").json()["activity"] == "running"
    assert browser.get("/api/events").json()["activity"] == "stopped"


def test_between_two_cycles_of_once_the_next_one_is_expected(filled: Path, browser: Browser) -> None:
    """Until three intervals have passed, and ten minutes at least."""
    now = utc_now()
    touch(filled, "INSERT INTO schedules VALUES ('once', 300, ?)", to_text(now))
    assert browser.get("/api/events").json()["activity"] == "between"
    touch(filled, "UPDATE polls SET finished_at = ?", to_text(now - timedelta(minutes=16)))
    assert browser.get("/api/events").json()["activity"] == "stopped"


def test_the_debugger_knows_how_many_things_need_a_person(filled: Path, browser: Browser) -> None:
    """So that its title says so before anybody opens the overview."""
    assert browser.get("/api/events").json()["needs"] == 2
    assert "<title>(2) Debugger" in browser.get("/").text
