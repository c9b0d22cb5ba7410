"""Single objects and lists: each request is made once, and each answer judged once (semantics 2.5)."""

import json

import pytest

from sandbox import Fault
from support.endpoints import CONVERSATIONS, PROFILES
from support.worlds import one_conversation
from sync.errors import CredentialsRefusedError, RetryableError, UnexpectedAnswerError
from sync.gladly.limits import GladlyLimits
from sync.gladly.objects.objects_api import ObjectsApi


@pytest.fixture
def api(client):
    return ObjectsApi(client)


def errors(*entries):
    return json.dumps({"errors": entries}).encode()


def test_a_conversation_and_its_profile_are_shown_as_they_are(api, sandbox):
    """By their ids."""
    id_ = one_conversation(sandbox)
    conversation = api.conversation(id_).conversation
    assert (conversation.id, conversation.status) == (id_, "CLOSED")
    assert api.profile(conversation.customer_id).profile.id == conversation.customer_id


def test_what_is_gone_is_none(api):
    """A person may delete anything; `.` and `..` are no ids, and no way to another path."""
    assert api.conversation("nobody") is None
    assert api.profile("nobody") is None
    assert api.agent("nobody") is None
    for id_ in (".", "..", "../agents"):
        assert api.conversation(id_) is None


def test_a_merged_customer_is_the_one_that_remains(api, sandbox):
    """However many merges there were."""
    first, second, third = (sandbox.world.add_customer(f"C {n}") for n in range(3))
    sandbox.world.merge(first, second)
    sandbox.world.merge(second, third)
    assert api.profile(first.id).profile.id == third.id


def test_a_circle_of_merges_is_an_error(client_of, sandbox):
    """As is a chain that is longer than any."""
    moved = errors({"code": "moved", "meta": {"old": "a", "new": "b"}})
    back = errors({"code": "moved", "meta": {"old": "b", "new": "a"}})
    for body in (moved, back):
        sandbox.faults.add("gladly", PROFILES, Fault(301, body=body))
    with pytest.raises(UnexpectedAnswerError, match="customer a is merged in a circle"):
        ObjectsApi(client_of()).profile("a")
    sandbox.faults.clear()
    chain = [errors({"code": "moved", "meta": {"new": f"c{n}"}}) for n in range(9)]
    for body in chain:
        sandbox.faults.add("gladly", PROFILES, Fault(301, body=body))
    with pytest.raises(UnexpectedAnswerError, match="in a circle"):
        ObjectsApi(client_of(limits=GladlyLimits(max_merges=3))).profile("a")


def test_names_without_a_name_are_left_out(api, sandbox):
    """Of agents and of topics."""
    sam, topic = sandbox.world.add_agent("Sam Doe"), sandbox.world.add_topic("Returns")
    nameless = sandbox.world.add_agent("")
    assert api.agents()[sam.id] == "Sam Doe"
    assert nameless.id not in api.agents()
    assert (api.agent(sam.id), api.agent(nameless.id)) == ("Sam Doe", None)
    assert api.topics() == {topic.id: "Returns"}


def test_a_body_longer_than_any_answer_is_refused(client_of, sandbox):
    """By the limits (faults A11)."""
    for n in range(50):
        sandbox.world.add_agent(f"Agent {n}")
    with pytest.raises(RetryableError, match="sent over 1000 bytes"):
        ObjectsApi(client_of(limits=GladlyLimits(body_max_bytes=1_000))).agents()


def test_a_refusal_of_one_object_is_told_from_a_refused_token(api, sandbox):
    """Gladly is asked where everybody may ask."""
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(403))
    with pytest.raises(UnexpectedAnswerError, match="answered 403 to /conversations/x"):
        api.conversation("x")
    sandbox.faults.add("gladly", "*", Fault(401, times=2))
    with pytest.raises(CredentialsRefusedError):
        api.conversation("x")


@pytest.mark.parametrize(
    ("body", "name"),
    [
        pytest.param(b'{"id":"a","name":7}', "7", id="a number for a text"),
        pytest.param(
            b'{"id":"a","name":"An\ta","emails":[null,7]}', "An\ta", id="a raw tab, entries that are none"
        ),
        pytest.param(b'{"id":"a","name":"An\xffa"}', "An\ufffda", id="an odd byte"),
        pytest.param(b'{"id":"a","name":["x"],"emails":"none"}', None, id="other types"),
    ],
)
def test_what_can_be_read_with_tolerance_is_read(api, sandbox, body, name):
    """Only the field that is odd is read differently, or left out."""
    sandbox.faults.add("gladly", PROFILES, Fault(200, body=body))
    assert api.profile("a").profile.name == name


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"errors":[]}', b'{"id":"b"}', b'{"id":null}', b"<html>", b""]
)
def test_another_object_is_not_taken_for_the_one_asked_for(api, sandbox, body):
    """Nothing is ever sent about somebody else (faults H1.10)."""
    sandbox.faults.add("gladly", PROFILES, Fault(200, body=body))
    with pytest.raises(UnexpectedAnswerError, match="customer-profiles/a with"):
        api.profile("a")


def test_an_object_of_more_than_a_megabyte_is_refused(api, sandbox):
    """Its size is what counts, not what is in it (faults H3.3)."""
    many = b'{"id":"a","emails":[' + b",".join([b"{}"] * 500_000) + b"]}"
    sandbox.faults.add("gladly", PROFILES, Fault(200, body=many))
    with pytest.raises(RetryableError, match="sent over 1000000 bytes"):
        api.profile("a")


def test_an_id_that_gladly_never_makes_is_not_taken_over(api, sandbox):
    """From a conversation's customer, or from a merge (faults H3.2)."""
    escape = "c\\u001b[31m"
    body = (
        b'{"id":"x","customerId":"'
        + escape.encode()
        + b'","status":"OPEN","createdAt":"2026-11-20T08:00:00Z"}'
    )
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(200, body=body))
    with pytest.raises(UnexpectedAnswerError, match="another object"):
        api.conversation("x")
    sandbox.faults.add(
        "gladly", PROFILES, Fault(301, body=errors({"code": "moved", "meta": {"new": "c\x1b[31m"}}))
    )
    with pytest.raises(UnexpectedAnswerError, match="circle"):
        api.profile("x")
