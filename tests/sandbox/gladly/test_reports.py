"""Reports hold the changes of the feed, of any day, with the quirks that Gladly's have."""

import csv
import io
from datetime import UTC, datetime, timedelta

from sandbox.gladly.reports import EXPORT_COLUMNS, TIMESTAMPS_COLUMNS
from sandbox.world.bulk import fill
from support.sandbox_clients import NOON, REPORT_OF_A_DAY

DAY = datetime(2026, 10, 30, tzinfo=UTC)


def rows(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))


def test_a_row_an_event_under_the_documented_columns(sandbox, gladly):
    world = sandbox.world
    agent, topic = world.add_agent("O'Neill, Siobhán"), world.add_topic("Returns\nand repairs")
    customer = world.add_customer()
    talk = world.open_conversation(customer, at=DAY + timedelta(hours=9))
    world.assign(talk, agent, at=DAY + timedelta(hours=9.1))
    world.add_topic_to(talk, topic, at=DAY + timedelta(hours=9.2))
    world.add_note(talk, at=DAY + timedelta(hours=9.3))
    world.add_attribute(talk, "order", "A-1", at=DAY + timedelta(hours=9.35))
    world.close(talk, at=DAY + timedelta(hours=9.4))
    answer = gladly.post("/reports", json=REPORT_OF_A_DAY)
    found = sorted(rows(answer), key=lambda row: row["Timestamp"])
    assert tuple(found[0]) == TIMESTAMPS_COLUMNS
    assert [row["Event Type"] for row in found] == [
        "CONVERSATION/CREATED",
        "CONVERSATION_ASSIGNEE/UPDATED",
        "CONVERSATION/TOPIC_ADDED",
        "NOTE/CREATED",
        "CONVERSATION/CLOSED",
    ]
    created, assigned, topic_added, _, closed = found
    assert created["Timestamp"] == "2026-10-30T09:00:00.000Z"
    assert (created["Conversation ID"], created["Customer ID"]) == (talk.id, customer.id)
    assert created["Assigned Agent Name"] == ""
    assert assigned["Newly Assigned Agent Name"] == "O'Neill, Siobhán"
    assert topic_added["Topic Name"] == "Returns\nand repairs"
    assert (closed["Initiator Type"], closed["Assigned Agent ID"]) == ("AGENT", agent.id)


def test_a_merge_names_the_one_that_remains(sandbox, gladly):
    world = sandbox.world
    source, destination = world.add_customer(at=DAY), world.add_customer(at=DAY)
    gone, stays = (world.open_conversation(c, at=DAY) for c in (source, destination))
    world.merge(source, destination, at=DAY)
    (row,) = [
        row
        for row in rows(gladly.post("/reports", json=REPORT_OF_A_DAY))
        if row["Event Type"] == "CUSTOMER/MERGED"
    ]
    assert (row["Customer ID"], row["Merged Customer ID"]) == (destination.id, source.id)
    assert (row["Conversation ID"], row["Merged Conversation ID"]) == (stays.id, gone.id)


def test_both_days_are_whole_and_included(sandbox, gladly):
    for hours in (-0.01, 0, 47.99, 48):
        sandbox.world.open_conversation(sandbox.world.add_customer(), at=DAY + timedelta(hours=hours))
    assert len(rows(gladly.post("/reports", json=REPORT_OF_A_DAY | {"endAt": "2026-10-31"}))) == 2


def test_days_are_the_timezone_s(sandbox, gladly):
    """
    The day the clocks go back has 25 hours in Denver, and its rows show Denver's time.
    """
    sunday = datetime(2026, 11, 1, 6, tzinfo=UTC)  # midnight there
    for hours in (-0.1, 0, 24.9, 25):
        sandbox.world.open_conversation(sandbox.world.add_customer(), at=sunday + timedelta(hours=hours))
    ask = REPORT_OF_A_DAY | {"timezone": "America/Denver", "startAt": "2026-11-01", "endAt": "2026-11-01"}
    found = sorted(row["Timestamp"] for row in rows(gladly.post("/reports", json=ask)))
    assert found == ["2026-11-01T00:00:00.000-06:00", "2026-11-01T23:54:00.000-07:00"]
    del ask["timezone"]
    assert len(rows(gladly.post("/reports", json=ask))) == 2, "without one they are the organization's"


def test_the_last_hour_is_not_in_it_yet(sandbox, gladly):
    today = {"startAt": "2026-11-02", "endAt": "2026-11-02"}
    for minutes in (61, 59):
        sandbox.world.open_conversation(sandbox.world.add_customer(), at=NOON - timedelta(minutes=minutes))
    assert len(rows(gladly.post("/reports", json=REPORT_OF_A_DAY | today))) == 1
    sandbox.gladly.report_lateness_s = 0
    assert len(rows(gladly.post("/reports", json=REPORT_OF_A_DAY | today))) == 2


def test_the_cap_cuts_the_latest_rows_without_a_word(sandbox, gladly):
    fill(sandbox.world, conversations=300, closed_fraction=0, at=DAY)
    sandbox.gladly.report_row_cap = 250
    found = rows(gladly.post("/reports", json=REPORT_OF_A_DAY))
    assert len(found) == 250
    assert {row["Timestamp"] for row in found} == {
        c.timestamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for c in sandbox.world.changes[:250]
    }


def test_rows_come_in_no_order(sandbox, gladly):
    fill(sandbox.world, conversations=100, closed_fraction=0.5, at=DAY)
    found = [row["Timestamp"] for row in rows(gladly.post("/reports", json=REPORT_OF_A_DAY))]
    assert found != sorted(found)
    sandbox.gladly.report_shuffled = False
    found = [row["Timestamp"] for row in rows(gladly.post("/reports", json=REPORT_OF_A_DAY))]
    assert found == sorted(found)


def test_an_empty_day_is_an_empty_body_and_a_bom_can_come_first(sandbox, gladly):
    assert gladly.post("/reports", json=REPORT_OF_A_DAY).content == b""
    sandbox.gladly.report_bom = True
    sandbox.world.open_conversation(sandbox.world.add_customer(), at=DAY)
    assert gladly.post("/reports", json=REPORT_OF_A_DAY).content.startswith(b"\xef\xbb\xbfTimezone Filter,")


def test_the_export_report_tells_how_each_conversation_stands(sandbox, gladly):
    world = sandbox.world
    twice = world.open_conversation(world.add_customer(), at=DAY)
    for hour in (1, 3):
        world.close(twice, at=DAY + timedelta(hours=hour))
        world.reopen(twice, at=DAY + timedelta(hours=hour + 1))
    world.close(twice, at=DAY + timedelta(hours=5))
    still_open = world.open_conversation(world.add_customer(), at=DAY)
    source, destination = world.add_customer(), world.add_customer()
    merged = world.open_conversation(source, at=DAY)
    world.open_conversation(destination, at=DAY)
    world.merge(source, destination)
    found = {
        row["Conversation ID"]: row
        for row in rows(
            gladly.post("/reports", json=REPORT_OF_A_DAY | {"metricSet": "ConversationExportReport"})
        )
    }
    assert len(found) == 4
    assert tuple(found[twice.id]) == EXPORT_COLUMNS
    assert found[twice.id]["Status"] == "CLOSED"
    assert found[twice.id]["First Closed At"] == "2026-10-30T01:00:00.000Z"
    assert found[twice.id]["Last Closed At"] == "2026-10-30T05:00:00.000Z"
    assert (found[still_open.id]["Status"], found[still_open.id]["First Closed At"]) == ("OPEN", "")
    assert found[merged.id]["Status"] == "MERGED"
