"""What each answer of Gladly's means, and that a request to it keeps to the policy and the limits."""

import json

import pytest

from sandbox import Fault
from support.worlds import one_conversation
from sync.errors import (
    CredentialsRefusedError,
    NotFoundError,
    RetryableError,
    TooOldError,
    UnexpectedAnswerError,
)
from sync.gladly.limits import GladlyLimits
from sync.http.retry import RetryPolicy

ORGANIZATION, CONVERSATIONS, PROFILES = (
    "/api/v1/organization",
    "/api/v1/conversations/*",
    "/api/v1/customer-profiles/*",
)


def asked(client, path="/events"):
    with client.request("GET", path, deadline_s=5) as exchange:
        return exchange.body(1_000)


def errors(*entries):
    return json.dumps({"errors": entries}).encode()


def test_gladly_s_clock_is_its_own(client, sandbox):
    """Whole seconds, by the cheapest request there is."""
    assert client.clock() == sandbox.clock.now().replace(microsecond=0)
    assert [r.path for r in sandbox.gladly_requests] == [ORGANIZATION]


def test_a_conversation_and_its_profile_are_shown_as_they_are(client, sandbox):
    """By their ids."""
    id_ = one_conversation(sandbox)
    conversation = client.conversation(id_)
    assert (conversation.id, conversation.status) == (id_, "CLOSED")
    assert client.profile(conversation.customer_id).id == conversation.customer_id


def test_what_is_gone_is_none(client):
    """A person may delete anything; `.` and `..` are no ids, and no way to another path."""
    assert client.conversation("nobody") is None
    assert client.profile("nobody") is None
    assert client.agent("nobody") is None
    for id_ in (".", "..", "../agents"):
        assert client.conversation(id_) is None


def test_a_merged_customer_is_the_one_that_remains(client, sandbox):
    """However many merges there were."""
    first, second, third = (sandbox.world.add_customer(f"C {n}") for n in range(3))
    sandbox.world.merge(first, second)
    sandbox.world.merge(second, third)
    assert client.profile(first.id).id == third.id


def test_a_circle_of_merges_is_an_error(client_of, sandbox):
    """As is a chain that is longer than any."""
    moved = errors({"code": "moved", "meta": {"old": "a", "new": "b"}})
    back = errors({"code": "moved", "meta": {"old": "b", "new": "a"}})
    for body in (moved, back):
        sandbox.faults.add("gladly", PROFILES, Fault(301, body=body))
    with pytest.raises(UnexpectedAnswerError, match="customer a is merged in a circle"):
        client_of().profile("a")
    sandbox.faults.clear()
    chain = [errors({"code": "moved", "meta": {"new": f"c{n}"}}) for n in range(9)]
    for body in chain:
        sandbox.faults.add("gladly", PROFILES, Fault(301, body=body))
    with pytest.raises(UnexpectedAnswerError, match="in a circle"):
        client_of(limits=GladlyLimits(max_merges=3)).profile("a")


def test_names_without_a_name_are_left_out(client, sandbox):
    """Of agents and of topics."""
    sam, topic = sandbox.world.add_agent("Sam Doe"), sandbox.world.add_topic("Returns")
    nameless = sandbox.world.add_agent("")
    assert client.agents()[sam.id] == "Sam Doe"
    assert nameless.id not in client.agents()
    assert (client.agent(sam.id), client.agent(nameless.id)) == ("Sam Doe", None)
    assert client.topics() == {topic.id: "Returns"}


@pytest.mark.parametrize(
    ("fault", "path", "error", "says"),
    [
        (Fault(401), "/events", CredentialsRefusedError, r"refused the API token \(401\)\. Check"),
        (Fault(403), "/events", CredentialsRefusedError, "lacks the API User permission"),
        (Fault(408), "/events", RetryableError, r"answered 408 \(an error of its own\) to /events"),
        (Fault(429), "/events", RetryableError, r"answered 429 \(too many requests\)"),
        (Fault(500), "/events", RetryableError, "answered 500"),
        (Fault(404), "/conversations/x", NotFoundError, "no /conversations/x"),
        (Fault(404), "/events", UnexpectedAnswerError, "there is no such organization"),
        (Fault(400, body=errors({"attr": "startAt"})), "/events", TooOldError, "24 hours"),
        (
            Fault(400, body=errors({"attr": "x", "detail": "no x"}, {"detail": "nor y"})),
            "/events",
            UnexpectedAnswerError,
            "answered 400 to /events: no x; nor y",
        ),
        (
            Fault(400, body=b'{"errors":{"detail":"alone"}}'),
            "/events",
            UnexpectedAnswerError,
            "answered 400 to /events: alone",
        ),
        (Fault(400, body=b"<html>"), "/events", UnexpectedAnswerError, "no reason given"),
        (Fault(302), "/events", UnexpectedAnswerError, "which is never followed"),
        (Fault(301), "/conversations/x", UnexpectedAnswerError, "which is never followed"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else "",
)
def test_a_status_is_an_error_that_says_what_to_do(client, sandbox, fault, path, error, says):
    """Made once: whoever asks decides whether it is made again."""
    sandbox.faults.add("gladly", "*", fault)
    with pytest.raises(error, match=says):
        asked(client, path)
    assert len(sandbox.gladly_requests) == 1


def test_the_wait_that_gladly_asks_for_holds_all_requests_back_and_is_capped(client_of, sandbox):
    """By the retry policy; a 429 that asks for nothing is worth the limits' own wait."""
    policy = RetryPolicy(max_attempts=1, patience_s=0.1, longest_retry_after_s=60.0)
    client = client_of(retry=policy)
    sandbox.faults.add("gladly", "*", Fault(429, {"Retry-After": "10000"}))
    with pytest.raises(RetryableError) as raised:
        asked(client)
    assert raised.value.retry_after_s == 60.0
    with pytest.raises(RetryableError, match="asks to wait 60 s more"):
        asked(client)
    assert len(sandbox.gladly_requests) == 1
    other = client_of(retry=policy, limits=GladlyLimits(default_hold_s=30.0))
    sandbox.faults.add("gladly", "*", Fault(429))
    with pytest.raises(RetryableError):
        asked(other)
    with pytest.raises(RetryableError, match="asks to wait 30 s more"):
        asked(other)


def test_a_failed_request_is_made_again_as_the_policy_says(client_of, sandbox):
    """Also one whose body cannot be read: it was cut, or is somebody else's."""
    sandbox.faults.add("gladly", ORGANIZATION, Fault(503, times=2))
    assert client_of(retry=RetryPolicy(max_attempts=3, first_backoff_s=0.01)).clock()
    assert [r.status for r in sandbox.gladly_requests] == [503, 503, 200]
    sandbox.faults.add("gladly", "/api/v1/agents", Fault(200, body=b'[{"id":'))
    assert client_of(retry=RetryPolicy(max_attempts=2, first_backoff_s=0.01)).agents() == {}


def test_a_body_longer_than_any_answer_is_refused(client_of, sandbox):
    """By the limits (faults A11)."""
    for n in range(50):
        sandbox.world.add_agent(f"Agent {n}")
    with pytest.raises(RetryableError, match="sent over 1000 bytes"):
        client_of(limits=GladlyLimits(body_max_bytes=1_000)).agents()


def test_a_request_ends_at_the_deadline_of_the_limits(client_of, sandbox):
    """Its body included (faults A20)."""
    sandbox.faults.add("gladly", ORGANIZATION, Fault(delay_s=5))
    with pytest.raises(RetryableError, match="in time"):
        client_of(limits=GladlyLimits(request_deadline_s=0.3)).clock()
