"""Faults B: a gap longer than the Events API reaches, and the report that fills it (semantics 3.5)."""

import json
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault, Sandbox
from state import Reader
from state.instants import to_text
from support.checker import problems, suppressed
from support.installation import Installation

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = 86_400


@pytest.fixture
def old_world(tmp_path):
    """A world whose clock stands still unless moved, with the program set up since half an hour."""
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        yield installation


def reports(sandbox: Sandbox) -> int:
    return sum(request.path == "/api/v1/reports" for request in sandbox.gladly_requests)


def live_for(sandbox: Sandbox, seconds: float, conversations: int) -> None:
    """Let *seconds* pass in which customers write in and are answered, evenly."""
    world = sandbox.world
    agent = world.add_agent('Sam, "the desk"\nDoe')  # a name that a CSV field must quote
    step = seconds / (conversations + 1)
    for number in range(conversations):
        sandbox.clock.advance(step)
        conversation = world.open_conversation(world.add_customer(f"Customer {number}"), agent=agent)
        if number % 3:
            world.close(conversation)
        if number % 6 == 5:
            world.reopen(conversation, at=sandbox.clock.now() + timedelta(seconds=20))
            world.close(conversation, at=sandbox.clock.now() + timedelta(seconds=40))
    sandbox.clock.advance(step)


@pytest.mark.parametrize(
    ("seconds", "least"),
    [
        pytest.param(25 * 3_600, 1, id="25 hours"),
        pytest.param(3 * DAY, 3, id="3 days"),
        pytest.param(9 * DAY, 8, id="9 days"),
    ],
)
def test_b1_a_gap_of_any_length_is_read_by_report_and_feed(old_world, seconds, least):
    """Whole UTC days by report up to the last 23 hours, then the Events API: none lost, none twice."""
    sandbox = old_world.sandbox
    live_for(sandbox, seconds, 60)
    done = old_world.run("once")
    assert done.returncode == 0, done.stderr
    assert problems(sandbox) == []
    assert least <= reports(sandbox) <= least + 2
    with Reader(old_world.state_path) as reader:
        overlap_behind = sandbox.clock.now().replace(microsecond=0) - timedelta(seconds=60)
        assert reader.watermark()["position"] == to_text(overlap_behind)
    before = len(sandbox.gladly_requests)
    assert old_world.run("once").returncode == 0
    assert len(sandbox.gladly_requests) == before + 1


def test_b1_nine_days_away_of_a_world_that_lived_on(tmp_path):
    """Eight days by report, one by feed, of a living world with merges and deletions: exactly right."""
    with Sandbox(
        seed=5, tempo=0.012, start=NOON, pace=0, requests_per_second=None, reports_per_minute=None
    ) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        sandbox.clock.advance(9 * DAY)
        done = installation.run("once", timeout=110)
        assert done.returncode == 0, done.stderr
        assert 8 <= reports(sandbox) <= 10
        sandbox.clock.advance(60)  # what was not visible yet
        assert installation.run("once").returncode == 0
        assert len(sandbox.inbox.received) > 500
        assert problems(sandbox, since=NOON) == []
        assert suppressed(sandbox, installation.events()) == []


def test_b2_the_same_transition_from_report_and_feed_is_one_event(old_world):
    """A resync by report over what the feed brought changes nothing and sends nothing."""
    sandbox = old_world.sandbox
    live_for(sandbox, 6 * 3_600, 30)
    assert old_world.run("once").returncode == 0
    events, sent = old_world.events(), len(sandbox.inbox.attempts)
    sandbox.clock.advance(2 * DAY)
    assert old_world.run("once").returncode == 0
    done = old_world.run("resync", "--since", "2026-11-20", "--until", "2026-11-22")
    assert done.returncode == 0, done.stderr
    assert "0 created and 0 closed" in done.stdout
    assert old_world.events() == events
    assert len(sandbox.inbox.attempts) == sent


def test_b3_what_the_report_does_not_hold_yet_comes_from_the_feed(tmp_path):
    """The report trails by hours: its watermark stops 23 hours back, and the Events API covers the rest."""
    with Sandbox(
        start=NOON, pace=0, lateness_s=0, requests_per_second=None, report_lateness_s=12 * 3_600
    ) as sandbox:
        installation = Installation(tmp_path, sandbox, {"GLADLY_SEGMENT_SYNC__RECONCILE": "off"})
        assert installation.run("once").returncode == 0
        live_for(sandbox, 30 * 3_600, 60)
        assert installation.run("once").returncode == 0
        assert problems(sandbox) == []


@pytest.mark.parametrize("bom", [False, True], ids=["plain", "with a BOM"])
def test_b4_any_csv_is_read_by_its_header(tmp_path, bom):
    """BOM, CRLF, blank lines, quoted newlines, other columns, another order, an empty day."""
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
def test_b4_what_is_no_report_is_an_error_and_not_an_empty_day(old_world, body, content_type):
    """The watermark stays, the message says so, and the next cycle reads everything."""
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


def test_b4_a_row_that_cannot_be_read_is_kept_and_passed_over(old_world):
    """Quarantined with its reason, once; the others go on, and the poll is degraded (exit 0)."""
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


def test_b5_the_report_is_asked_for_in_utc(old_world):
    """An organization of Denver, across its change of clocks: no day is lost or doubled."""
    sandbox = old_world.sandbox
    assert sandbox.gladly.organization_timezone == "America/Denver"
    sandbox.clock.set(datetime(2026, 11, 5, tzinfo=UTC))
    live_for(sandbox, 3 * DAY, 60)  # the night of 1 November lies before
    old_world.run("watermark", "reset", "--to", "2026-11-05", "--yes")
    assert old_world.run("once").returncode == 0
    assert problems(sandbox, since=datetime(2026, 11, 5, tzinfo=UTC)) == []


def test_b6_a_slow_report_is_waited_for(old_world):
    """Gladly makes a report before it sends a byte of it."""
    sandbox = old_world.sandbox
    live_for(sandbox, 2 * DAY, 10)
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=4.0, times=1))
    assert old_world.run("once").returncode == 0
    assert problems(sandbox) == []


def test_b6_a_catch_up_resumes_where_it_was_killed(old_world):
    """SIGKILL after some days: those are not asked for again, and nothing is lost or sent twice."""
    sandbox = old_world.sandbox
    live_for(sandbox, 8 * DAY, 80)
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.25, times=None))
    process = old_world.start("once")
    while reports(sandbox) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = reports(sandbox)
    sandbox.faults.clear()
    assert old_world.run("once").returncode == 0
    assert reports(sandbox) - before <= 6
    assert problems(sandbox) == []


def test_b6_at_most_ten_reports_a_minute(tmp_path):
    """Gladly's own limit for reports: a refusal is waited for by the next cycles, and nothing is lost."""
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


def test_b7_the_first_start_can_lie_long_ago(tmp_path):
    """`sync.start` of any age: the report from there, the feed to now."""
    with Sandbox(start=NOON, pace=0, lateness_s=0, requests_per_second=None) as sandbox:
        live_for(sandbox, 5 * DAY, 30)
        start = {"GLADLY_SEGMENT_SYNC__START": "2026-11-18", "GLADLY_SEGMENT_SYNC__RECONCILE": "off"}
        installation = Installation(tmp_path, sandbox, start)
        assert installation.run("once").returncode == 0
        assert problems(sandbox) == []


def test_b7_a_gap_that_nothing_can_fill_is_recorded_with_both_ends(old_world):
    """Days that the report refuses are passed over, and said: degraded, with both ends, in `status`."""
    sandbox = old_world.sandbox
    live_for(sandbox, 5 * DAY, 20)
    refusal = json.dumps({"errors": [{"attr": "startAt", "code": "invalid", "detail": "too long ago"}]})
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(status=400, body=refusal.encode(), times=2))
    assert old_world.run("once").returncode == 0
    assert problems(sandbox, since=NOON.replace(hour=0) + timedelta(days=2)) == []
    status = json.loads(old_world.run("status", "--json").stdout)
    assert status["last_poll"]["outcome"] == "degraded"
    assert [need["what"] for need in status["needs_attention"]] == ["gap", "gap"]
    assert "2026-11-21T00:00:00.000Z to 2026-11-22T00:00:00.000Z" in status["needs_attention"][1]["reason"]


def test_b8_transitions_within_one_poll_or_second_all_count(old_world):
    """Closes without a known opening, and close, reopen, close in one poll: each once, in order."""
    sandbox, world = old_world.sandbox, old_world.sandbox.world
    before = world.open_conversation(world.add_customer("Ana"), at=NOON - timedelta(days=2))
    sandbox.clock.advance(600)
    now = sandbox.clock.now()
    world.close(before, at=now - timedelta(seconds=500))
    for number, gap in enumerate((2, 60)):
        flapping = world.open_conversation(world.add_customer(f"B{number}"), at=now - timedelta(seconds=400))
        world.close(flapping, at=now - timedelta(seconds=300))
        world.reopen(flapping, at=now - timedelta(seconds=300 - gap / 2))
        world.close(flapping, at=now - timedelta(seconds=300 - gap))
    assert old_world.run("once").returncode == 0
    assert problems(sandbox, since=NOON) == []
    assert len(sandbox.inbox.received) == 1 + 3 + 3


def test_a_day_over_the_cap_is_asked_for_again_from_where_it_was_cut(old_world):
    """Rows in order: the rest of the day comes by a time zone whose midnight is at the cut."""
    from sync.gladly.client import GladlyClient
    from sync.gladly.limits import GladlyLimits
    from sync.gladly.report import Report
    from sync.stop import Stop

    sandbox = old_world.sandbox
    sandbox.gladly.report_row_cap = 60
    sandbox.gladly.report_shuffled = False
    live_for(sandbox, 4 * DAY, 300)
    client = GladlyClient(
        sandbox.gladly_url,
        sandbox.gladly.username,
        sandbox.gladly.api_token,
        requests_per_second=500,
        stop=Stop(),
        limits=GladlyLimits(report_whole_rows=60),
    )
    day = NOON.replace(hour=0) + timedelta(days=1)
    chunks = list(Report(client).between(day, day + timedelta(days=1, microseconds=-1)))
    client.close()
    found = {(c.conversation_id, c.type.name.lower()) for chunk in chunks for c in chunk.changes}
    expected = {
        (t.conversation_id, t.kind)
        for t in sandbox.world.truth()
        if day <= t.recorded_at < day + timedelta(days=1)
    }
    assert len(expected) > 60
    assert found == expected
    assert [line for chunk in chunks for line in chunk.bad_lines] == []


def test_a_day_over_the_cap_in_no_order_is_said_to_be_incomplete(old_world):
    """What cannot be made whole is never passed over in silence: the poll is degraded, and a line kept."""
    from sync.gladly.client import GladlyClient
    from sync.gladly.limits import GladlyLimits
    from sync.gladly.report import Report
    from sync.stop import Stop

    sandbox = old_world.sandbox
    sandbox.gladly.report_row_cap = 60
    live_for(sandbox, 4 * DAY, 300)
    client = GladlyClient(
        sandbox.gladly_url,
        sandbox.gladly.username,
        sandbox.gladly.api_token,
        requests_per_second=500,
        stop=Stop(),
        limits=GladlyLimits(report_whole_rows=60),
    )
    day = NOON.replace(hour=0) + timedelta(days=1)
    chunks = list(Report(client).between(day, day + timedelta(hours=23)))
    client.close()
    (line,) = [line for chunk in chunks for line in chunk.bad_lines]
    assert "2026-11-21 is cut at 60 rows" in line.reason


# resync


def test_a_resync_sends_what_was_missed_and_leaves_the_watermark(old_world):
    """Also for conversations already stored; twice gives nothing more; a dry run changes no byte."""
    sandbox = old_world.sandbox
    live_for(sandbox, 6 * DAY, 40)
    now = to_text(sandbox.clock.now())
    old_world.settings["GLADLY_SEGMENT_SYNC__START"] = now
    old_world.state_path.unlink()
    assert old_world.run("once").returncode == 0
    assert sandbox.inbox.received == []
    before = old_world.state_path.read_bytes()
    with Reader(old_world.state_path) as reader:
        watermark = reader.watermark()["position"]

    shown = old_world.run("resync", "--since", "2026-11-20T12:00Z", "--until", now, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert old_world.state_path.read_bytes() == before
    assert sandbox.inbox.received == []

    done = old_world.run("resync", "--since", "2026-11-20T12:00Z", "--until", now)
    assert done.returncode == 0, done.stderr
    assert problems(sandbox) == []
    assert {json.loads(line)["messageId"] for line in shown.stdout.splitlines()} == {
        event["messageId"] for event in sandbox.inbox.received
    }
    with Reader(old_world.state_path) as reader:
        assert reader.watermark()["position"] == watermark
    again = old_world.run("resync", "--since", "2026-11-20T12:00Z", "--until", now)
    assert "0 created and 0 closed" in again.stdout


def test_a_resync_goes_on_where_it_was_interrupted(old_world):
    """The days already read are not asked for again."""
    sandbox = old_world.sandbox
    live_for(sandbox, 8 * DAY, 60)
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.25, times=None))
    command = ("resync", "--since", "2026-11-20", "--until", "2026-11-28")
    process = old_world.start(*command)
    while reports(sandbox) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = reports(sandbox)
    sandbox.faults.clear()
    done = old_world.run(*command)
    assert done.returncode == 0, done.stderr
    assert reports(sandbox) - before <= 6
    assert old_world.run("once").returncode == 0
    assert problems(sandbox) == []


def test_a_daemon_goes_on_polling_beside_a_resync_and_a_second_resync_is_refused(old_world):
    """Two who write take turns; two resyncs do not."""
    sandbox = old_world.sandbox
    live_for(sandbox, 6 * DAY, 40)
    old_world.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "1s"
    daemon = old_world.start("run")
    try:
        sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=0.4, times=None))
        resync = old_world.start("resync", "--since", "2026-11-20", "--until", "2026-11-26")
        while reports(sandbox) < 2:
            time.sleep(0.02)
        second = old_world.run("resync", "--since", "2026-11-21", "--until", "2026-11-22")
        assert second.returncode == 4
        assert "resync" in second.stderr
        _, err = resync.communicate(timeout=60)
        assert resync.returncode == 0, err
        polls = sum(request.path == "/api/v1/events" for request in sandbox.gladly_requests)
        assert polls >= 3  # before, beside and after it
    finally:
        daemon.send_signal(signal.SIGTERM)
        _, err = daemon.communicate(timeout=15)
    assert daemon.returncode == 0, err
    assert problems(sandbox) == []


def test_a_resync_backwards_is_wrong_usage(old_world):
    """It says so and does nothing."""
    done = old_world.run("resync", "--since", "2026-11-22", "--until", "2026-11-21")
    assert done.returncode == 2
    assert "--since" in done.stderr


# The reconciler


def test_a_close_that_the_feed_never_showed_is_found_by_looking(installation, ago):
    """Open and quiet for long: compared with Gladly, and the close is sent, once."""
    sandbox, world = installation.sandbox, installation.sandbox.world
    conversation = world.open_conversation(world.add_customer("Ana"), at=ago(500))
    untouched = world.open_conversation(world.add_customer("Bea"), at=ago(400))
    installation.settings["GLADLY_SEGMENT_SYNC__RECONCILE"] = "1s"
    assert installation.run("once").returncode == 0
    world.close(conversation, at=ago(300), late_s=100_000)  # invisible in the feed
    time.sleep(1.1)
    done = installation.run("once")
    assert done.returncode == 0
    assert problems(sandbox) == []
    assert [e["transition"] for e in installation.events()] == ["created", "created", "closed"]
    with Reader(installation.state_path) as reader:
        assert reader.conversation_counts()["open"] == 1
    assert untouched.id in {e["conversation_id"] for e in installation.events()}
    assert '"differences":1' in done.stderr.replace(" ", "")
    time.sleep(1.1)
    installation.run("once")
    assert problems(sandbox) == []


def test_a_conversation_that_is_gone_is_found_too(installation, ago):
    """Merged away: it never closes. Deleted with its customer: nothing is kept of them."""
    world = installation.sandbox.world
    ana, bea, eve = (world.add_customer(name) for name in ("Ana", "Bea", "Eve"))
    merged = world.open_conversation(ana, at=ago(500))
    world.open_conversation(bea, at=ago(500))
    deleted = world.open_conversation(eve, at=ago(500))
    installation.settings["GLADLY_SEGMENT_SYNC__RECONCILE"] = "1s"
    assert installation.run("once").returncode == 0
    world.merge(ana, bea, at=ago(300), late_s=100_000)
    world.close(deleted, at=ago(300), late_s=100_000)
    world.delete(eve, at=ago(299), late_s=100_000)
    time.sleep(1.1)
    assert installation.run("once").returncode == 0
    query = "SELECT id, status FROM conversations ORDER BY status"
    shown = subprocess.run(
        ["sqlite3", installation.state_path, query], capture_output=True, text=True, check=True
    ).stdout
    assert f"{merged.id}|MERGED" in shown
    assert f"{deleted.id}|DELETED" in shown
    assert [e["payload"] for e in installation.events() if e["customer_id"] == eve.id] == [None]


def test_a_reconciliation_stays_within_its_budget(installation, ago):
    """And goes on with those longest unchecked."""
    from sync.audit.reconcile import BUDGET

    world = installation.sandbox.world
    for number in range(BUDGET + 20):
        world.open_conversation(world.add_customer(f"C{number}"), at=ago(300))
    installation.settings["GLADLY_SEGMENT_SYNC__RECONCILE"] = "1s"
    assert installation.run("once").returncode == 0
    time.sleep(1.1)
    for expected in (BUDGET, BUDGET):
        before = len(installation.sandbox.gladly_requests)
        assert installation.run("once").returncode == 0
        assert len(installation.sandbox.gladly_requests) - before == 1 + expected
        time.sleep(1.1)
