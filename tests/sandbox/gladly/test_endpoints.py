"""The local Gladly keeps the rules of Gladly's REST API reference, over real HTTP."""

from datetime import timedelta

import pytest

from support.sandbox_clients import NOON, feed

AN_HOUR_AGO = "2026-11-02T11:00:00Z"


@pytest.mark.parametrize(
    ("params", "attr", "code"),
    [
        pytest.param({}, "startAt", "blank", id="startAt is required"),
        pytest.param({"startAt": "yesterday"}, "startAt", "invalid", id="startAt is an instant"),
        pytest.param({"startAt": "2026-11-02T11:00:00"}, "startAt", "invalid", id="startAt has a zone"),
        pytest.param(
            {"startAt": "2026-11-01T12:00:00.249Z"}, "startAt", "invalid", id="at most 24 hours back"
        ),
        pytest.param(
            {"startAt": "2026-11-02T12:00:01Z"}, "endAt", "invalid", id="startAt is not in the future"
        ),
        pytest.param(
            {"startAt": AN_HOUR_AGO, "endAt": AN_HOUR_AGO}, "endAt", "invalid", id="endAt lies after it"
        ),
        pytest.param({"startAt": AN_HOUR_AGO, "endAt": "x"}, "endAt", "invalid", id="endAt is an instant"),
        pytest.param(
            {"startAt": AN_HOUR_AGO, "entities": []}, "entities", "blank", id="entities are required"
        ),
        pytest.param(
            {"startAt": AN_HOUR_AGO, "entities": ["TASK", "DOG"]}, "entities", "invalid", id="and known"
        ),
    ],
)
def test_a_wrong_question_is_answered_400(gladly, params, attr, code):
    answer = gladly.get("/events", params={"entities": "CONVERSATION"} | params)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["attr"] == attr
    assert answer.json()["errors"][0]["code"] == code


def test_a_plus_sign_must_be_percent_encoded(gladly):
    assert gladly.get("/events?startAt=2026-11-02T11:00:00+00:00&entities=TASK").status_code == 400
    assert gladly.get("/events?startAt=2026-11-02T11:00:00%2B00:00&entities=TASK").status_code == 200


def test_exactly_24_hours_back_is_allowed_and_so_is_this_very_moment(gladly):
    assert feed(gladly, NOON - timedelta(hours=24)) == []
    assert feed(gladly, NOON) == []


def test_all_eight_entities_are_known(gladly):
    names = (
        "AGENT_AVAILABILITY AGENT_STATUS CONTACT CONVERSATION CUSTOMER CUSTOMER_PROFILE PAYMENT_REQUEST TASK"
    )
    assert feed(gladly, entities=names.split()) == []


def test_an_empty_feed_is_an_empty_body_of_json_lines(gladly):
    answer = gladly.get("/events", params={"startAt": "2026-11-02T11:00:00Z", "entities": "CONVERSATION"})
    assert (answer.content, answer.headers["Content-Type"]) == (b"", "application/x-jsonlines")
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_a_customer_s_conversations_are_listed_up_to_a_hundred(sandbox, gladly):
    customer = sandbox.world.add_customer()
    ids = []
    for _ in range(101):
        sandbox.clock.advance(1)
        ids.append(sandbox.world.close(sandbox.world.open_conversation(customer)).id)
        if len(ids) == 100:
            whole = gladly.get(f"/customers/{customer.id}/conversations")
            assert "Gladly-Limited-Data" not in whole.headers
    cut = gladly.get(f"/customers/{customer.id}/conversations")
    assert cut.headers["Gladly-Limited-Data"]
    assert [talk["id"] for talk in cut.json()] == ids[:100]
