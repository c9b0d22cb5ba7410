"""Receipts: what was delivered on a day is held against what Segment says it received (semantics 6.3)."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta

import pytest

from sandbox import Fault
from state.findings import DayReceipts
from state.instants import to_text, utc_now
from sync.audit.receipts import FAILED, FILTERED, Receipts, compared, missing
from sync.http.retry import RetryPolicy
from sync.segment.public_api import PublicApi
from sync.stop import Stop

CREATED, CLOSED = "Gladly Conversation Created", "Gladly Conversation Closed"
KEY_OF_NOBODY = "a" * 32
BEFORE, DAY, AFTER = date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21)


class Asked:
    """A day on which the sync delivered to the sandbox, and what receipts say of it two days later."""

    def __init__(self, sandbox, program, opened):
        self.sandbox, self.program = sandbox, program
        sandbox.world.close(opened(300), at=sandbox.clock.now() - timedelta(seconds=60))
        opened(200, "Ada Example")

    def deliver(self):
        """Run a cycle, and return the day of its deliveries. The sandbox is two days later then."""
        self.program.run()
        assert self.program.statuses() == {"delivered"}
        self.sandbox.clock.advance(2 * 86_400)
        return datetime.fromisoformat(self.program.events()[0]["delivered_at"]).date()

    def receipts(self, day, token=None, key=None):
        """Ask."""
        token = token or self.sandbox.segment.public_api_token
        api = PublicApi(self.sandbox.public_api_url, token, stop=Stop(), retry=RetryPolicy(max_attempts=1))
        try:
            return Receipts(api, key or self.sandbox.segment.write_key, self.program.path).of(day)
        finally:
            api.close()


@pytest.fixture
def asked(sandbox, begin, opened):
    """Return a day with three deliveries to come: two of `CREATED`, one of `CLOSED`."""
    return Asked(sandbox, begin(), opened)


def test_what_was_received_is_proved(asked):
    """The number is Segment's. Nothing is to be said. The state file is read only."""
    day = asked.deliver()
    asked.program.close()
    before = asked.program.path.read_bytes()
    assert asked.receipts(day) == DayReceipts(3, 0, "")
    assert asked.program.path.read_bytes() == before


def test_a_day_stays_proved_when_its_payloads_are_erased(asked):
    """Retention erases what events hold. What was delivered is still known."""
    day = asked.deliver()
    asked.program.store.erasure.erase_old_payloads(utc_now() + timedelta(days=1), utc_now())
    assert [event["payload"] for event in asked.program.events()] == [None] * 3
    assert asked.receipts(day) == DayReceipts(3, 0, "")


def test_a_day_without_deliveries_is_proved(asked):
    assert asked.receipts(asked.deliver() - timedelta(days=3)) == DayReceipts(0, 0, "")


@pytest.mark.parametrize(
    ("settings", "reason", "remedy"),
    [
        ({"source_enabled": False}, f"{FAILED} (source_disabled)", "Enable the source"),
        (
            {"region": "eu", "public_api_region": "eu"},
            f"{FAILED} (project_not_found)",
            "Check SEGMENT_WRITE_KEY and segment.region",
        ),
    ],
    ids=["disabled source", "EU key at the US address"],
)
def test_a_source_that_drops_everything_is_named(asked, sandbox, settings, reason, remedy):
    """Segment answered 200 to all of it."""
    for name, value in settings.items():
        setattr(sandbox.segment, name, value)
    found = asked.receipts(asked.deliver())
    assert found[:2] == (0, 3)
    assert f"Segment dropped 2 of '{CREATED}' after its 200: {reason}. {remedy}" in found.note
    assert f"Segment dropped 1 of '{CLOSED}' after its 200: {reason}" in found.note


@pytest.mark.parametrize(
    ("blocked", "remedy"),
    [
        ("unplanned", "Add the event to the source's tracking plan"),
        ("schema_violation", "Correct the event's"),
    ],
)
def test_a_tracking_plan_that_blocks_one_event_is_named(asked, sandbox, blocked, remedy):
    """The other event is received."""
    sandbox.segment.blocked_events[CLOSED] = blocked
    found = asked.receipts(asked.deliver())
    assert found[:2] == (2, 1)
    assert found.note.startswith(
        f"Segment dropped 1 of '{CLOSED}' after its 200: {FILTERED} ({blocked}). {remedy}"
    )


def test_a_wrong_key_of_the_right_form_is_named(sandbox, begin, opened, installation):
    """No source has it, so nothing was received."""
    program = begin()
    asked = Asked(sandbox, program, opened)
    sandbox.segment.write_key, key = KEY_OF_NOBODY, sandbox.segment.write_key
    sandbox.segment.wrong_keys = "taken"
    day = asked.deliver()
    found = asked.receipts(day, key=key)
    assert found[:2] == (0, 3)
    assert "No source of the token's workspace has the write key" in found.note
    assert "SEGMENT_WRITE_KEY" in found.note


def test_what_was_lost_without_a_reason_is_named(asked, sandbox):
    """The beta calls are not there. Then only the number tells."""
    sandbox.segment.source_enabled = False
    sandbox.faults.add("public_api", "/delivery-overview/*", Fault(404, times=None))
    found = asked.receipts(asked.deliver())
    assert found[:2] == (0, 3)
    assert f"Segment answered 200 to 2 of '{CREATED}' and did not count them as received" in found.note
    assert "gladly-segment check" in found.note


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(503, times=None), "answered 503"),
        (Fault(401, times=None), "refused the token (401)"),
        (Fault(403, times=None), "(403)"),
        (Fault(200, body=b"{}", times=None), "something unexpected"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else None,
)
def test_where_segment_cannot_be_asked_the_figures_are_not_known(asked, sandbox, fault, says):
    day = asked.deliver()
    sandbox.faults.add("public_api", "*", fault)
    found = asked.receipts(day)
    assert found[:2] == (None, None)
    assert found.note.startswith("Not compared with Segment: ")
    assert says in found.note


def test_a_token_that_sees_no_keys_proves_nothing(asked, sandbox):
    sandbox.segment.access = "source_reader"
    found = asked.receipts(asked.deliver())
    assert found[:2] == (None, None)
    assert "role Source Admin" in found.note


def test_segment_keeps_a_month(asked):
    day = asked.deliver()
    assert asked.receipts(day - timedelta(days=31)).received is None
    assert "30 days" in asked.receipts(day - timedelta(days=31)).note
    assert "not over" in asked.receipts(day + timedelta(days=2)).note


def test_what_arrived_before_midnight_and_was_answered_after_it_is_not_missing(asked, sandbox):
    """Segment counts an event on the day before our clock says that it was delivered."""
    day = asked.deliver()
    after = to_text(datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC))
    with closing(sqlite3.connect(asked.program.path)) as file, file:
        file.execute("UPDATE events SET delivered_at = ? WHERE event = ?", (after, CLOSED))
    assert asked.receipts(day) == DayReceipts(3, 0, "")
    assert asked.receipts(day + timedelta(days=1)) == DayReceipts(0, 0, "")


@pytest.mark.parametrize(
    ("delivered", "received", "lost"),
    [
        ({DAY: 5}, {DAY: 5}, 0),
        ({DAY: 5}, {DAY: 3}, 2),
        ({DAY: 5}, {}, 5),
        ({DAY: 5}, {DAY: 7}, 0),
        ({BEFORE: 4, DAY: 5}, {BEFORE: 5, DAY: 4}, 0),
        ({DAY: 5, AFTER: 4}, {DAY: 4, AFTER: 5}, 0),
        ({BEFORE: 4, DAY: 5, AFTER: 4}, {BEFORE: 5, DAY: 2, AFTER: 5}, 1),
        ({BEFORE: 4, DAY: 5}, {BEFORE: 2, DAY: 4}, 1),
    ],
    ids=[
        "all of it",
        "two are missing",
        "nothing arrived",
        "one was sent again",
        "one arrived before midnight",
        "one arrived after midnight",
        "one either side, and one is missing",
        "what the day before lacks does not count",
    ],
)
def test_what_is_missing_on_a_day(delivered, received, lost):
    assert missing(DAY, delivered, received) == lost


def test_reasons_without_a_name_explain_what_is_missing_only():
    """Other senders of the source may fail, too. That is none of ours while ours have arrived."""
    drops = {(None, FAILED, "source_disabled"): 4}
    assert compared(DAY, {"A": {DAY: 4}}, {"A": {DAY: 4}}, drops) == DayReceipts(4, 0, "")
    found = compared(DAY, {"A": {DAY: 4}}, {}, drops)
    assert found[:2] == (0, 4)
    assert "source_disabled" in found.note


def test_what_others_send_is_none_of_ours():
    """Events of other names are left out, received or dropped."""
    drops = {("Theirs", FILTERED, "unplanned"): 9}
    assert compared(DAY, {"A": {DAY: 1}}, {"A": {DAY: 1}, "Theirs": {DAY: 9}}, drops) == DayReceipts(1, 0, "")


def test_what_was_received_and_filtered_later_is_dropped_once():
    """Whether Segment counts a filtered event as received is not documented: either is understood."""
    drops = {("A", FILTERED, "unplanned"): 2}
    for received in ({DAY: 3}, {DAY: 1}):
        assert compared(DAY, {"A": {DAY: 3}}, {"A": received}, drops).dropped == 2
