"""What a host says in its headers: its clock, and a wait given as seconds or as a date."""

from datetime import UTC, datetime

import pytest
from freezegun import freeze_time
from urllib3 import HTTPResponse

from sync.http.headers import left_of_a_second, retry_after_s, server_date
from sync.http.retry import RetryPolicy

LONGEST_RETRY_AFTER_S = RetryPolicy().longest_retry_after_s
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri, 20 Nov 2026 12:00:30 GMT", "Date": "Fri, 20 Nov 2026 12:00:20 GMT"}, 10.0),
        ({"Retry-After": "Fri, 20 Nov 2026 11:00:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon", "X-RateLimit-Reset": "4"}, 4.0),
        ({"Retry-After": "10000000000"}, LONGEST_RETRY_AFTER_S),
    ],
    ids=str,
)
@freeze_time(NOON)
def test_a_host_is_believed_about_a_wait_that_makes_sense(headers, expected):
    """Seconds or a date, by the host's own clock where it tells it; never for longer than the cap (A17)."""
    assert retry_after_s(HTTPResponse(headers=headers).headers, LONGEST_RETRY_AFTER_S) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}, NOON, id="as servers write it"),
        pytest.param({"date": "Fri, 20 Nov 2026 12:00:00 GMT"}, NOON, id="in lower case"),
        pytest.param({"Date": "Fri, 20 Nov 2026 14:00:00 +0200"}, NOON, id="in another time zone"),
        pytest.param({}, None, id="missing"),
        pytest.param({"Date": "today"}, None, id="no date"),
        pytest.param({"Date": "Fri, 99 Nov 2026 12:00:00 GMT"}, None, id="no such day"),
        pytest.param({"Date": ""}, None, id="empty"),
    ],
)
def test_a_host_s_clock_is_read_where_it_tells_it(headers, expected):
    """In UTC; None where there is nothing that can be read."""
    assert server_date(HTTPResponse(headers=headers).headers) == expected


@pytest.mark.parametrize(
    ("left", "limit", "share"),
    [
        ("3", "10", 0.3),
        ("0", "10", 0.0),
        ("10", "10", 1.0),
        (None, "10", None),
        ("3", None, None),
        ("3", "0", None),
        ("11", "10", None),
        ("-1", "10", None),
        ("soon", "10", None),
        ("nan", "10", None),
    ],
)
def test_what_is_left_of_a_second_is_a_share_or_not_known(left, limit, share):
    """Anything that is no share of a limit says nothing."""
    given = {"Ratelimit-Remaining-Second": left, "Ratelimit-Limit-Second": limit}
    assert left_of_a_second({name: value for name, value in given.items() if value is not None}) == share
