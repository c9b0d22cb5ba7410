"""The quarantine: lines that could not be read are kept once, for a person to see."""

from state.reader import Reader
from state.records import (
    QUARANTINED_LINE_BYTES,
    BadLine,
)
from support.state_samples import (
    commit,
    query,
)


def test_a_line_that_could_not_be_read_is_kept_once(path, store):
    """The overlap is read twice; the same line of the same source is the same row."""
    line, again = BadLine("events", "not JSON", b"{oops"), BadLine("report", "not JSON", b"{oops")
    commit(store, bad_lines=[line])
    assert store.quarantine.known_bad_lines([line, again]) == {line.id}
    commit(store, bad_lines=[line, again])
    assert query(path, "SELECT source FROM quarantine ORDER BY source") == [("events",), ("report",)]


def test_a_line_is_kept_cut_at_4_kb(path, store):
    """A line of a megabyte does not fill the file (interface 4)."""
    commit(store, bad_lines=[BadLine("events", "not JSON", b"x" * 1_000_000)])
    assert query(path, "SELECT length(line) FROM quarantine") == [(QUARANTINED_LINE_BYTES,)]
    assert QUARANTINED_LINE_BYTES == 4_096


def test_a_line_of_any_bytes_can_be_kept(path, store):
    """NUL, broken UTF-8 and a cut in the middle of a character are no obstacle to keeping a line."""
    commit(store, bad_lines=[BadLine("events", "not UTF-8", b"\x00\xff\xfe " + "é".encode() * 3_000)])
    with Reader(path) as reader:
        assert reader.quarantined() == 1


def test_the_lines_that_name_somebody_are_erased(path, store):
    """For a person who asks to be forgotten; ids and reasons stay, and so do the lines of others."""
    lines = [
        BadLine("events", "not JSON", text)
        for text in (b'{"id": "ana",', b'{"id": "ben",', b"wren@example.com")
    ]
    commit(store, bad_lines=lines)
    assert store.quarantine.erase_lines(["ana", "wren@example.com"]) == 2
    assert query(path, "SELECT line FROM quarantine WHERE line IS NOT NULL") == [('{"id": "ben",',)]
    assert query(path, "SELECT count(*) FROM quarantine WHERE reason = 'not JSON'") == [(3,)]
    assert store.quarantine.erase_lines([]) == 0
