"""Segment's raw events and warehouse tables are read line by line (semantics 6.5)."""

import gzip
import json

import msgspec
import pytest

from sync.audit.compare_files import LONGEST_LINE, BadInputError, Input, Other, Theirs, Unreadable, files_of

EVENT = {
    "type": "track",
    "event": "Gladly Conversation Closed",
    "userId": "u",
    "messageId": "api-1",
    "receivedAt": "2026-11-20T08:00:01.5Z",
    "timestamp": "2026-11-20T08:00:00.123Z",
    "properties": {"conversationId": "c", "status": "CLOSED"},
}
HEADER = "id,received_at,event,conversation_id,topic_ids,custom_attributes_tier,shoe_size"
ROW = 'api-1,2026-11-20 08:00:01 UTC,gladly_conversation_closed,c,"[""t-1""]",gold,46'


def read(tmp_path, held):
    path = tmp_path / "theirs"
    path.write_bytes(held if isinstance(held, bytes) else held.encode())
    given = Input(files_of([str(path)]))
    found = list(given.lines())
    assert given.bytes_read == given.bytes_in_all == path.stat().st_size
    return found


def whys(found):
    return [(line.where.rpartition(", ")[2], line.why) for line in found if isinstance(line, Unreadable)]


def test_a_raw_event_is_read_whole(tmp_path):
    """With the timestamp as it was sent, and with `messageid` as some dumps spell it."""
    [plain] = read(tmp_path, json.dumps(EVENT))
    assert plain[:5] == (EVENT["event"], "c", "api-1", "2026-11-20T08:00:01.500Z", "2026-11-20T08:00:00.123Z")
    assert msgspec.json.decode(plain.fields) == {"userId": "u", "conversationId": "c", "status": "CLOSED"}
    other = {k: v for k, v in EVENT.items() if k != "messageId"} | {
        "messageid": "api-2",
        "originalTimestamp": "2026-11-20T07:00:00Z",
    }
    [spelled] = read(tmp_path, json.dumps(other))
    assert (spelled.message_id, spelled.stamp) == ("api-2", "2026-11-20T07:00:00.000Z")


@pytest.mark.parametrize(
    "at",
    [
        "2026-11-20 08:00:01 UTC",
        "2026-11-20 08:00:01+00",
        "2026-11-20 08:00:01.000 +0000",
        "2026-11-20 09:00:01+01:00",
        "2026-11-20T08:00:01Z",
        "2026-11-20 08:00:01",
    ],
)
def test_an_instant_is_read_as_warehouses_write_it(tmp_path, at):
    """BigQuery, Redshift, Snowflake and Postgres have a form each. No zone means UTC."""
    [row] = read(tmp_path, f"{HEADER}\n{ROW}\n".replace("2026-11-20 08:00:01 UTC", at))
    assert row.received_at == "2026-11-20T08:00:01.000Z"


def test_a_row_is_read_as_far_as_it_is_known(tmp_path):
    """A byte order mark, quoted line breaks, other columns and empty lines do no harm."""
    held = f"\ufeff{HEADER}\r\n\r\n{ROW}\r\n".replace("gold", '"go\nld"')
    [row] = read(tmp_path, held)
    assert isinstance(row, Theirs)
    assert msgspec.json.decode(row.fields) == {
        "conversationId": "c",
        "topicIds": ["t-1"],
        "customAttributes": {"tier": "go\nld"},
    }
    [other] = read(tmp_path, f"{HEADER}\n{ROW}\n".replace("gladly_conversation_closed", "order_completed"))
    assert other == Other("order_completed")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW + ",one,more", "another number of cells"),
        ("api-1,x", "another number of cells"),
        (ROW.replace(",c,", ",,"), "the row has no conversation_id"),
        ('"broken"x' + ROW, "it is not CSV"),
    ],
)
def test_a_row_that_cannot_be_read_costs_no_other(tmp_path, row, why):
    """It is named by its line."""
    found = read(tmp_path, f"{HEADER}\n{ROW}\n{row}\n{ROW}\n")
    assert sum(isinstance(line, Theirs) for line in found) == 2
    [(where, said)] = whys(found)
    assert where == "line 3"
    assert why in said


def test_what_stands_before_the_events_costs_no_event(tmp_path):
    """A line of a log, a header of another table."""
    found = read(tmp_path, "exported by somebody\nid,conversation_id\n" + json.dumps(EVENT) + "\n")
    assert isinstance(found[-1], Theirs)
    assert whys(found) == [
        ("line 1", "it is neither a JSON object nor the header of a table with the column conversation_id"),
        ("line 2", "the table has neither of the columns event and event_text"),
    ]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_a_line_without_an_end_takes_no_memory(tmp_path, pack):
    """It is passed over in pieces."""
    long = b'{"type": "' + b"x" * (3 * LONGEST_LINE) + b'"}\n'
    found = read(tmp_path, pack(json.dumps(EVENT).encode() + b"\n" + long + json.dumps(EVENT).encode()))
    assert sum(isinstance(line, Theirs) for line in found) == 2
    assert whys(found) == [("line 2", f"the line is longer than {LONGEST_LINE} bytes")]


def test_gzip_data_that_is_damaged_ends_its_file_alone(tmp_path):
    """What follows in other files is read."""
    folder = tmp_path / "folder"
    folder.mkdir()
    packed = gzip.compress(json.dumps(EVENT).encode() * 1)
    (folder / "a.gz").write_bytes(packed[:20] + b"\xff" * 9 + packed[29:])
    (folder / "b.gz").write_bytes(packed)
    (folder / ".hidden").write_bytes(b"{")
    (folder / "empty").write_bytes(b"")
    found = list(Input(files_of([str(folder)])).lines())
    assert [type(line) for line in found] == [Unreadable, Theirs]


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    """Root may read everything, so a folder's name with a file's meaning stands in for it."""
    with pytest.raises(BadInputError, match="does not exist"):
        files_of([str(tmp_path / "nowhere")])
    gone = tmp_path / "gone"
    gone.write_bytes(b"")
    given = Input(files_of([str(gone)]))
    gone.unlink()
    with pytest.raises(BadInputError, match="cannot be read"):
        list(given.lines())
