"""The list of conversations: names, filter, pages, order, search."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from state.instants import utc_now
from state.records import TakenIn, Transition
from state.store import Store
from support.inspector_samples import Browser, make_conversation, make_event


@pytest.fixture
def hundred(state_path: Path) -> Path:
    """120 conversations, every third of them closed; the higher its number, the older its last change."""
    now = utc_now()
    ages = {number: now - timedelta(minutes=number) for number in range(120)}
    with Store(state_path) as store:
        store.commit(
            TakenIn(
                conversations=[
                    make_conversation(number, at - timedelta(days=1), None if number % 3 else at)
                    if not number % 3
                    else make_conversation(number, at)
                    for number, at in ages.items()
                ],
                events=[make_event(number, Transition.CREATED, at) for number, at in ages.items()],
            )
        )
    return state_path


def numbers(page: str) -> list[int]:
    """The numbers of the conversations on a page, from the top."""
    return [int(found) for found in re.findall(r'href="/conversation\?id=conversation-(\d+)"', page)]


def test_the_list_is_by_the_last_change_and_says_so(hundred: Path, browser: Browser) -> None:
    """Its header marks the column, which is shown, and a name stands in every row."""
    page = browser.get("/conversations").text
    assert numbers(page) == list(range(50))
    assert '<th scope="col" aria-sort="descending">Last change ▼</th>' in page
    assert page.count('<td class="changed"><time') == 50
    assert "<bdi>Zoë 7</bdi>" in page


def test_the_list_has_pages_and_a_way_back_to_the_newest(hundred: Path, browser: Browser) -> None:
    """Every conversation is on one page."""
    seen, address = [], "/conversations"
    while address:
        page = browser.get(address).text
        seen += numbers(page)
        assert (">Newest</a>" in page) == ("before" in address)
        link = re.search(r'href="([^"]+)">Older conversations', page)
        address = link[1].replace("&amp;", "&") if link else ""
    assert seen == list(range(120))


def test_the_filter_counts_as_status_does(hundred: Path, browser: Browser) -> None:
    """A page of a filter leads to the next page of the same filter."""
    page = browser.get("/conversations?status=open").text
    assert 'aria-current="true">Open <span class="count">80</span>' in page
    assert numbers(page) == [number for number in range(75) if number % 3]
    older = re.search(r'href="([^"]+)">Older conversations', page)
    assert older
    assert len(numbers(browser.get(older[1].replace("&amp;", "&")).text)) == 30
    assert numbers(browser.get("/conversations?status=closed").text)[:2] == [0, 3]
    assert "No deleted conversation." in browser.get("/conversations?status=deleted").text
    assert numbers(browser.get("/conversations?status=nonsense&before=x").text) == list(range(50))


def test_a_search_by_name_keeps_the_filter(hundred: Path, browser: Browser) -> None:
    """Zoë 7, Zoë 70 to 79; of these the closed ones."""
    assert numbers(browser.get("/conversations?q=zoë 7").text) == [7, *range(70, 80)]
    assert numbers(browser.get("/conversations?q=zoë 7&status=closed").text) == [72, 75, 78]
    nothing = browser.get("/conversations?q=nobody at all").text
    assert "Nothing matches" in nothing
    assert "data-clear>Show all conversations</a>" in nothing


def test_a_whole_id_leads_to_its_page(hundred: Path, browser: Browser) -> None:
    """And the page of no conversation leads to the list."""
    assert (
        browser.get("/conversations?q=conversation-5").headers["location"]
        == "/conversation?id=conversation-5"
    )
    assert browser.get("/conversation").headers["location"] == "/conversations"
