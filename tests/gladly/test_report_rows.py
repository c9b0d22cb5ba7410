"""One report's rows: found by the names of their columns, and never passed over in silence."""

import csv

import pytest

from state.instants import from_text
from sync.errors import RetryableError, UnexpectedAnswerError
from sync.events.changes import Change, ChangeType
from sync.gladly.report_rows import rows_of

HEADER = (
    "Timestamp,Event Type,Conversation ID,Customer ID,Assigned Agent ID,Merged Customer ID,"
    "Merged Conversation ID"
)
AT = "2026-11-20T12:00:00.000Z"


def read(*lines, header=HEADER):
    return rows_of(csv.reader([header, *lines]))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        pytest.param(
            "CONVERSATION/CREATED,v,c,,,",
            Change("", ChangeType.CREATED, from_text(AT), "c", "v", "", is_from_report=True),
            id="a creation",
        ),
        pytest.param(
            "CONVERSATION/CLOSED,v,c,a,,",
            Change("", ChangeType.CLOSED, from_text(AT), "c", "v", "a", is_from_report=True),
            id="a close, and who was assigned",
        ),
        pytest.param(
            "CONVERSATION/REOPENED, v , c ,,,",
            Change("", ChangeType.REOPENED, from_text(AT), "c", "v", "", is_from_report=True),
            id="spaces around a value",
        ),
        pytest.param(
            "CUSTOMER/MERGED,v2,c2,,c1,v1",
            Change(
                "",
                ChangeType.CUSTOMER_MERGED,
                from_text(AT),
                "c1",
                "v1",
                into_customer_id="c2",
                is_from_report=True,
            ),
            id="a merge: the merged customer is the source",
        ),
    ],
)
def test_a_row_is_a_change(row, expected):
    """Without an id: the report has none."""
    found = read(f"{AT},{row}")
    assert (found.changes, found.bad_lines, found.rows) == ([expected], [], 1)


@pytest.mark.parametrize(
    "row", ["CONVERSATION/NOTE_CREATED,v,c,,,", "CUSTOMER/MERGED,v,c,,,", "NEW/TYPE,,,,,"]
)
def test_what_means_nothing_here_counts_and_is_no_change(row):
    """It counts for how far the report reaches."""
    found = read(f"{AT},{row}")
    assert (found.changes, found.bad_lines, found.rows, found.last) == ([], [], 1, from_text(AT))


def test_columns_are_found_by_name_in_any_order_and_case():
    """With others between them."""
    found = read(
        f"x,c,{AT},v,CONVERSATION/CREATED", header="New,CUSTOMER id,timestamp,Conversation ID,event TYPE"
    )
    assert found.changes == [Change("", ChangeType.CREATED, from_text(AT), "c", "v", is_from_report=True)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{AT},CONVERSATION/CREATED,,c,,,", "Conversation ID"),
        (f"{AT},CONVERSATION/CREATED,v,,,,", "Customer ID"),
        (f"{AT},CONVERSATION/CREATED,v,{'c' * 201},,,", "Customer ID"),
        ("yesterday,CONVERSATION/CREATED,v,c,,,", "yesterday"),
        (f"{AT},CUSTOMER/MERGED,v2,,,c1,v1", "Customer ID"),
    ],
)
def test_a_row_that_cannot_be_read_is_kept_with_its_reason(row, reason):
    """The rows around it count."""
    good = f"{AT},CONVERSATION/CREATED,v,c,,,"
    found = read(good, row, good)
    assert (len(found.changes), found.rows) == (2, 3)
    (bad,) = found.bad_lines
    assert (bad.source, bad.line) == ("report", row.encode())
    assert reason in bad.reason


def test_a_short_row_is_bad_in_the_middle_and_a_cut_at_the_end():
    """Nothing else tells a cut from a bad row."""
    good, short = f"{AT},CONVERSATION/CREATED,v,c,,,", f"{AT},CONVERSATION/CR"
    found = read(good, short, good)
    assert (len(found.changes), [bad.reason for bad in found.bad_lines]) == (
        2,
        ["fewer columns than the header"],
    )
    with pytest.raises(RetryableError, match="broke off in the middle of a row"):
        read(good, short)


def test_whether_the_rows_are_in_order_is_noted():
    """Only rows in order tell where a cut report ends."""
    early, late = "2026-11-20T11:00:00Z", "2026-11-20T13:00:00Z"
    in_order = read(*(f"{at},CONVERSATION/CREATED,v,c,,," for at in (early, AT, AT, late)))
    assert (in_order.is_ordered, in_order.last) == (True, from_text(late))
    mixed = read(*(f"{at},CONVERSATION/CREATED,v,c,,," for at in (late, early)))
    assert (mixed.is_ordered, mixed.last) == (False, from_text(late))


def test_an_empty_report_is_an_empty_day():
    """With a header or without one, and blank lines passed over."""
    assert read().rows == 0
    assert rows_of(csv.reader([])).rows == 0
    assert rows_of(csv.reader(["", "", HEADER, "", f"{AT},CONVERSATION/CREATED,v,c,,,", ""])).rows == 1


def test_another_report_is_an_error():
    """It says which column it lacks."""
    with pytest.raises(UnexpectedAnswerError, match="no column 'timestamp' in 'Conversation ID,Status'"):
        read(header="Conversation ID,Status")
