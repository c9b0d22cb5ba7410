"""Texts are found in the bytes of the state file and of its log, wherever and however they stand there."""

import pytest

from state.search import count_in_files


def test_a_text_is_found_in_the_file_and_in_its_log(tmp_path):
    """While the writer is at work it may stand in the log alone."""
    path = tmp_path / "state.db"
    path.write_bytes(b"..wren@example.com..wren@example.com")
    path.with_name("state.db-wal").write_bytes(b"wren@example.com")
    assert count_in_files(path, ["wren@example.com", "nobody"]) == {"wren@example.com": 3, "nobody": 0}


def test_as_json_writes_it_too(tmp_path):
    """With escaped quotes, and with or without escaped letters."""
    path = tmp_path / "state.db"
    path.write_bytes('Zoë "Z" Quinn|Zoë \\"Z\\" Quinn|Zo\\u00eb \\"Z\\" Quinn'.encode())
    assert count_in_files(path, ['Zoë "Z" Quinn']) == {'Zoë "Z" Quinn': 3}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 16])
def test_each_place_counts_once_wherever_the_file_is_divided(tmp_path, size):
    """A text may lie across two parts, or at the end of one."""
    path = tmp_path / "state.db"
    path.write_bytes(b"abcd__abcd_abcdabcd__a")
    assert count_in_files(path, ["abcd", "_a"], part_bytes=size) == {"abcd": 4, "_a": 3}
