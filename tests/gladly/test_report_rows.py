"""One report's rows: found by the names of their columns, and never passed over in silence."""

from datetime import timedelta, timezone

import pytest

from state.instants import from_text
from sync.errors import UnexpectedAnswerError
from sync.events.changes import Change, ChangeType
from sync.gladly.report_rows import CUT_SHORT, rows_of

HEADER = (
    "Timestamp,Event Type,Conversation ID,Customer ID,Assigned Agent ID,Merged Customer ID,"
    "Merged Conversation ID"
)
AT = "2026-11-20T12:00:00.000Z"


def read(*lines, header=HEADER):
    return rows_of(iter(f"{line}\n" for line in [header, *lines]))


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


def test_a_short_row_is_bad_in_the_middle_and_at_the_end():
    """Without a line break, the last one is the place of a cut; with one, it is a broken row."""
    good, short = f"{AT},CONVERSATION/CREATED,v,c,,,", f"{AT},CONVERSATION/CR"
    for found in (read(good, short, good), read(good, good, short)):
        assert (len(found.changes), [bad.reason for bad in found.bad_lines], found.doubt) == (
            2,
            ["fewer columns than the header"],
            None,
        )
    cut = rows_of(iter([f"{HEADER}\n", f"{good}\n", short]))
    assert cut.doubt == CUT_SHORT


GOOD = f"{AT},CONVERSATION/CREATED,v,c,,,"


@pytest.mark.parametrize(
    "end",
    [
        "Total: 20",
        "Total,20",
        "Total: 20,,,,,,",
        "20 rows\0".replace("20 rows", "Rows: 20"),
        "",
        " ",
        ",,,,,,",
        "\0\0\0",
        "\x1a",
        "# Total rows: 20",
    ],
)
def test_what_stands_after_the_last_row_is_passed_over(end):
    """A trailer, blanks and NULs, with a line break behind them or without (faults H1.9)."""
    for ending in ("", "\n", "\r\n\r\n"):
        found = rows_of(iter([f"{HEADER}\n", f"{GOOD}\n", end + ending]))
        assert (found.rows, found.bad_lines, found.doubt) == (1, [], None)


def quoted(number, name):
    return f"{AT},CONVERSATION/CLOSED,v{number},c,{name},,"


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(quoted(0, '"agent'), id="never closed"),
        pytest.param(quoted(0, '"agent') + "," * 3, id="never closed, and wide"),
        pytest.param(quoted(0, '"a"b'), id="closed in mid-field"),
        pytest.param(f'"{AT},CONVERSATION/CLOSED,v0,c,a,,', id="in the first column"),
        pytest.param(f'{AT},"CONVERSATION/CLOSED,v0,c,a,,', id="in the type"),
    ],
)
@pytest.mark.parametrize("others", ["agent", '"agent"', '""', '"", "', '", "'])
def test_a_stray_quote_costs_its_own_row_and_no_other(stray, others):
    """Whatever quotes the rows behind it have; it is kept, and counted (faults H1.8)."""
    names = others.replace(", ", "")
    rows = [quoted(n, f'"{n}"' if "," in others else names) for n in range(1, 80)]
    found = read(quoted(100, "x"), stray, *rows)
    assert [change.conversation_id for change in found.changes] == ["v100", *(f"v{n}" for n in range(1, 80))]
    assert [bad.line.decode() for bad in found.bad_lines] == [stray]
    assert found.stray_quotes == 1


def test_two_stray_quotes_that_close_each_other_swallow_nothing():
    """What lies between them has as many commas as a row: it is no field."""
    first, last = quoted(1, '"x'), quoted(3, 'y"')
    found = read(quoted(0, "x"), first, quoted(2, "x"), last, quoted(4, "x"))
    assert [c.conversation_id for c in found.changes if c.conversation_id != "v3"] == ["v0", "v2", "v4"]
    assert found.bad_lines[0].line.decode() == first


def test_a_field_may_hold_line_breaks_and_commas():
    """A name or a reason as people write it."""
    header = HEADER + ",Reason"
    found = read(
        quoted(1, "a") + ',"one, two', "", 'three ""four"""', quoted(2, "b") + ",five", header=header
    )
    assert [(c.conversation_id, c.agent_id) for c in found.changes] == [("v1", "a"), ("v2", "b")]
    assert found.bad_lines == []


@pytest.mark.parametrize(
    "type_",
    ["conversation/created", "Conversation/Created", " CONVERSATION / CREATED ", "Conversation/created"],
)
def test_a_type_is_read_in_any_case(type_):
    """And with spaces around its parts (faults H1.7)."""
    assert [c.type for c in read(f"{AT},{type_},v,c,,,").changes] == [ChangeType.CREATED]


@pytest.mark.parametrize(
    "header",
    [
        "timestamp,event_type,conversation_id,customer_id",
        "TIMESTAMP,EVENT-TYPE,CONVERSATION-ID,CUSTOMER-ID",
        "Timestamp,Event\xa0Type,Conversation  ID,CustomerID",
        " Timestamp , Event Type , Conversation ID , Customer ID ",
    ],
)
def test_a_column_is_found_however_its_name_is_spaced(header):
    """With spaces, `_`, `-` or nothing between its words (faults H1.7)."""
    assert len(read(f"{AT},CONVERSATION/CREATED,v,c", header=header).changes) == 1


def test_a_column_that_stands_twice_is_not_guessed():
    """Only where it is read: names of no interest may repeat (faults H1.7)."""
    with pytest.raises(UnexpectedAnswerError, match="a column twice \\('conversationid'"):
        read(header=HEADER + ",conversation_id")
    assert read(f"{GOOD},x,y", header=HEADER + ",Other,Other").bad_lines == []


@pytest.mark.parametrize(
    ("text", "filter_", "instant"),
    [
        ("2026-11-20 12:00:00.000 UTC", "", AT),
        ("2026-11-20t12:00:00.000z", "", AT),
        ("2026-11-20T12:00:00 GMT", "", AT),
        ("2026-11-20T05:00:00-0700", "", AT),
        ("2026-11-20 12:00:00", "UTC", AT),
        ("2026-11-20 12:00", "Etc/UTC", AT),
        ("2026-11-20 12:00:00", "", None),
        ("11/20/2026 12:00:00", "UTC", None),
        ("20.11.2026 12:00", "UTC", None),
        ("2026-11-20", "UTC", None),
        ("1795262400", "UTC", None),
        ("2026-11-20 12:00:00 PM", "UTC", None),
        ("2026-11-20 12:00:00 MST", "UTC", None),
        ("2026-02-30 12:00:00Z", "UTC", None),
    ],
)
def test_an_instant_is_read_in_many_spellings_and_never_guessed(text, filter_, instant):
    """Without an offset it counts where the report says its zone; US dates never do (faults H1.7)."""
    found = read(
        f"{GOOD},UTC", f"{text},CONVERSATION/CLOSED,v,c,,,,{filter_}", header=HEADER + ",Timezone Filter"
    )
    assert [c.recorded_at for c in found.changes[1:]] == ([from_text(instant)] if instant else [])
    assert len(found.bad_lines) == (instant is None)


def test_a_local_time_counts_in_the_zone_that_was_asked_for():
    """The rest of a day that was cut is asked for in another zone."""
    zone = timezone(timedelta(hours=-5), "Etc/GMT+5")
    row = f"{HEADER},Timezone Filter\n2026-11-20 07:00:00,CONVERSATION/CLOSED,v,c,,,,etc/gmt+5\n"
    assert rows_of(iter(row.splitlines(keepends=True)), zone).changes[0].recorded_at == from_text(AT)


def test_a_report_of_another_zone_is_another_day():
    """Its rows have offsets and are right, and those of some hours are missing (faults H1.7)."""
    with pytest.raises(
        UnexpectedAnswerError, match=r"of the time zone 'America/Denver'. The program asked for UTC"
    ):
        read(f"{GOOD},America/Denver", header=HEADER + ",Timezone Filter")


def test_a_report_of_which_no_row_can_be_read_is_an_error():
    """It is a change at Gladly's, and not as many bad rows. One bad row alone is a bad row (faults H1.6)."""
    bad = "1795262400,CONVERSATION/CREATED,v,c,,,"
    with pytest.raises(UnexpectedAnswerError, match=r"None of the 3 rows .* '1795262400' is not an instant"):
        read(bad, bad, bad)
    assert len(read(bad).bad_lines) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (f"{AT},CONVERSATION/CREATED,\x1b[31mv,c,,,", "Conversation ID"),
        (f"{AT},CONVERSATION/CREATED,v,\x9b31m,,,", "Customer ID"),
        (f"{AT},CONVERSATION/CREATED,v,c,{'a' * 100_000},,", "Assigned Agent ID"),
        (f"{AT},CUSTOMER/MERGED,v,c,,\x1b]0;x,", "Merged Customer ID"),
        (f"{AT},CUSTOMER/MERGED,v,c,,c1,\x1b]0;x", "Merged Conversation ID"),
        (f"{AT},CUSTOMER/MERGED,v,c d,,c1,v1", "Customer ID"),
    ],
)
def test_every_id_is_checked_where_it_enters(row, reason):
    """An escape, a space or 100 KB is no id as Gladly makes them (faults H3.2)."""
    found = read(GOOD, row)
    assert len(found.changes) == 1
    assert found.bad_lines[0].reason == f"{reason} is not an id as Gladly makes them"


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
    assert rows_of(iter([])).rows == 0
    assert rows_of(iter(["\n", "\n", f"{HEADER}\n", "\n", f"{GOOD}\n", "\n"])).rows == 1


def test_another_report_is_an_error():
    """It says which column it lacks."""
    with pytest.raises(UnexpectedAnswerError, match="no column 'timestamp' in 'Conversation ID,Status'"):
        read(header="Conversation ID,Status")


def test_a_report_that_is_bad_throughout_keeps_a_hundred_rows():
    """The others are counted: a change at Gladly's must not fill the state file (faults H1.8)."""
    found = read(GOOD, *(quoted(number, '"x') for number in range(1_000)))
    assert (len(found.changes), len(found.bad_lines), found.bad_rows, found.rows) == (1, 100, 1_000, 1_001)
