"""The strip of days: what each of the last days came to."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from inspector.pages.proof import DAYS, days, kinds, newest_audited
from state.findings import DayReceipts
from state.queries.audits import audited_days
from state.reader import Reader
from state.records import MissingEvents, TakenIn
from state.schema.migration import migrate
from state.schema.steps import STEPS
from state.schema.version import Schema
from state.store import Store
from support.inspector_samples import Browser, fill

NOW = datetime(2026, 11, 28, 9, tzinfo=UTC)


def audit(path: Path, *, unproved: int | None = None, dropped: int | None = None) -> None:
    """Note audits of the last four days. *unproved* and *dropped* say how many days ago one went wrong."""
    today = datetime.now(UTC).date()
    with Store(path) as store:
        for back in range(4, 0, -1):
            day = today - timedelta(days=back)
            if back == unproved:
                store.audits.finish(day, None, "The report could not be read <b>twice</b>.")
            elif back == dropped:
                store.audits.finish(day, 1_200, None, DayReceipts(1_195, 5, "5 were dropped."))
            else:
                store.audits.finish(day, 100 + back, None)


def test_the_strip_shows_the_last_days_that_are_over() -> None:
    """Thirty of them, oldest first. Today is not over."""
    strip = days([], None, NOW)
    assert len(strip) == DAYS
    assert (strip[0].day, strip[-1].day) == ("2026-10-29", "2026-11-27")
    assert {day.kind for day in strip} == {"waiting"}


def test_days_before_the_state_file_began_are_told_from_days_not_audited_yet() -> None:
    """The day on which it began is not whole, so the audit does not prove it either."""
    strip = days([], "2026-11-25T10:00:00.000Z", NOW)
    assert len(strip) == 7
    assert [(day.day, day.kind, day.words) for day in strip[-4:]] == [
        ("2026-11-24", "before", "before the state file began"),
        ("2026-11-25", "before", "the state file began during this day"),
        ("2026-11-26", "waiting", "not audited yet"),
        ("2026-11-27", "waiting", "not audited yet"),
    ]


def test_the_strip_begins_where_the_state_file_does() -> None:
    """It grows from a week to thirty days."""
    for began, first in (
        ("2026-11-13", "2026-11-13"),
        ("2026-11-27", "2026-11-21"),
        ("2025-01-01", "2026-10-29"),
    ):
        assert days([], f"{began}T10:00:00.000Z", NOW)[0].day == first


def test_each_kind_has_its_own_sign_and_says_its_figures(state_path: Path) -> None:
    """What the audit wrote is in one line, for those who do not see colours or the strip at all."""
    audit(state_path, unproved=2, dropped=3)
    with Reader(state_path) as reader:
        strip = days(reader.ask(audited_days), None, datetime.now(UTC))
    *_, complete, dropped, unproved, newest = strip
    assert len({complete.sign, unproved.sign, dropped.sign, strip[0].sign}) == 4
    assert dropped.label.startswith(f"{dropped.day}: with events that Segment dropped. ")
    assert complete.label == f"{complete.day}: complete. reported 104, known 104, missing 0, delivered 0"
    assert dropped.label.endswith(
        "reported 1,200, known 1,200, missing 0, delivered 0, received 1,195, dropped 5. 5 were dropped."
    )
    assert "unproved. delivered 0. The report could not be read" in unproved.label
    assert newest_audited(strip) == newest.day
    assert [(each.kind, each.days) for each in kinds(strip)] == [
        ("complete", 2),
        ("unproved", 1),
        ("dropped", 1),
        ("waiting", 3),
    ]


def test_a_day_whose_missing_events_were_sent_is_mended_and_one_dismissed_says_so(state_path: Path) -> None:
    """As the writer of `audits` writes them."""
    today = datetime.now(UTC).date()
    day = today - timedelta(days=1)
    with Store(state_path) as store:
        store.commit(TakenIn(audit=MissingEvents(day.isoformat(), 2)))
        store.audits.finish(day, 50, None)
        store.audits.dismiss([day.isoformat()])
    with Reader(state_path) as reader:
        last = days(reader.audited_days(), None, datetime.now(UTC))[-1]
    assert last.kind == "mended"
    assert last.label == f"{day}: mended, dismissed. reported 50, known 48, missing 2, delivered 0"


def test_the_overview_says_up_to_which_day_all_is_proved(state_path: Path, browser: Browser) -> None:
    """With a sign and a sentence for each day, and the note as text."""
    fill(state_path)
    assert "Not proved complete yet" in browser.get("/overview").text
    audit(state_path, unproved=2)
    page = browser.get("/overview").text
    proved = datetime.now(UTC).date() - timedelta(days=3)
    assert f"Proved complete until {proved}" in page
    assert page.count('class="day is-complete" aria-label') == 3
    assert page.count('class="day is-unproved" aria-label') == 1
    assert "could not be read &lt;b&gt;twice&lt;/b&gt;" in page
    assert page.index('id="needs"') < page.index('id="proof"')


def test_a_file_of_an_older_schema_has_its_overview(state_path: Path, browser: Browser) -> None:
    """Before the migration there is no table of audits, and the view has no order."""
    with closing(sqlite3.connect(state_path, isolation_level=None)) as connection:
        migrate(connection, Schema(2, lambda: STEPS[:2]))
    answer = browser.get("/overview")
    assert answer.status_code == 200
    assert "Not proved complete yet" in answer.text
