"""The local Gladly lets in whom Gladly lets in, and as often."""

import pytest
import requests

from sandbox import Sandbox
from support.sandbox_clients import gladly_client


@pytest.mark.parametrize(
    ("auth", "status"),
    [
        pytest.param(("segment-sync@example.com", "sandbox-token"), 200, id="the right token is let in"),
        pytest.param(("segment-sync@example.com", "wrong"), 401, id="a wrong token is not"),
        pytest.param(("other@example.com", "sandbox-token"), 401, id="nor a wrong e-mail address"),
        pytest.param(("no-api-user@example.com", "sandbox-token"), 403, id="nor an agent without API User"),
        pytest.param(None, 401, id="nor nobody"),
    ],
)
def test_credentials(sandbox, auth, status):
    answer = requests.get(sandbox.gladly_url + "/api/v1/organization", auth=auth, timeout=5)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    assert status == 200 or answer.json()["errors"][0]["detail"]


def test_a_rotated_token_is_in_force_at_once(sandbox, gladly):
    sandbox.gladly.api_token = "rotated"
    assert gladly.get("/organization").status_code == 401


def test_a_burst_over_the_limit_is_refused_with_the_limits_in_its_headers():
    with Sandbox() as sandbox, gladly_client(sandbox) as gladly:
        answers = [gladly.get("/organization")]
        while answers[-1].status_code == 200 and len(answers) < 200:
            answers.append(gladly.get("/organization"))
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) == 1
        assert len(answers) >= 11
        assert {a.headers["Ratelimit-Limit-Second"] for a in answers} == {"10"}
        assert answers[0].headers["Ratelimit-Remaining-Second"] == "9"
        assert refused[0].headers["Ratelimit-Remaining-Second"] == "0"
        assert refused[0].headers["Retry-After"] == "1"
        assert refused[0].json()["errors"][0]["code"] == "temporary_failure"


def test_retry_after_can_be_missing():
    with Sandbox(requests_per_second=1, retry_after=False) as sandbox:
        auth = ("segment-sync@example.com", "sandbox-token")
        answers = [
            requests.get(sandbox.gladly_url + "/api/v1/agents", auth=auth, timeout=5) for _ in range(3)
        ]
        assert answers[-1].status_code == 429
        assert "Retry-After" not in answers[-1].headers


def test_reports_have_a_limit_of_their_own():
    with Sandbox(requests_per_second=None) as sandbox:
        auth = ("segment-sync@example.com", "sandbox-token")
        ask = {
            "metricSet": "ConversationTimestampsReport",
            "timezone": "UTC",
            "startAt": "2026-11-01",
            "endAt": "2026-11-01",
        }
        url = sandbox.gladly_url + "/api/v1/reports"
        statuses = [requests.post(url, json=ask, auth=auth, timeout=5).status_code for _ in range(11)]
        assert statuses == [200] * 10 + [429]
        assert requests.get(sandbox.gladly_url + "/api/v1/agents", auth=auth, timeout=5).status_code == 200
