"""The client of Segment's Public API: what it asks, what it understands, and how it fails."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from sandbox import Fault
from sandbox.segment.public_api import SOURCE_ID
from support.sandbox_clients import EVENT, batch, segment_client
from sync.errors import CredentialsRefusedError, RetryableError, UnexpectedAnswerError
from sync.http.retry import RetryPolicy
from sync.segment.limits import PublicApiLimits, region_of
from sync.segment.public_api import HiddenKeysError, PublicApi
from sync.segment.public_api_answers import Counted
from sync.stop import Stop

ONCE = RetryPolicy(max_attempts=1)
TWICE = RetryPolicy(max_attempts=2, first_backoff_s=0.01)


@pytest.fixture
def api_of(sandbox):
    """Return a function that makes a client of the sandbox's Public API."""
    made = []

    def make(token=None, **options):
        usual = {"stop": Stop(), "retry": ONCE}
        made.append(
            PublicApi(sandbox.public_api_url, token or sandbox.segment.public_api_token, **usual | options)
        )
        return made[-1]

    yield make
    for api in made:
        api.close()


@pytest.fixture
def today(sandbox):
    """Return the sandbox's day, its start, and an end that is a minute ago; an event arrived at noon."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    sandbox.clock.pace = 0
    sandbox.clock.set(noon)
    return noon.date(), noon - timedelta(hours=12), noon + timedelta(hours=1)


def send(sandbox, *events):
    """Send events at the sandbox's noon, and let two hours pass."""
    with segment_client(sandbox) as client:
        assert batch(client, *events).status_code == 200
    sandbox.clock.advance(7200)


def answers(sandbox, body, path="/*", status=200, **more):
    """Let the Public API answer *body*."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sandbox.faults.add("public_api", path, Fault(status, body=content, times=None, **more))


def test_the_token_is_a_bearer_and_names_the_workspace(api_of, sandbox):
    assert api_of().workspace().name == "Sandbox"
    (request,) = sandbox.public_api_requests
    assert request.headers["authorization"] == "Bearer sandbox-public-api-token"
    assert request.headers["accept"] == "application/vnd.segment.v1+json"


def test_the_source_of_a_key_is_found_on_any_page(api_of, sandbox):
    """The list is read page by page until the key is found."""
    sandbox.segment.other_sources = 5
    sandbox.segment.access = "source_admin"
    source = api_of(limits=PublicApiLimits(page_size=2)).source_with(sandbox.segment.write_key)
    assert (source.id, source.name, source.is_enabled) == (SOURCE_ID, "Gladly", True)
    assert len(sandbox.public_api_requests) == 3


def test_a_key_of_no_source_is_none_only_where_keys_are_shown(api_of, sandbox):
    """A token that is shown no keys cannot tell."""
    assert api_of().source_with("a" * 32) is None
    sandbox.segment.access = "source_reader"
    with pytest.raises(HiddenKeysError, match="role Source Admin"):
        api_of().source_with("a" * 32)


def test_counts_are_by_name_and_day(api_of, sandbox, today):
    day, start, end = today
    send(sandbox, EVENT, EVENT | {"messageId": "m-2"}, EVENT | {"messageId": "m-3", "event": "Other"})
    found = api_of().received(SOURCE_ID, start, end)
    assert [(row.event, row.total, row.by_day[day]) for row in found] == [
        ("Said Hello", 2, 2),
        ("Other", 1, 1),
    ]


@pytest.mark.parametrize(
    ("settings", "method", "reason"),
    [
        ({"source_enabled": False}, "failed_on_ingest", "source_disabled"),
        ({"blocked_events": {"Said Hello": "unplanned"}}, "filtered_at_source", "unplanned"),
    ],
)
def test_what_was_dropped_has_its_reason(api_of, sandbox, today, settings, method, reason):
    _, start, end = today
    for name, value in settings.items():
        setattr(sandbox.segment, name, value)
    send(sandbox, EVENT)
    found = getattr(api_of(), method)(SOURCE_ID, start, end)
    assert [(row.event, row.reason, row.total) for row in found] == [("Said Hello", reason, 1)]


def test_a_granularity_in_lower_case_is_tried_where_capitals_are_not_taken(api_of, sandbox, today):
    """The SDKs do not agree how the beta calls write it."""
    sandbox.faults.add("public_api", "/delivery-overview/*", Fault(422, body=b"{}"))
    assert api_of().failed_on_ingest(SOURCE_ID, today[1], today[1] + timedelta(hours=2)) == []
    assert [("granularity=day" in each.query) for each in sandbox.public_api_requests] == [False, True]


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (Fault(401), CredentialsRefusedError, "SEGMENT_PUBLIC_API_TOKEN"),
        (Fault(403), CredentialsRefusedError, "the role Source Admin"),
        (Fault(429, headers={"Retry-After": "900"}), RetryableError, "answered 429"),
        (Fault(503), RetryableError, "answered 503"),
        (Fault(404), UnexpectedAnswerError, "Check segment.public_api_url"),
        (Fault(302, headers={"Location": "https://example.com"}), UnexpectedAnswerError, "answered 302"),
        (Fault(422, body=b'{"errors": []}'), UnexpectedAnswerError, "(422)"),
        (Fault(200, body=b"<html>"), UnexpectedAnswerError, "something unexpected"),
        (Fault(200, body=b"[]"), UnexpectedAnswerError, "something unexpected"),
        (
            Fault(200, body=b'{"data": {"workspace": {"id": 7}}}'),
            UnexpectedAnswerError,
            "something unexpected",
        ),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Fault) else None,
)
def test_each_failure_is_a_sentence(api_of, sandbox, fault, error, says):
    sandbox.faults.add("public_api", "/", fault)
    with pytest.raises(error) as raised:
        api_of().workspace()
    assert says in str(raised.value)


def test_429_and_5xx_are_asked_again(api_of, sandbox):
    for status in (429, 503):
        sandbox.faults.add("public_api", "/", Fault(status, headers={"Retry-After": "0"}))
        assert api_of(retry=TWICE).workspace().id
    assert [each.status for each in sandbox.public_api_requests] == [429, 200, 503, 200]


def test_the_token_is_in_no_message(api_of, sandbox):
    """A gateway may repeat the header."""
    sandbox.faults.add("public_api", "/", Fault(404, body=b"you sent Bearer canary-token"))
    with pytest.raises(UnexpectedAnswerError) as raised:
        api_of("canary-token").workspace()
    assert "you sent Bearer" in str(raised.value)
    assert "canary-token" not in str(raised.value)


def test_a_list_that_never_ends_is_left(api_of, sandbox):
    """A cursor that comes again, and more pages than there can be, end the reading."""
    answers(sandbox, {"data": {"sources": [], "pagination": {"next": "again"}}})
    with pytest.raises(UnexpectedAnswerError, match="never ended its list"):
        api_of().source_with("key")
    assert len(sandbox.public_api_requests) == 2


@pytest.mark.parametrize("name", ["dataset", "datasets", "result"])
def test_the_outer_names_may_differ(api_of, sandbox, today, name):
    """They are known from an SDK only."""
    row = {"eventName": "A", "discardReason": "unplanned", "total": 2.0, "unknown": [], "series": None}
    answers(sandbox, {"data": {name: [row]}})
    assert api_of().filtered_at_source("s", *today[1:]) == [Counted("A", "unplanned", 2, {})]


@pytest.mark.parametrize(
    "row",
    [
        {"total": "2"},
        {"total": -1},
        {"total": 1.5},
        {"total": True},
        {"series": 7},
        {"series": [{"time": "noon", "count": 1}]},
        {"series": [{"time": "2026-11-20T00:00:00Z", "count": None}]},
    ],
    ids=str,
)
def test_counts_that_are_none_are_not_believed(api_of, sandbox, today, row):
    answers(sandbox, {"data": {"result": [{"eventName": "A", **row}]}})
    with pytest.raises(UnexpectedAnswerError):
        api_of().received("s", *today[1:])


def test_a_day_is_utcs(api_of, sandbox, today):
    """A time with an offset belongs to its day of UTC; one without is in UTC."""
    times = ("2026-11-20T23:30:00-01:00", "2026-11-21T00:00:00", "2026-11-20T00:00:00.000Z")
    series = [{"time": time, "count": 1} for time in times]
    answers(sandbox, {"data": {"result": [{"eventName": "A", "series": series}]}})
    [row] = api_of().received("s", *today[1:])
    assert (row.total, row.by_day) == (3, {date(2026, 11, 20): 1, date(2026, 11, 21): 2})


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://api.segment.io", "us"),
        ("https://events.eu1.segmentapis.com", "eu"),
        ("https://api.segmentapis.com", "us"),
        ("https://eu1.api.segmentapis.com", "eu"),
        ("http://127.0.0.1:8413", None),
        ("https://segment.example.com", None),
    ],
)
def test_the_region_of_an_address(url, region):
    assert region_of(url) == region
