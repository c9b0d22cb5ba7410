"""Lines of the feed are not events (faults A8)."""

import pytest

from support.checker import problems
from support.state_file import quarantined, rows
from support.worlds import busy_minutes, one_conversation

_BAD_LINES = [
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"2026-11-0',
    b"{broken",
    b"\xff\xfe\xfd",
    b"[1,2]",
    b'"text"',
    b"17",
    b"null",
    b"{}",
    b'{"id":"x","type":"CONVERSATION/CREATED"}',
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"yesterday","content":{}}',
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"9999-12-31T23:59:59-09:00","content":{}}',
    b'{"id":"x","type":"CONVERSATION/CREATED","timestamp":"2026-11-02T12:00:00Z"}',
    b'{"id":"x","type":"CONVERSATION/CLOSED","timestamp":"2026-11-02T12:00:00Z","content":{"customerId":"c"}}',
    b'{"id":"x","type":"CUSTOMER/MERGED","timestamp":"2026-11-02T12:00:00Z","content":{}}',
    b'{"id":null,"type":"CONVERSATION/CREATED","timestamp":"2026-11-02T12:00:00Z","content":{}}',
]


def test_lines_that_are_not_events_are_kept_with_their_reason_and_passed_over(installation, sandbox):
    """
    A bad line does not stop the sync and is not lost. It degrades the poll that met it, and no other
    (faults A8).
    """
    busy_minutes(sandbox, 10)
    sandbox.faults.rewrite_feed(
        lambda lines: [*lines[:9], *(b + b"\n" for b in _BAD_LINES), *lines[9:]] if lines else []
    )
    done = installation.run("once")
    assert done.returncode == 0, done.stderr
    kept = quarantined(installation.state_path)
    assert [line.encode() for line, _ in kept if "\ufffd" not in line] == [
        line for line in _BAD_LINES if line.isascii()
    ]
    assert len(kept) == len(_BAD_LINES)
    assert all(reason for _, reason in kept)
    assert done.stderr.count("line.quarantined") == len(_BAD_LINES)
    assert problems(sandbox) == []
    assert installation.run("once").returncode == 0
    polls = rows(installation.state_path, "SELECT outcome FROM polls ORDER BY id")
    assert polls == [("degraded",), ("ok",)]
    assert len(quarantined(installation.state_path)) == len(_BAD_LINES)


@pytest.mark.parametrize("killed_at", ["commit.events:1", "commit.watermark:1", "transaction.commit:1"])
def test_the_watermark_never_passes_a_bad_line_that_is_not_stored(installation, sandbox, killed_at):
    """
    The quarantined row and the watermark are one transaction. A kill within the transaction leaves neither
    (faults A8).
    """
    one_conversation(sandbox)
    sandbox.faults.rewrite_feed(lambda lines: [b"{broken\n", *lines])
    installation.settings["GLADLY_SEGMENT_FAILPOINT"] = killed_at
    assert installation.run("once").returncode == -9
    assert rows(installation.state_path, "SELECT * FROM watermark") == []
    assert quarantined(installation.state_path) == []
    del installation.settings["GLADLY_SEGMENT_FAILPOINT"]
    assert installation.run("once").returncode == 0
    assert [line for line, _ in quarantined(installation.state_path)] == ["{broken"]
    assert len(rows(installation.state_path, "SELECT * FROM watermark")) == 1
