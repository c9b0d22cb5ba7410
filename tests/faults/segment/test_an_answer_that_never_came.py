"""Nobody knows whether a batch arrived (faults D1, D2)."""

import pytest

from support.checker import problems, sent_twice
from support.endpoints import BATCH
from support.proxy_actions import cut, drip, hang_up, stall, swallow, wrong_length
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


def test_a_batch_that_arrived_but_was_not_acknowledged_is_sent_again_byte_for_byte(
    begin, sandbox, proxy, impatient, tuned
):
    """The messageIds are the same, so that Segment keeps one of the two (faults D1)."""
    tuned(segment={"request_deadline_s": 0.4})
    busy_minutes(sandbox, 5)
    proxy.on(BATCH, swallow("never"), times=2)
    program = begin(segment=proxy.url)
    assert program.run().errors == []
    again = sent_twice(sandbox.inbox)
    assert len(again) == 10
    assert all(len(came) == 3 and len(set(came)) == 1 for came in again.values())
    assert program.statuses() == {"delivered"}
    assert problems(sandbox) == []


def test_the_same_bytes_also_come_from_the_next_process(begin, sandbox, proxy, tuned):
    """An event is pending until Segment has answered, whichever process sends it (faults D1)."""
    tuned(retry={"max_attempts": 1})
    busy_minutes(sandbox, 2)
    proxy.on(BATCH, swallow("reset"), times=1)
    program = begin(segment=proxy.url)
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert "Segment could not be reached" in str(error)
    assert [(e["status"], e["attempts"]) for e in program.events()] == [("pending", 1)] * 4
    program.restart()
    assert program.run().errors == []
    assert [(e["status"], e["attempts"]) for e in program.events()] == [("delivered", 2)] * 4
    assert all(len(set(came)) == 1 for came in sent_twice(sandbox.inbox).values())
    assert problems(sandbox) == []


def _slow_close(exchange):
    exchange.send_head(200, "OK", [("Connection", "close")])
    exchange.sock.sendall(exchange.forward().body)
    exchange.pause(0.2)


@pytest.mark.parametrize(
    ("fault", "repeats"),
    [
        pytest.param(hang_up(0), False, id="reset before the body"),
        pytest.param(hang_up(0, "close"), False, id="closed before the body"),
        pytest.param(hang_up(100), False, id="reset in the body"),
        pytest.param(hang_up(100, "close"), False, id="closed in the body"),
        pytest.param(swallow("reset"), True, id="reset after the body"),
        pytest.param(swallow("close"), True, id="closed after the body"),
        pytest.param(cut(5), True, id="the answer cut by a close"),
        pytest.param(cut(5, "reset"), True, id="the answer cut by a reset"),
        pytest.param(cut(5, framing="chunked"), True, id="the answer in chunks, cut"),
        pytest.param(stall(0.1, "after", "reset"), True, id="reset after the answer's head"),
        pytest.param(wrong_length(+10), True, id="the answer shorter than it says"),
        pytest.param(drip(bytes_per_s=200), False, id="a slow answer"),
        pytest.param(_slow_close, False, id="a slow close"),
    ],
)
def test_a_connection_that_breaks_anywhere_costs_no_event(begin, sandbox, proxy, impatient, fault, repeats):
    """The sync connects again within the cycle, and sends the same bytes (faults D2)."""
    busy_minutes(sandbox, 20)
    proxy.on(BATCH, fault, times=1)
    program = begin(segment=proxy.url)
    result = program.run()
    assert result.errors == []
    assert result.poll.delivered == 40
    again = sent_twice(sandbox.inbox)
    assert len(again) == (40 if repeats else 0)
    assert all(len(set(came)) == 1 for came in again.values())
    assert problems(sandbox) == []
