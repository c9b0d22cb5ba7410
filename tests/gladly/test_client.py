"""What each answer of Gladly's means, and that a request to it keeps to the policy and the limits."""

import json

import pytest

from sandbox import Fault
from sync.errors import (
    CredentialsRefusedError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
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


@pytest.mark.parametrize(
    ("fault", "path", "error", "says"),
    [
        (Fault(401), "/events", CredentialsRefusedError, r"refused the API token \(401\)\. Check"),
        (Fault(403), "/events", CredentialsRefusedError, "lacks the API User permission"),
        (Fault(408), "/events", RetryableError, r"answered 408 \(an error of its own\) to /events"),
        (Fault(429), "/events", RateLimitedError, r"answered 429 \(too many requests\)"),
        (Fault(500), "/events", RetryableError, "answered 500"),
        (Fault(404, body=errors({"code": "not_found"})), "/conversations/x", NotFoundError, "no /conv"),
        (Fault(404, body=b"<html>"), "/conversations/x", UnexpectedAnswerError, "answered 404"),
        (Fault(403), "/conversations/x", ForbiddenError, "answered 403 to /conversations/x"),
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
    """Here after two that failed."""
    sandbox.faults.add("gladly", ORGANIZATION, Fault(503, times=2))
    assert client_of(retry=RetryPolicy(max_attempts=3, first_backoff_s=0.01)).clock()
    assert [r.status for r in sandbox.gladly_requests] == [503, 503, 200]


def test_a_request_ends_at_the_deadline_of_the_limits(client_of, sandbox):
    """Its body included (faults A20)."""
    sandbox.faults.add("gladly", ORGANIZATION, Fault(delay_s=5))
    with pytest.raises(RetryableError, match="in time"):
        client_of(limits=GladlyLimits(request_deadline_s=0.3)).clock()
