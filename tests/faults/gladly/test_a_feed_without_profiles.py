"""Gladly does not know the entity CUSTOMER_PROFILE, which is a recent one (semantics 3.8)."""

import pytest

from support.checker import problems
from support.endpoints import EVENTS
from support.proxy import Proxy
from support.proxy_actions import answer
from support.worlds import busy_minutes
from sync.errors import UnexpectedAnswerError

JSON = {"Content-Type": "application/json"}

REFUSALS = [
    pytest.param(
        b'{"errors":[{"attr":"entities","code":"invalid","detail":"is not included in the list"}]}',
        id="by the parameter's name",
    ),
    pytest.param(b'{"errors":{"attr":"entities[2]","code":"invalid"}}', id="one error, not in a list"),
    pytest.param(
        b'{"errors":[{"code":"invalid","detail":"unknown entity CUSTOMER_PROFILE"}]}',
        id="by the entity's name",
    ),
]


def refusing(body):
    """Answer 400 to the entity, and pass every other request on."""

    def action(exchange):
        if "CUSTOMER_PROFILE" in exchange.request.query:
            return answer(400, JSON, body)(exchange)
        return exchange.send(exchange.forward())

    return action


@pytest.mark.parametrize("body", REFUSALS)
def test_the_feed_is_asked_without_the_entity(begin, sandbox, body):
    """It is asked for once. No profile is kept, since the feed no longer says which are out of date."""
    world = sandbox.world
    busy_minutes(sandbox, 3)
    customer = world.add_customer("Before", recorded=False)
    world.open_conversation(customer)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, refusing(body))
        program = begin(gladly=proxy.url)
        assert program.run().errors == []
        sandbox.clock.advance(30)
        world.update_profile(customer, name="After")
        sandbox.clock.advance(1)
        world.close(next(iter(c for c in world.conversations.values() if c.customer_id == customer.id)))
        for _ in range(2):
            assert program.run().errors == []
        queries = [target for _, target in proxy.seen if "/events" in target]
    assert ["CUSTOMER_PROFILE" in query for query in queries] == [True, False, False, False]
    assert problems(sandbox) == []
    names = [e["properties"]["customerName"] for e in sandbox.inbox.received if e["userId"] == customer.id]
    assert names == ["Before", "After"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors":[{"attr":"endAt","code":"invalid","detail":"must be after startAt"}]}',
        b'{"errors":[{"detail":"no"}]}',
        b"",
    ],
)
def test_another_refusal_is_an_error(begin, sandbox, body):
    """The watermark stays."""
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, answer(400, JSON, body))
        program = begin(gladly=proxy.url)
        assert isinstance(program.run().gladly_error, UnexpectedAnswerError)


def test_a_feed_that_refuses_every_entity_is_an_error(begin, sandbox):
    """It is asked twice, and no more."""
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, answer(400, JSON, b'{"errors":[{"attr":"entities","detail":"no"}]}'))
        program = begin(gladly=proxy.url)
        assert isinstance(program.run().gladly_error, UnexpectedAnswerError)
        assert len([target for _, target in proxy.seen if "/events" in target]) == 2


def test_check_says_so(installation, sandbox):
    """And nothing of it where Gladly knows the entity."""
    assert "CUSTOMER_PROFILE" not in installation.run("check").stdout
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, refusing(b'{"errors":[{"attr":"entities","code":"invalid"}]}'))
        installation.settings["GLADLY_SEGMENT_GLADLY__BASE_URL"] = proxy.url
        checked = installation.run("check")
    assert checked.returncode == 0, checked.stdout
    assert "CUSTOMER_PROFILE" in checked.stdout
