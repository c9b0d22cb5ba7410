"""The overview says what `status` says."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from state.findings import Condition
from state.instants import to_text
from state.reader import read_status
from state.records import BadLine, Status, TakenIn, Transition
from state.store import Store
from support.inspector_samples import Browser, fill, make_conversation, make_event, touch


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
    assert re.search(r"23h 5\dm left ; Gladly's Events API goes back 24h", text)


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


def reject(path: Path, number: int, reason: str, first: int = 1_000) -> None:
    """Let the file hold so many more rejected events of one reason each time."""
    with Store(path) as store:
        store.commit(
            TakenIn(
                events=[
                    make_event(
                        first + each, Transition.CREATED, datetime.now(UTC), conversation=f"{reason}-{each}"
                    )
                    for each in range(number)
                ]
            )
        )
    touch(path, "UPDATE events SET status = 'rejected', reason = ? WHERE status = 'pending'", reason)


def test_what_needs_a_person_is_grouped_by_reason_with_one_command(
    state_path: Path, browser: Browser
) -> None:
    """67 events of one reason are one entry, with its number and the command for all of them."""
    reject(state_path, 67, "400: too large")
    page = browser.get("/overview").text
    assert page.count('<div class="need">') == 1
    assert '<h3>rejected event <span class="pill is-rejected">67</span></h3>' in page
    assert "<code>gladly-segment retry --all</code>" in page
    assert "<title>(67) Overview" in page
    assert "icon-needs-you.svg" in page
    assert re.search(r'id="alarm"[^>]*data-needs="67">67 need you<', page)


def test_what_is_lost_first_stands_first_and_nothing_is_cut_in_silence(
    state_path: Path, browser: Browser
) -> None:
    """A refused token comes before rejected events. Reasons that do not fit are counted, and linked to."""
    fill(state_path)
    with Store(state_path) as store:
        store.commit(
            TakenIn(bad_lines=[BadLine("events", f"reason {each}", b"%d" % each) for each in range(30)])
        )
        store.conditions.set(
            Condition("gladly-credentials", "refused token", "Gladly refuses it.", "gladly-segment check")
        )
    page = browser.get("/overview").text
    assert page.index("<h3>refused token</h3>") < page.index("<h3>rejected event</h3>")
    assert page.index("<h3>rejected event</h3>") < page.index("<h3>unreadable line ")
    assert page.count('<div class="need">') == 3
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "and 28 other reasons · all 31, each by itself" in text
    assert 'href="/state/needs_attention?what=unreadable+line"' in page


def test_rejected_events_of_many_reasons_are_one_entry(state_path: Path, browser: Browser) -> None:
    """With the first three reasons, each with its number, and one command for all."""
    for number in range(20):
        reject(state_path, number + 1, f"400: reason {number:02}", 1_000 * (number + 1))
    page = browser.get("/overview").text
    assert page.count('<div class="need">') == 1
    assert page.count("gladly-segment retry") == page.count("gladly-segment retry --all") > 0
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "rejected event 210" in text
    assert "and 17 other reasons" in text


def test_two_things_that_no_one_command_reaches_have_a_command_each(
    state_path: Path, browser: Browser
) -> None:
    """None of them is left out."""
    with Store(state_path) as store:
        for number in range(5):
            store.conditions.set(
                Condition(f"id-{number}", "full disk", f"Full {number}.", f"command {number}")
            )
    page = browser.get("/overview").text
    assert all(f"<code>command {number}</code>" in page for number in range(5))


def test_where_nothing_was_delivered_no_percentile_is_shown(state_path: Path, browser: Browser) -> None:
    """Nor an empty chart."""
    with Store(state_path) as store:
        store.commit(TakenIn(events=[make_event(1, Transition.CREATED, datetime.now(UTC))]))
    page = browser.get("/overview").text
    assert "percentile" not in page
    assert "Nothing was delivered in the last 5 minutes." in page
    touch(state_path, "UPDATE events SET status = 'delivered', delivered_at = ?", to_text(datetime.now(UTC)))
    assert "95th percentile" in browser.get("/overview?range=1h").text


def test_a_page_where_nothing_needs_a_person_raises_no_alarm(state_path: Path, browser: Browser) -> None:
    """Neither in its title nor in its icon nor in its header."""
    with Store(state_path) as store:
        store.commit(TakenIn(position=datetime.now(UTC)))
    page = browser.get("/overview").text
    assert "<title>Overview" in page
    assert 'href="/assets/icon.svg" type' in page
    assert re.search(r'id="alarm"[^>]* hidden', page)
    assert '<span class="dotted is-good">nothing</span>' in page


def test_the_overview_tells_a_running_daemon_from_none(state_path: Path, browser: Browser) -> None:
    """The last poll is shown in green only where a cycle runs, or is expected."""
    fill(state_path)
    page = browser.get("/overview").text
    assert "no daemon running" in page
    assert '<p class="big"><span class="pill">ok</span></p>' in page
    with Store(state_path):
        page = browser.get("/overview").text
    assert "the daemon is running" in page
    assert '<p class="big"><span class="pill is-ok">ok</span></p>' in page
