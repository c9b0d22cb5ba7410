"""A report has an unusual form, an odd time zone, missing parts, a delay or a limit (faults B4-B6)."""

from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault, Sandbox
from state.instants import to_text
from state.reader import Reader
from support.checker import problems
from support.installation import Installation
from support.worlds import DAY, NOON, live_for


@pytest.mark.parametrize("bom", [False, True], ids=["plain", "with a BOM"])
def test_any_csv_is_read_by_its_header(tmp_path, bom):
    """
    The reports have a BOM, CRLF, blank lines, quoted newlines, other columns, another order, or an empty day
    (faults B4).
    """
    with Sandbox(start=NOON, pace=0, lateness_s=0, requests_per_second=None, report_bom=bom) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        live_for(sandbox, 2 * DAY, 40)
        sandbox.clock.advance(3 * DAY)

        def rearranged(body: bytes) -> bytes:
            bare = body.removeprefix(b"\xef\xbb\xbf")
            if not bare.strip():
                return body
            import csv
            import io

            rows = list(csv.reader(io.StringIO(bare.decode())))
            out = io.StringIO()
            csv.writer(out, lineterminator="\r\n").writerows([["Extra, of\nnew", *row[::-1]] for row in rows])
            return body[: len(body) - len(bare)] + b"\r\n\r\n" + out.getvalue().encode() + b"\r\n"

        sandbox.faults.rewrite_report(rearranged)
        assert installation.run("once").returncode == 0
        assert problems(sandbox) == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"<html>Sign in</html>", "text/html", id="a page"),
        pytest.param(b'{"errors":[{"detail":"no"}]}', "application/json", id="JSON"),
        pytest.param(b"Conversation ID,Status\r\nx,OPEN\r\n", "text/csv", id="another report"),
    ],
)
def test_an_answer_that_is_not_a_report_is_an_error_and_not_an_empty_day(old_world, body, content_type):
    """The watermark stays and the message says so. The next cycle reads everything (faults B4)."""
    sandbox = old_world.sandbox
    live_for(sandbox, 3 * DAY, 20)
    sandbox.faults.add(
        "gladly", "/api/v1/reports", Fault(status=200, body=body, content_type=content_type, times=1)
    )
    done = old_world.run("once")
    assert done.returncode == 1
    assert "report" in done.stderr
    assert sandbox.inbox.received == []
    assert old_world.run("once").returncode == 0
    assert problems(sandbox) == []


def test_a_row_that_cannot_be_read_is_kept_and_passed_over(old_world):
    """
    The row goes to quarantine once, with its reason. The other rows are processed, and the poll is degraded
    (exit 0) (faults B4).
    """
    sandbox = old_world.sandbox
    live_for(sandbox, 3 * DAY, 20)

    def with_a_bad_row(body: bytes) -> bytes:
        if not body.strip():
            return body
        columns = body.split(b"\n", 1)[0].count(b",")
        return body.rstrip() + b"\r\nnot an instant" + b"," * columns + b"\r\n"

    sandbox.faults.rewrite_report(with_a_bad_row)
    assert old_world.run("once").returncode == 0
    assert problems(sandbox) == []
    with Reader(old_world.state_path) as reader:
        assert reader.quarantined() == 1
        assert reader.last_poll()["outcome"] == "degraded"


def test_the_report_is_asked_for_in_utc(old_world):
    """The organization is in Denver, and its clocks change. No day is lost or read twice (faults B5)."""
    sandbox = old_world.sandbox
    assert sandbox.gladly.organization_timezone == "America/Denver"
    sandbox.clock.set(datetime(2026, 11, 5, tzinfo=UTC))
    live_for(sandbox, 3 * DAY, 60)  # the night of 1 November is past
    old_world.run("watermark", "reset", "--to", "2026-11-05", "--yes")
    assert old_world.run("once").returncode == 0
    assert problems(sandbox, since=datetime(2026, 11, 5, tzinfo=UTC)) == []


def test_a_slow_report_is_waited_for(old_world):
    """Gladly makes the whole report before it sends the first byte (faults B6)."""
    sandbox = old_world.sandbox
    live_for(sandbox, 2 * DAY, 10)
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=4.0, times=1))
    assert old_world.run("once").returncode == 0
    assert problems(sandbox) == []


def test_at_most_ten_reports_a_minute(tmp_path):
    """
    Gladly limits reports itself. Later cycles repeat a refused request, and nothing is lost (faults B6).
    """
    with Sandbox(start=NOON, pace=0, lateness_s=0, requests_per_second=None, reports_per_minute=3) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        live_for(sandbox, 5 * DAY, 20)
        done = installation.run("once")
        assert done.returncode == 1
        assert "wait" in done.stderr or "429" in done.stderr
        with Reader(installation.state_path) as reader:
            assert reader.watermark()["position"] > to_text(NOON + timedelta(days=1))
        refused = [r for r in sandbox.gladly_requests if r.status == 429]
        assert len(refused) <= 2
