"""A report has an unusual form, an odd time zone, missing parts, a delay or a limit (faults B4-B6)."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault, Sandbox
from state.instants import from_text, to_text
from state.reader import Reader
from support.checker import problems
from support.installation import Installation
from support.state_file import rows as rows_in
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


def quarantined(program):
    """Return the reasons of what is in quarantine."""
    return [reason for (reason,) in rows_in(program.path, "SELECT reason FROM quarantine")]


def of_rows(change):
    """Return a rewriting of reports: *change* takes the header and the rows, each with its line end."""

    def rewrite(body: bytes) -> bytes:
        if not body.strip():
            return body
        header, *rows = body.splitlines(keepends=True)
        return b"".join(change(header, rows))

    return rewrite


def local(header, rows):
    return [header, *(re.sub(rb"(\d)T(\S+)Z,", rb"\1 \2,", row, count=1) for row in rows)]


def lower(header, rows):
    times = (re.sub(rb"(\d)T(\S+)Z,", rb"\1t\2z,", row, count=1) for row in rows)
    return [header, *(re.sub(rb",[A-Z_]+/[A-Z_]+,", lambda m: m[0].lower(), row, count=1) for row in times)]


def beside(seconds):
    """Shift every instant."""

    def change(header, rows):
        place = header.split(b",").index(b"Timestamp")
        for number, row in enumerate(rows):
            cells = row.split(b",")
            at = from_text(cells[place].decode()) + timedelta(seconds=seconds)
            rows[number] = b",".join([*cells[:place], to_text(at).encode(), *cells[place + 1 :]])
        return [header, *rows]

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lower, id="types, t and z in lower case"),
        pytest.param(lambda header, rows: [header.replace(b" ", b"_"), *rows], id="columns with _"),
        pytest.param(lambda header, rows: [header.lower().replace(b" ", b"-"), *rows], id="columns with -"),
        pytest.param(lambda header, rows: [header, *(r.replace(b"Z,", b" UTC,", 1) for r in rows)], id="UTC"),
        pytest.param(local, id="times without an offset, and a Timezone Filter of UTC"),
        pytest.param(lambda header, rows: [header, *rows, b"Total: 20\n"], id="a trailer row"),
        pytest.param(lambda header, rows: [header, *rows, b"Total: 20"], id="a trailer row without an end"),
        pytest.param(lambda header, rows: [header, *rows, b"\n \n,,,\n\0\0\0\0"], id="blanks and NULs"),
    ],
)
def test_a_report_spelled_otherwise_is_read(old_program, change):
    """What means the same is read the same, and no line is put aside (faults H1.7, H1.9)."""
    sandbox = old_program.sandbox
    live_for(sandbox, 3 * DAY, 20)
    sandbox.faults.rewrite_report(of_rows(change))
    assert old_program.run().errors == []
    assert problems(sandbox) == []
    assert quarantined(old_program) == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param(
            lambda header, rows: [header.replace(b"Assigned Agent Name", b"Customer ID"), *rows],
            "a column twice",
            id="a column twice",
        ),
        pytest.param(
            lambda header, rows: [header, *(row.replace(b"UTC", b"America/Denver", 1) for row in rows)],
            "of the time zone 'America/Denver'",
            id="another zone",
        ),
        pytest.param(
            lambda header, rows: [header, *(row.replace(b"2026-11-", b"11/", 1) for row in rows)],
            "None of the",
            id="US dates",
        ),
        pytest.param(
            lambda header, rows: local(header, [row.replace(b"UTC", b"", 1) for row in rows]),
            "None of the",
            id="local times of no zone",
        ),
    ],
)
def test_what_would_have_to_be_guessed_is_an_error(old_program, change, why):
    """The watermark stays, the message says why, and nothing is lost in the end (faults H1.6, H1.7)."""
    sandbox, before = old_program.sandbox, old_program.watermark
    live_for(sandbox, 3 * DAY, 20)
    sandbox.faults.rewrite_report(of_rows(change))
    (error,) = old_program.run().errors
    assert why in str(error)
    assert old_program.watermark == before
    sandbox.faults.rewrite_report(None)
    assert old_program.run().errors == []
    assert problems(sandbox) == []


def test_a_day_of_unknown_types_is_degraded(old_program):
    """Nothing in it means anything here, which no day of Gladly's does (faults H1.7)."""
    sandbox = old_program.sandbox
    live_for(sandbox, 3 * DAY, 20)
    sandbox.faults.rewrite_report(
        of_rows(lambda header, rows: [header, *(re.sub(rb"[A-Z_]+/", b"THREAD/", row) for row in rows)])
    )
    report = old_program.run()
    assert (report.errors, report.poll.outcome) == ([], "degraded")
    assert quarantined(old_program)
    assert all("has a type that is known" in reason for reason in quarantined(old_program))


@pytest.mark.parametrize("place", [0, 3, -1], ids=["first", "fourth", "last"])
@pytest.mark.parametrize("stray", [b',"', b'"'], ids=["in a field", "at the beginning"])
def test_a_stray_quote_in_a_report_swallows_no_rows_and_is_said(old_program, place, stray):
    """
    The row that has it is put aside, the rows behind it are read, and `needs_attention` names the day as one
    that may be incomplete. The watermark goes on (faults H1.8).
    """
    sandbox = old_program.sandbox
    live_for(sandbox, 3 * DAY, 40)

    def change(header, rows):
        plain = [n for n, row in enumerate(rows) if b'"' not in row and row.count(b",") == header.count(b",")]
        at = plain[place]
        broken = rows[at].replace(b",", stray, 1) if stray != b'"' else stray + rows[at]
        return [header, *rows[:at], broken, *rows[at:]]  # the row itself as well: nothing else is missing

    sandbox.faults.rewrite_report(of_rows(change))
    assert old_program.run().errors == []
    assert problems(sandbox) == []
    with Reader(old_program.path) as reader:
        whats = [row["what"] for row in reader.needs_attention()]
    # The sandbox's world is days behind this machine's clock.
    assert set(whats) - {"gap clock"} == {"gap", "unreadable line"}
    assert len(quarantined(old_program)) == 2 * whats.count("gap")


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(lambda body: body[: body.index(b"\n", len(body) // 2) + 1], id="at a row's end"),
        pytest.param(lambda body: body[: len(body) // 2], id="in a row"),
        pytest.param(lambda body: body[: body.index(b"\n") + 1], id="after the header"),
    ],
)
@pytest.mark.parametrize("always_untold", [False, True], ids=["once", "no report tells its end"])
def test_a_report_that_does_not_tell_its_end_is_asked_for_again(old_program_by, cut, always_untold):
    """
    Without a length and without chunks, a cut looks like an end. What comes twice the same is believed
    (faults H1.9).
    """
    answered = []

    def untold(exchange):
        body = exchange.forward().body
        answered.append(body)
        is_cut = len(answered) == 1 and body.strip()
        exchange.send_head(200, "OK", [("Content-Type", "text/csv"), ("Connection", "close")])
        exchange.sock.sendall(cut(body) if is_cut else body)

    program, proxy = old_program_by
    live_for(program.sandbox, 3 * DAY, 30)
    proxy.on("/api/v1/reports", untold, times=None if always_untold else 1)
    assert program.run().errors == []
    assert problems(program.sandbox) == []
    assert quarantined(program) == []


def test_a_refusal_of_a_day_is_asked_again_before_it_is_a_gap(old_program):
    """A 400 for `startAt`, once, and the day is read after all (faults H1.9)."""
    sandbox = old_program.sandbox
    live_for(sandbox, 3 * DAY, 20)
    refusal = b'{"errors": [{"attr": "startAt", "code": "invalid", "detail": "too long ago"}]}'
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(status=400, body=refusal))
    assert old_program.run().errors == []
    assert problems(sandbox) == []
    assert quarantined(old_program) == []


@pytest.mark.parametrize("seconds", [-2, -1, 1, 2])
def test_the_reports_instants_a_second_or_two_beside_the_feeds_make_no_second_event(old_program, seconds):
    """A conversation was closed and reopened within seconds, and is read again (faults H1.21)."""
    sandbox = old_program.sandbox
    world = sandbox.world
    conversation = world.open_conversation(world.add_customer("Ana"))
    sandbox.clock.advance(60)
    for happens in (world.close, world.reopen, world.close, world.reopen):
        happens(conversation)
        sandbox.clock.advance(1.5)
    assert old_program.run().errors == []
    before = old_program.events()
    assert len(before) == 3
    sandbox.clock.advance(3 * DAY)
    sandbox.faults.rewrite_report(of_rows(beside(seconds)))
    old_program.store.reset_watermark(NOON)
    assert old_program.run().errors == []
    assert old_program.events() == before
    assert old_program.store.conversations([conversation.id])[conversation.id].status.is_open
