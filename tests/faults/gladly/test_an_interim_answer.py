"""Gladly sends interim answers before the real one (faults H1.3)."""

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import EVENTS, PROFILES
from support.proxy import Proxy
from support.worlds import busy_minutes

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UNKNOWN = b"HTTP/1.1 199 Miscellaneous\r\nContent-Length: 20\r\n\r\n"


def _after(interim, seconds):
    """Send *interim*, and the real answer *seconds* later."""

    def action(exchange):
        answer = exchange.forward()
        exchange.sock.sendall(interim)
        exchange.pause(seconds)
        return exchange.send(answer)

    return action


@pytest.mark.parametrize(
    ("interim", "seconds"),
    [
        pytest.param(PROCESSING, 0.3, id="102"),
        pytest.param(HINT, 0.3, id="103"),
        pytest.param(HINT, 0.0, id="103 in one go"),
        pytest.param(UNKNOWN, 0.1, id="a kind nobody knows, which claims a body"),
        pytest.param(CONTINUE + PROCESSING * 3 + HINT, 0.1, id="several"),
    ],
)
@pytest.mark.parametrize("path", [EVENTS, PROFILES])
def test_an_interim_answer_is_read_past(begin, sandbox, path, interim, seconds):
    """Only the final answer is the answer, and no request is given another one's answer (faults H1.3)."""
    busy_minutes(sandbox, 3)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(path, _after(interim, seconds), times=2)
        program = begin(gladly=proxy.url)
        assert program.run().errors == []
        assert program.run().errors == []
        asked = [target.partition("?")[0] for _, target in proxy.seen]
    assert len(asked) == len(list(sandbox.gladly_requests)), "nothing had to be asked for twice"
    assert problems(sandbox) == []
    assert {e["properties"]["customerName"] for e in sandbox.inbox.received} == {
        f"Customer {n}" for n in range(3)
    }


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", id="101"),
        pytest.param(HINT + b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", id="101 after 103"),
    ],
)
def test_another_protocol_is_an_error_and_its_connection_is_not_used_again(begin, sandbox, impatient, head):
    """What follows on such a connection is no answer to anything (faults H1.3)."""
    busy_minutes(sandbox, 2)

    def switch(exchange):
        exchange.sock.sendall(head)
        exchange.pause(0.2)
        return exchange.send(exchange.forward())

    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, switch, times=1)
        program = begin(gladly=proxy.url)
        assert program.run().errors == []
    assert problems(sandbox) == []


def test_an_answer_that_is_not_read_to_its_end_takes_its_connection_with_it(begin, sandbox, impatient):
    """A refusal with a long body is followed by whole answers on other connections (faults H1.3)."""
    busy_minutes(sandbox, 2)
    body = b'{"errors":[]}' + b" " * 1_100_000
    sandbox.faults.add("gladly", EVENTS, Fault(400, body=body, times=1))
    assert begin().run().errors == []
    assert problems(sandbox) == []
