"""The pages in a real browser: they load, live, are found by keyboard, and stay on this machine."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox import Sandbox
from state.findings import Condition
from state.instants import utc_now
from state.records import TakenIn, Transition
from state.store import Store
from support.inspector_samples import HOSTILE, at, fill, make_event, served, touch
from support.installation import Installation

playwright_api = pytest.importorskip("playwright.sync_api", reason="the Playwright package is not installed")


axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")


CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")


pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium, or set CHROMIUM"
    ),
]


# Headless, and silent: whatever the browser itself would fetch is switched off.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


SHAPES = [
    pytest.param("light", 1280, id="light, wide"),
    pytest.param("dark", 800, id="dark, middling"),
    pytest.param("dark", 380, id="dark, narrow"),
]


PAGES = [
    "",
    "overview",
    "conversation?id=conversation-1",
    "conversations",
    "state",
    "state/events",
    "state?sql=select+1",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def expect_rows(page: Any, number: int) -> None:
    """Wait until the list has so many events."""
    playwright_api.expect(page.locator("#events li")).to_have_count(number, timeout=5_000)


class Watched:
    """A page that notes what must not happen: errors on its console, requests to other hosts."""

    def __init__(self, browser: Any, scheme: str = "light", width: int = 1280) -> None:
        self.context = browser.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": 800},
            reduced_motion="reduce",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.page = self.context.new_page()
        self.troubles: list[str] = []
        self.hosts: set[str] = set()
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2].partition(":")[0]))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An inspector over a file with something of everything; nothing writes to it."""
    path = tmp_path_factory.mktemp("site") / "gladly-segment.db"
    fill(path)
    today = utc_now().date()
    with Store(path) as store:
        for back in range(12, 0, -1):
            why = "Gladly's report of this day could not be read." if back == 3 else None
            store.audits.finish(today - timedelta(days=back), None if why else 100 + back, why)
    with served(path) as (url, _):
        yield url


@pytest.fixture
def watched(chromium: Any) -> Iterator[Watched]:
    """A wide, light page; what it noted is held against it at the end."""
    watched = Watched(chromium)
    yield watched
    watched.context.close()
    assert watched.troubles == []
    assert watched.hosts <= {"127.0.0.1"}


@pytest.mark.parametrize(("scheme", "width"), SHAPES)
def test_every_page_loads_stays_here_and_can_be_used_by_everyone(
    chromium: Any, site: str, scheme: str, width: int
) -> None:
    """
    No error on the console, no request to another host, nothing wider than the screen, and axe-core finds
    no serious fault, in light and in dark, wide and narrow.
    """
    watched = Watched(chromium, scheme, width)
    page = watched.page
    for address in PAGES:
        page.goto(at(site, address))
        if address == "":
            page.wait_for_selector("#events li")
        assert page.locator("main").is_visible()
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, address
        faults = [
            (address, fault["id"], [node["target"] for node in fault["nodes"]][:3])
            for fault in axe_api.Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert faults == []
    watched.context.close()
    assert watched.troubles == []
    assert watched.hosts == {"127.0.0.1"}


def test_before_the_first_cycle_the_pages_wait_and_then_show_it(watched: Watched, state_path: Path) -> None:
    """The empty page looks meant, and fills by itself: the list, the organization, the title."""
    expect = playwright_api.expect
    with served(state_path) as (url, _):
        page, other = watched.page, watched.context.new_page()
        page.goto(url)
        other.goto(at(url, "conversations"))
        for each in (page, other):
            each.get_by_role("heading", name="No state file yet").wait_for()
        fill(state_path)
        with Store(state_path) as store:
            store.organization.bind("acme.gladly.com", "fingerprint", lambda *_: "")
        page.locator("#events li").first.wait_for(timeout=5_000)
        assert page.locator("#events li").count() == 6
        expect(page.locator("#organization")).to_have_text("acme.gladly.com")
        expect(page).to_have_title("(2) Debugger · acme.gladly.com · gladly-segment.db")
        expect(other.locator("td.who")).to_have_count(4, timeout=9_000)
        expect(other.locator("#organization")).to_have_text("acme.gladly.com")
        page.close()
        other.close()


def test_the_list_is_used_with_the_keyboard(watched: Watched, site: str) -> None:
    """Arrows and j/k move, Enter selects, / searches, p pauses, c copies; the selection has an address."""
    page = watched.page
    page.goto(site)
    page.locator("#events li").first.wait_for()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    third = page.locator("#events li").nth(2)
    assert third.get_attribute("aria-selected") == "true"
    page.wait_for_url("**event=message-1-closed*")
    payload = page.locator("#payload")
    assert '"customerName": "Zoë 1"' in payload.inner_text()
    page.keyboard.press("c")
    playwright_api.expect(page.locator("#said")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == payload.inner_text()
    page.keyboard.press("p")
    assert page.locator("#pause").get_attribute("aria-pressed") == "true"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"


@pytest.mark.parametrize(
    ("q", "expected"),
    [("conversation-2", 1), ("customer-1", 3), ("message-4", 1)],
    ids=["conversation", "customer", "message"],
)
def test_search_finds(watched: Watched, site: str, q: str, expected: int) -> None:
    """By any of the three ids; the address carries the search."""
    page = watched.page
    page.goto(site)
    page.fill("#q", q)
    expect_rows(page, expected)
    assert f"q={q}" in page.url
    page.fill("#q", "nothing like it")
    page.get_by_text("Nothing matches").wait_for()


def test_the_status_filters(watched: Watched, site: str) -> None:
    """A rejected event comes with the command that tries it again."""
    page = watched.page
    page.goto(at(site, "?status=rejected"))
    expect_rows(page, 1)
    page.locator("#detail code").first.wait_for()
    assert "gladly-segment retry message-3" in page.locator("#detail code").first.inner_text()


def test_a_hostile_name_is_text(watched: Watched, site: str) -> None:
    """Nothing in a name runs, nor turns the text around it."""
    page = watched.page
    page.on("dialog", lambda dialog: watched.troubles.append(dialog.message))
    page.goto(at(site, "?status=rejected"))
    who = page.locator("#events .who").first
    who.wait_for()
    assert "<script>alert(1)</script>" in who.inner_text()
    assert "\\u202e" in who.inner_text()
    assert page.locator("#detail img, #events img").count() == 0
    assert HOSTILE not in page.locator("main").inner_text()


def test_pausing_holds_the_list_and_counts_what_waits(watched: Watched, state_path: Path) -> None:
    """Paused, the list stands still; resumed, it has everything."""
    fill(state_path)
    with served(state_path) as (url, _):
        page = watched.page
        page.goto(url)
        expect_rows(page, 6)
        page.click("#pause")
        with Store(state_path) as store:
            store.commit(TakenIn(events=[make_event(20, Transition.CREATED, utc_now())]))
        page.get_by_text("1 new").wait_for(timeout=5_000)
        assert page.locator("#events li").count() == 6
        page.click("#pause")
        expect_rows(page, 7)
        touch(state_path, "UPDATE events SET status = 'delivered' WHERE message_id LIKE 'message-20-%'")
        page.locator("#events li").first.get_by_text("delivered").wait_for(timeout=5_000)
        page.close()


def test_the_figures_of_a_day_show_for_pointer_keyboard_and_touch(
    chromium: Any, watched: Watched, site: str
) -> None:
    """Those of the newest audited day stand there until then. One day's figures are shown at a time."""
    page = watched.page
    page.goto(at(site, "overview"))
    figures, days = page.locator(".figures:visible"), page.locator("button.day")
    playwright_api.expect(figures).to_contain_text("reported 101")
    unproved = page.locator("button.day.is-unproved")
    assert "unproved" in unproved.get_attribute("aria-label")
    unproved.hover()
    playwright_api.expect(figures).to_contain_text("could not be read")
    assert figures.count() == 1
    page.mouse.move(0, 0)
    unproved.focus()
    page.keyboard.press("Tab")
    playwright_api.expect(figures).to_contain_text("reported 102")
    touched = chromium.new_context(has_touch=True, is_mobile=True, viewport={"width": 380, "height": 800})
    page = touched.new_page()
    page.goto(at(site, "overview"))
    page.locator("button.day.is-unproved").tap()
    playwright_api.expect(page.locator(".figures:visible").last).to_contain_text("could not be read")
    box = page.locator("button.day").first.bounding_box()
    assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, 2.5.8
    touched.close()
    assert days.count() == 12


def test_the_state_of_a_page_follows_while_it_is_open(watched: Watched, state_path: Path) -> None:
    """Title, icon and header: when something begins to need a person, and when it is over."""
    expect = playwright_api.expect
    with Store(state_path) as store:
        store.commit(TakenIn(position=utc_now()))
    with served(state_path) as (url, _):
        page = watched.page
        for address in ("", "overview"):
            page.goto(at(url, address))
            expect(page.locator("#alarm")).to_be_hidden()
            refused = Condition("gladly-credentials", "refused token", "Refused.", "gladly-segment check")
            with Store(state_path) as store:
                store.conditions.set(refused)
            expect(page.locator("#alarm")).to_have_text("1 needs you", timeout=9_000)
            assert page.title().startswith("(1) ")
            assert page.locator("#icon").get_attribute("href") == "/assets/icon-needs-you.svg"
            with Store(state_path) as store:
                store.conditions.clear(refused.id)
            expect(page.locator("#alarm")).to_be_hidden(timeout=9_000)
            assert not page.title().startswith("(")
            assert page.locator("#icon").get_attribute("href") == "/assets/icon.svg"
        page.close()


def test_live_ends_with_the_daemon_and_with_the_inspector(chromium: Any, state_path: Path) -> None:
    """Each says what ended, since when, and what to do."""
    fill(state_path)
    page = chromium.new_page()  # a lost connection is an error on its console
    expect = playwright_api.expect
    with served(state_path) as (url, inspector):
        with Store(state_path):
            page.goto(url)
            expect(page.locator("#live")).to_have_text("Live")
            expect(page.locator("#stopped")).to_be_hidden()
        expect(page.locator("#live")).to_have_text("No daemon running")
        expect(page.locator("#stopped")).to_contain_text("the last cycle ended")
        expect(page.locator("#stopped code")).to_have_text("gladly-segment run")
        with Store(state_path):
            expect(page.locator("#live")).to_have_text("Live")
            inspector.kill()
            expect(page.locator("#live")).to_have_text("Connection lost")
        expect(page.locator("#lost")).to_contain_text("gladly-segment inspect")
        expect(page.locator("#stopped")).to_be_hidden()
    page.close()


def test_an_overview_that_gets_no_answer_says_so(chromium: Any, filled: Path) -> None:
    """It does not go on to look live."""
    page = chromium.new_page()
    with served(filled) as (url, inspector):
        page.goto(at(url, "overview"))
        playwright_api.expect(page.locator("#lost")).to_be_hidden()
        inspector.kill()
        playwright_api.expect(page.locator("#lost")).to_contain_text("Connection lost", timeout=9_000)
    page.close()


def test_escape_clears_search_and_status(watched: Watched, site: str) -> None:
    """From the field and from the list; the list of conversations and the tables, too."""
    page = watched.page
    page.goto(at(site, "?status=delivered&q=customer-1"))
    expect_rows(page, 3)
    page.locator("#q").press("Escape")
    expect_rows(page, 6)
    assert (page.locator("#q").input_value(), page.locator("#status").input_value()) == ("", "")
    assert "?" not in page.url
    page.select_option("#status", "rejected")
    expect_rows(page, 1)
    page.locator("#events").press("Escape")
    expect_rows(page, 6)
    for filtered, whole in (
        ("conversations?q=customer&status=open", "**/conversations"),
        ("state/events?status=rejected", "**/state/events"),
    ):
        page.goto(at(site, filtered))
        page.keyboard.press("Escape")
        page.wait_for_url(whole)


@pytest.mark.parametrize("width", [1280, 380])
def test_back_undoes_one_step_at_a_time(chromium: Any, site: str, width: int) -> None:
    """An event that was opened, then a search, then a status; Forward does it again."""
    expect = playwright_api.expect
    watched = Watched(chromium, "light", width)
    page = watched.page
    page.goto(at(site, "overview"))
    page.goto(at(site, ""))
    expect_rows(page, 6)
    page.select_option("#status", "delivered")
    expect_rows(page, 3)
    page.locator("#q").press_sequentially("customer-1")
    page.wait_for_url("**/?q=customer-1&status=delivered")
    page.locator("#events li").nth(1).click()
    page.wait_for_url("**event=message-1-closed*")
    detail = page.locator("#detail h2")
    expect(detail).to_have_text("Gladly Conversation Closed")
    if width == 1280:
        page.locator("#events li").nth(2).click()
        page.wait_for_url("**event=message-1-created*")
    page.go_back()
    page.wait_for_url("**/?q=customer-1&status=delivered")
    if width == 380:
        expect(detail).to_be_hidden()
    page.go_forward()
    page.wait_for_url("**event=*")
    expect(detail).to_be_visible()
    page.go_back()
    page.go_back()
    page.wait_for_url("**/?status=delivered")
    assert page.locator("#q").input_value() == ""
    expect_rows(page, 3)
    page.go_back()
    expect_rows(page, 6)
    assert page.locator("#status").input_value() == ""
    page.go_back()
    page.wait_for_url("**/overview")
    watched.context.close()
    assert watched.troubles == []


def test_the_button_on_a_phone_is_one_step_back(chromium: Any, site: str) -> None:
    """So that Back afterwards does not open the event again. An event opened by its address closes, too."""
    expect = playwright_api.expect
    page = chromium.new_page(viewport={"width": 380, "height": 800})
    page.goto(at(site, "overview"))
    page.goto(at(site, "?status=delivered"))
    expect_rows(page, 3)
    page.locator("#events li").first.click()
    page.locator("#detail .back").click()
    page.wait_for_url("**/?status=delivered")
    expect(page.locator("#detail")).to_be_hidden()
    page.go_back()
    page.wait_for_url("**/overview")
    page.goto(at(site, "?event=message-1-nobody"))
    page.locator("#detail .back").click()
    expect(page.locator("#detail")).to_be_hidden()
    expect_rows(page, 6)
    page.context.close()


def test_times_have_a_date_and_a_zone_and_a_touch_shows_utc(chromium: Any, site: str) -> None:
    """On every page. The choice is remembered, and a row of the list is still opened by a touch."""
    expect = playwright_api.expect
    context = chromium.new_context(
        timezone_id="Asia/Kolkata", locale="en-GB", has_touch=True, viewport={"width": 380, "height": 800}
    )
    page = context.new_page()
    local = re.compile(r"^\d{1,2} \w{3,4}, \d\d:\d\d:\d\d (GMT\+5:30|IST)$")
    utc = re.compile(r"^\d{1,2} \w{3,4}, \d\d:\d\d:\d\d UTC$")
    for address in ("conversation?id=conversation-1", "conversations", "overview", "state/events"):
        page.goto(at(site, address))
        expect(page.locator("time:visible").first).to_have_text(local)
        expect(page.locator("#zone")).to_contain_text("Asia/")
    page.goto(at(site, "conversation?id=conversation-1"))
    page.locator("time").first.tap()
    expect(page.locator("time").first).to_have_text(utc)
    expect(page.locator("#zone")).to_have_text("Times are in UTC.")
    page.goto(at(site, ""))
    expect(page.locator("#events time").first).to_have_text(utc)
    page.locator("#events time").first.tap()
    expect(page.locator("#detail h2")).to_be_visible()
    expect(page.locator("#detail time").first).to_have_text(utc)
    page.locator("#detail time").first.tap()
    expect(page.locator("#detail time").first).to_have_text(local)
    page.goto(at(site, "overview"))
    page.locator("#utc").tap()
    expect(page.locator("time:visible").first).to_have_text(utc)
    context.close()


@pytest.mark.parametrize("width", [1280, 1040, 800, 380])
def test_created_and_closed_are_told_apart_at_every_width(chromium: Any, site: str, width: int) -> None:
    """By the word, which is not cut, and by a sign."""
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto(site)
    expect_rows(page, 6)
    names = page.locator("#events .name")
    assert set(names.all_inner_texts()) == {"Created", "Closed"}
    assert all(names.evaluate_all("all => all.map(each => each.scrollWidth <= each.clientWidth)"))
    signs = "all => new Set(all.map(each => getComputedStyle(each, '::before').backgroundColor)).size"
    assert names.evaluate_all(signs) == 2
    page.close()


def test_an_underline_leaves_an_underscore_to_be_seen(watched: Watched, site: str) -> None:
    """It is drawn below where an underscore ends, on every page with ids as links."""
    page = watched.page
    gaps = """links => links.map(each => {
        const style = getComputedStyle(each), canvas = document.createElement("canvas").getContext("2d");
        canvas.font = style.font;
        return parseFloat(style.textUnderlineOffset) - canvas.measureText("_").actualBoundingBoxDescent;
    })"""
    for address in (
        "",
        "conversations",
        "conversation?id=conversation-1",
        "state/events",
        "state?sql=select+message_id+from+events",
    ):
        page.goto(at(site, address))
        links = page.locator("#detail a.id, .page :is(a.id, td a)")
        links.first.wait_for()
        found = links.evaluate_all(gaps)
        assert found
        assert min(found) >= 0.5, address


@pytest.mark.parametrize("width", [1280, 380])
def test_a_table_is_readable(chromium: Any, site: str, width: int) -> None:
    """Wide: an event's name on one line, a header that stays. On a phone: what matters, at its width."""
    page = chromium.new_page(viewport={"width": width, "height": 400})
    page.goto(at(site, "state/events"))
    name = page.locator("td[data-column=event]").first
    head = page.locator("table.rows thead")
    if width == 380:
        assert not head.is_visible()
        shown = page.locator("table.rows tr").nth(1).locator("td:visible")
        columns = shown.evaluate_all("all => all.map(each => each.dataset.column)")
        assert columns[:3] == ["occurred_at", "event", "status"]
        assert "message_id" in columns
        assert "created_at" not in columns
        box = page.locator("table.rows").bounding_box()
        assert box["x"] + box["width"] <= 380
    else:
        assert name.bounding_box()["height"] < 45
        before = head.bounding_box()["y"]
        page.locator(".scroll.tall").evaluate("each => { each.scrollTop = 150; }")
        assert head.locator("th").first.bounding_box()["y"] == pytest.approx(before, abs=1)
        page.locator("td[data-column=payload] summary").first.click()
        code = page.locator("td[data-column=payload] pre").first
        assert code.bounding_box()["width"] >= 400
    page.close()


def test_no_word_of_a_payload_where_nothing_was_sent(watched: Watched, site: str) -> None:
    """A suppressed event has none; a pending one has one that was not sent yet."""
    expect = playwright_api.expect
    page = watched.page
    page.goto(at(site, "?status=suppressed"))
    expect(page.locator("#detail")).to_contain_text("Nothing was sent, nothing is kept.")
    assert "Payload" not in page.locator("#detail").inner_text()
    page.goto(at(site, "?status=pending"))
    expect(page.locator("#detail h3")).to_have_text("Payload, not sent yet")
    page.goto(at(site, "?status=delivered"))
    expect(page.locator("#detail h3")).to_have_text("Payload")


@pytest.mark.parametrize(("scheme", "width"), SHAPES)
def test_the_pages_without_a_token_and_without_an_answer_can_be_used_by_everyone(
    chromium: Any, site: str, scheme: str, width: int
) -> None:
    """In the dress of the others, and as accessible."""
    watched = Watched(chromium, scheme, width)
    page = watched.page
    axe = axe_api.Axe()
    for address in (site.partition("?")[0], at(site, "nowhere"), at(site, "state?sql=delete")):
        page.goto(address)
        assert page.locator("main h1").is_visible()
        assert page.locator("main .page").evaluate("each => getComputedStyle(each).paddingTop") in (
            "14px",
            "20px",
        )
        found = axe.run(page).response["violations"]
        assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    watched.context.close()
    assert watched.hosts == {"127.0.0.1"}


def test_the_list_grows_while_the_sync_runs(watched: Watched, tmp_path: Path) -> None:
    """The real daemon against the sandbox: events appear by themselves, and settle."""
    with Sandbox(seed=7, tempo=60, lateness_s=0.2, requests_per_second=None) as sandbox:
        installation = Installation(
            tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__START": "1m", "GLADLY_SEGMENT_SYNC__EVERY": "1s"}
        )
        daemon = subprocess.Popen(
            [sys.executable, "-m", "sync", "run"],
            cwd=tmp_path,
            env=installation.environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with served(installation.state_path) as (url, _):
                page = watched.page
                page.goto(url)
                page.locator("#events li").first.wait_for(timeout=15_000)
                before = page.locator("#events li").count()
                page.locator("#events li").nth(before + 2).wait_for(timeout=15_000)
                page.locator("#events .is-delivered").first.wait_for(timeout=5_000)
                page.goto(at(url, "overview"))
                assert page.locator(".tile .pill.is-ok").count() >= 1
                assert page.get_by_text("the daemon is running").is_visible()
                page.close()  # it asks again every second, and nobody would answer
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(timeout=15) == 0
