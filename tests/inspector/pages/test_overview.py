"""The overview says what `status` says."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from state.reader import read_status
from state.records import Status, TakenIn, Transition
from state.store import Store
from support.inspector_samples import Browser, fill, make_conversation, make_event


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
        "Needs you: 2 rejected event",
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
