"""A past day is held against Gladly's report, and what Segment says of the day stands beside it."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault
from state.findings import AuditOutcome, DayReceipts
from sync.audit.audit import Audit
from sync.errors import RetryableError, StoppedError

TODAY = datetime.combine(datetime.now(UTC).date(), datetime.min.time(), UTC)
DAY = TODAY - timedelta(days=2)


def at(hours):
    """Return an instant of the day."""
    return DAY + timedelta(hours=hours)


@pytest.fixture
def followed(begin, sandbox):
    """A sync that has read the last three days, one in which a customer came back and one left."""
    world = sandbox.world
    ana, bea, cem = (world.add_customer(name, recorded=False) for name in ("Ana", "Bea", "Cem"))
    talk = world.open_conversation(ana, at=at(1))
    world.close(talk, at=at(2))
    world.reopen(talk, at=at(3))
    world.close(talk, at=at(4))
    world.open_conversation(bea, at=at(5))
    world.open_conversation(cem, at=at(6))
    world.merge(bea, cem, at=at(7))
    program = begin(SYNC__START="72h", SYNC__RECONCILE="off")
    assert program.run().errors == []
    return program


def audit_of(program, day=DAY):
    """Audit one day by hand."""
    (audited,) = program.pipeline.audit.run([day.date()])
    return audited.row


def with_receipts(program, receipts):
    """Return the program's audit with something that asks Segment."""
    parts = program.pipeline.audit
    return Audit(
        every=timedelta(days=1),
        gladly=parts._gladly,
        feed=parts._feed,
        record=parts._record,
        store=program.store,
        stop=program.stop,
        receipts=receipts,
    )


def test_what_is_known_is_not_missing(followed):
    """A close after a reopening, and a conversation that was merged away and never closes."""
    row = audit_of(followed)
    assert (row.reported, row.known, row.missing, row.outcome) == (5, 5, 0, AuditOutcome.COMPLETE)


def test_an_audit_writes_nothing_that_is_known(followed):
    """No row of `changes`, no watermark, no event: only the day's own row."""

    def written():
        names = ("changes", "events", "conversations", "seen_changes", "watermark", "customers")
        return {name: followed.store._db.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in names}

    before = written()
    audit_of(followed)
    assert written() == before


def test_a_reopening_and_a_merge_that_were_missed_are_taken_in_without_an_event(followed, sandbox):
    """They make no event as configured, so they are not counted. The conversations are as they should be."""
    world = sandbox.world
    dia, eli = (world.add_customer(name, recorded=False) for name in ("Dia", "Eli"))
    late, stays = (world.open_conversation(customer, at=at(8)) for customer in (dia, eli))
    assert audit_of(followed).missing == 2
    world.merge(dia, eli, at=at(9))
    assert audit_of(followed).missing == 2  # as before
    statuses = dict(followed.store._db.rows("SELECT id, status FROM conversations"))
    assert (statuses[late.id], statuses[stays.id]) == ("MERGED", "OPEN")


def test_the_edges_of_a_day_are_no_loss(followed, sandbox):
    """Changes of the first and the last millisecond, and closes of conversations of the day before."""
    world = sandbox.world
    for number, instant in enumerate((at(0), at(24) - timedelta(milliseconds=1))):
        world.open_conversation(world.add_customer(f"Edge {number}", recorded=False), at=instant)
    early = world.open_conversation(world.add_customer("Early", recorded=False), at=at(-1))
    world.close(early, at=at(1))
    assert audit_of(followed).missing == 3
    assert audit_of(followed, DAY).missing == 3
    assert followed.store._db.rows("SELECT count(*) FROM events WHERE conversation_id = ?", (early.id,)) == [
        (1,)
    ]


def test_what_segment_received_stands_beside_what_was_delivered(followed):
    """The audit asks after the comparison, once a day."""
    asked = []

    class Received:
        def of(self, day):
            asked.append(day)
            return DayReceipts(4, 1, "Segment dropped one.")

    (audited,) = with_receipts(followed, Received()).run([DAY.date()])
    assert asked == [DAY.date()]
    assert (audited.row.received, audited.row.dropped, audited.row.note) == (4, 1, "Segment dropped one.")
    assert audited.row.outcome is AuditOutcome.COMPLETE


def test_a_segment_that_does_not_answer_does_not_spoil_the_proof(followed):
    """The note says so."""

    class Away:
        def of(self, day):
            raise RetryableError("Segment is away.")

    (audited,) = with_receipts(followed, Away()).run([DAY.date()])
    assert (audited.row.outcome, audited.row.note) == (AuditOutcome.COMPLETE, "Segment is away.")


def test_gladly_is_not_asked_where_no_day_is_due(followed, sandbox):
    """Neither for its clock nor for a report."""
    list(followed.pipeline.audit.run_due(7))
    before = len(sandbox.gladly_requests)
    assert list(followed.pipeline.audit.run_due(7)) == []
    assert len(sandbox.gladly_requests) == before


def test_the_days_after_one_that_could_not_be_read_wait(followed, sandbox):
    """Gladly is down. It is not asked for one day after the other."""
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(400, times=None))
    (audited,) = followed.pipeline.audit.run_due(7)
    assert audited.error is not None
    assert "400" in str(audited.row.note)


def test_a_report_is_waited_for_without_the_turn(followed, sandbox):
    """A poll has its turn meanwhile. The stop ends the wait, and the day is left for the next audit."""
    sandbox.faults.add("gladly", "/api/v1/reports", Fault(delay_s=60))
    ended = []

    def run():
        try:
            list(followed.pipeline.audit.run_due(1))
        except StoppedError:
            ended.append("stopped")

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.2)
    began = time.monotonic()
    assert followed.run().errors == []
    assert time.monotonic() - began < 1.0
    assert thread.is_alive()
    followed.stop.set()
    thread.join(5)
    assert ended == ["stopped"]
    assert followed.store._db.rows("SELECT * FROM audits") == []


def test_seen_changes_are_the_polls_own(followed):
    """The audit does not touch what the overlap is recognised by."""
    before = followed.store.seen_changes()
    audit_of(followed)
    assert followed.store.seen_changes() == before


def test_half_of_the_reports_of_a_minute_are_left_to_the_polls(begin, sandbox, tuned):
    """The poll has read a gap just now. The audit waits for another time, and delays no cycle of `once`."""
    tuned(gladly={"reports_per_minute": 6})
    program = begin(SYNC__START="72h", SYNC__RECONCILE="off")
    program.run()
    before = len(sandbox.gladly_requests)
    assert list(program.pipeline.audit.run_due(7)) == []
    assert len(sandbox.gladly_requests) == before
    (audited,) = program.pipeline.audit.run([DAY.date()])  # a person has asked for it
    assert audited.row.outcome is AuditOutcome.COMPLETE
