"""What is sent again is what was stored, or is derived again with the same bytes (faults D8)."""

from datetime import timedelta

from sandbox import Fault
from support.checker import problems, sent_twice
from support.endpoints import BATCH
from support.outbox_samples import fill_outbox
from support.worlds import busy_minutes


def test_what_an_earlier_release_stored_goes_out_byte_for_byte(begin, sandbox):
    """This also holds where this release would write the event differently (faults D8)."""
    program = begin()
    old = b'{ "messageId" : "message-0", "event":"Gladly Conversation Created","type":"track",' + (
        b'"userId":"\\u0061", "timestamp": "2026-11-02T12:00:00Z" ,"properties":{"old":1.50} }'
    )
    fill_outbox(program.store, [old], sandbox.clock.now())
    sandbox.faults.add("segment", BATCH, Fault(503, taken=True))
    assert program.run().errors == []
    assert [a.raw for a in sandbox.inbox.attempts] == [old, old]


def test_a_transition_read_again_after_its_payload_was_erased_is_not_sent_again(begin, sandbox):
    """
    The id of a sent event is known long after its content was erased. A reset of the watermark sends nothing
    twice (faults D8).
    """
    busy_minutes(sandbox, 5)
    program = begin()
    program.run()
    assert (
        program.store.erasure.erase_old_payloads(sandbox.clock.now() + timedelta(days=1), sandbox.clock.now())
        == 10
    )
    before = program.events()
    program.store.reset_watermark(sandbox.clock.now() - timedelta(minutes=10))
    program.restart()
    assert program.run().poll.changes == 10
    assert program.events() == before
    assert {e["payload"] for e in before} == {None}
    assert len(sandbox.inbox.attempts) == 10
    assert problems(sandbox) == []


def test_the_same_transitions_have_the_same_message_ids_in_an_empty_store(begin, sandbox):
    """
    Without its state file the sync repeats events, and Segment drops the repeats. One messageId has one
    content (faults D8).
    """
    busy_minutes(sandbox, 5)
    program = begin()
    program.run()
    program.lose_the_state_file()
    program.restart()
    program.run()
    assert len(sandbox.inbox.attempts) == 20
    assert all(len(set(came)) == 1 for came in sent_twice(sandbox.inbox).values())
    assert problems(sandbox) == []
