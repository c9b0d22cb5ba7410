"""The local Gladly keeps the rules of Gladly's REST API reference, over real HTTP."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest
import requests

from sandbox import Sandbox
from sandbox.timekeeping.instants import parse_instant
from sandbox.world.bulk import fill
from support.sandbox_clients import NOON, Client, gladly_client

ALL = ["CONVERSATION", "CUSTOMER", "CUSTOMER_PROFILE"]


def feed(gladly: Client, start: datetime = NOON - timedelta(hours=23), entities=("CONVERSATION",), **more):
    answer = gladly.get("/events", params={"startAt": start.isoformat(), "entities": list(entities), **more})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.splitlines()]


# --- who may ask, and how often -------------------------------------------------------------------------


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


def test_every_answer_carries_the_date_of_the_world(sandbox, gladly, segment):
    sandbox.clock.advance(-86400)
    answers = [gladly.get("/agents"), gladly.get("/nowhere"), gladly.get("/conversations/none")]
    answers += [segment.post("/batch", data=b"x"), requests.get(sandbox.gladly_url + "/", timeout=5)]
    for answer in answers:
        assert parsedate_to_datetime(answer.headers["Date"]) == (NOON - timedelta(days=1)).replace(
            microsecond=0
        )


def test_unknown_calls_are_answered_in_json(sandbox, gladly):
    assert gladly.get("/nowhere").status_code == 404
    assert gladly.get("/nowhere").json()["errors"]
    assert gladly.post("/agents").status_code == 405
    assert gladly.post("/agents").json()["errors"]
    assert requests.get(sandbox.gladly_url + "/nowhere", timeout=5).status_code == 404


def test_requests_are_recorded_with_their_answers(sandbox, gladly):
    gladly.get("/conversations/none?x=1")
    (seen,) = sandbox.gladly_requests
    assert (seen.method, seen.path, seen.query, seen.status) == (
        "GET",
        "/api/v1/conversations/none",
        "x=1",
        404,
    )
    assert seen.user == "segment-sync@example.com"


# --- the change feed ------------------------------------------------------------------------------------


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


def test_a_conversation_s_course_shows_in_the_feed(sandbox, gladly):
    """
    Each change has its id, type, time, initiator and content, and names the assignee just before it.
    """
    world, clock = sandbox.world, sandbox.clock
    agent, topic = world.add_agent("Ana"), world.add_topic("Delivery")
    customer = world.add_customer("Ada", recorded=False)
    talk = world.open_conversation(customer)
    inbox = {"inboxId": world.first_inbox_id}
    with_agent = inbox | {"agentId": agent.id}
    for act in (
        lambda: world.assign(talk, agent),
        lambda: world.wait(talk),
        lambda: world.add_topic_to(talk, topic),
        lambda: world.add_note(talk),
        lambda: world.remove_topic_from(talk, topic),
        lambda: world.add_attribute(talk, "order", "A-1"),
        lambda: world.close(talk),
        lambda: world.reopen(talk),
    ):
        clock.advance(1)
        act()
    events = feed(gladly)
    assert [event["type"] for event in events] == [
        "CONVERSATION/CREATED",
        "CONVERSATION_ASSIGNEE/UPDATED",
        "CONVERSATION/TOPIC_ADDED",
        "CONVERSATION/NOTE_CREATED",
        "CONVERSATION/TOPIC_REMOVED",
        "CONVERSATION/CUSTOM_ATTRIBUTE_ADDED",
        "CONVERSATION/CLOSED",
        "CONVERSATION/REOPENED",
    ]
    created, assigned, topic_added, *_, closed, reopened = events
    assert created == {
        "id": created["id"],
        "type": "CONVERSATION/CREATED",
        "timestamp": "2026-11-02T12:00:00.250Z",
        "initiator": {"id": customer.id, "type": "CUSTOMER"},
        "content": {"customerId": customer.id, "conversationId": talk.id, "context": {"assignee": inbox}},
    }
    assert assigned["content"]["assignee"] == with_agent
    assert assigned["content"]["context"] == {"assignee": inbox}
    assert assigned["content"]["reason"]
    assert topic_added["content"]["topicId"] == topic.id
    assert closed["content"]["context"] == reopened["content"]["context"] == {"assignee": with_agent}
    assert len({event["id"] for event in events}) == 8
    assert all(len(event["id"]) == 22 for event in events)


def test_only_the_entities_asked_for_are_told(sandbox, gladly):
    world = sandbox.world
    one, other = world.add_customer(), world.add_customer()
    world.open_conversation(one)
    world.merge(one, other)
    assert [e["type"] for e in feed(gladly)] == ["CONVERSATION/CREATED"]
    assert [e["type"] for e in feed(gladly, entities=["CUSTOMER"])] == ["CUSTOMER/MERGED"]
    assert {e["type"] for e in feed(gladly, entities=["CUSTOMER_PROFILE"])} == {"CUSTOMER_PROFILE/CREATED"}
    assert len(feed(gladly, entities=ALL)) == 4


def test_a_change_shows_once_its_lateness_is_over(sandbox, gladly):
    world = sandbox.world
    late = world.open_conversation(world.add_customer(), late_s=14.9)
    sandbox.clock.advance(5)
    soon = world.open_conversation(world.add_customer(), late_s=0)
    assert [e["content"]["conversationId"] for e in feed(gladly)] == [soon.id]
    sandbox.clock.advance(9.9)
    assert [e["content"]["conversationId"] for e in feed(gladly)] == [late.id, soon.id]


def test_lateness_is_drawn_between_nothing_and_its_limit():
    with Sandbox(pace=0, start=NOON, lateness_s=15) as sandbox:
        for _ in range(200):
            sandbox.world.add_customer()
        delays = [(c.visible_at - c.timestamp).total_seconds() for c in sandbox.world.changes]
        assert min(delays) < 1
        assert 14 < max(delays) <= 15


def test_both_ends_of_the_interval_are_included_and_times_ascend(sandbox, gladly):
    world = sandbox.world
    for seconds in (3, 1, 2, 0, 2):  # made out of order
        world.open_conversation(world.add_customer(), at=NOON - timedelta(seconds=60 - seconds))
    found = feed(gladly, NOON - timedelta(seconds=59), endAt=(NOON - timedelta(seconds=58)).isoformat())
    assert [e["timestamp"] for e in found] == ["2026-11-02T11:59:01.250Z"] + ["2026-11-02T11:59:02.250Z"] * 2


def test_a_long_feed_arrives_whole(sandbox, gladly):
    fill(sandbox.world, conversations=20_000, closed_fraction=0.5)
    events = feed(gladly)
    assert len(events) == 30_000
    assert [e["timestamp"] for e in events] == sorted(e["timestamp"] for e in events)
    assert sum(e["type"] == "CONVERSATION/CLOSED" for e in events) == 10_000


def test_types_nobody_has_heard_of_can_be_recorded(sandbox, gladly):
    sandbox.world.record("CONVERSATION/SNOOZED", {"conversationId": "x", "until": None})
    (event,) = feed(gladly)
    assert (event["type"], event["content"]) == (
        "CONVERSATION/SNOOZED",
        {"conversationId": "x", "until": None},
    )
    assert "initiator" not in event


# --- objects --------------------------------------------------------------------------------------------


def test_a_conversation_shows_what_the_reference_lists(sandbox, gladly):
    world = sandbox.world
    agent, topic = world.add_agent("Ana"), world.add_topic("Delivery")
    customer = world.add_customer()
    talk = world.open_conversation(customer)
    fresh = gladly.get(f"/conversations/{talk.id}").json()
    assert parse_instant(fresh.pop("createdAt")).replace(microsecond=250_000) == NOON
    assert fresh == {
        "id": talk.id,
        "customerId": customer.id,
        "inboxId": world.first_inbox_id,
        "status": "OPEN",
    }
    world.assign(talk, agent)
    world.add_topic_to(talk, topic)
    world.add_attribute(talk, "order", "A-1")
    world.wait(talk)
    assert gladly.get(f"/conversations/{talk.id}").json()["status"] == "WAITING"
    world.close(talk)
    closed = gladly.get(f"/conversations/{talk.id}").json()
    assert (closed["status"], closed["agentId"], closed["topicIds"]) == ("CLOSED", agent.id, [topic.id])
    assert closed["customAttributes"] == [{"id": "order", "value": "A-1"}]
    assert parse_instant(closed["closedAt"]).replace(microsecond=250_000) == NOON
    world.reopen(talk)
    assert "closedAt" not in gladly.get(f"/conversations/{talk.id}").json()


@pytest.mark.parametrize("id", ["../../etc", "a/b?c#d", "new\nline", "ü; DROP TABLE"])
def test_an_id_may_hold_anything_when_it_is_percent_encoded(sandbox, gladly, id):
    talk = sandbox.world.open_conversation(sandbox.world.add_customer(id=f"c{id}"), id=id)
    assert gladly.get(f"/conversations/{quote(id, safe='')}").json()["id"] == talk.id
    assert gladly.get(f"/customer-profiles/{quote(talk.customer_id, safe='')}").json()["id"] == f"c{id}"
    assert feed(gladly)[0]["content"]["conversationId"] == id


def test_times_in_objects_have_any_number_of_digits_and_keep_their_millisecond(sandbox):
    at = datetime(2026, 11, 2, 9, 0, 0, 120_000, tzinfo=UTC)
    texts = []
    for _ in range(300):
        talk = sandbox.world.open_conversation(sandbox.world.add_customer(), at=at)
        texts.append(talk.wire()["createdAt"])
    assert {len(text) for text in texts} >= {
        len("2026-11-02T09:00:00.12Z"),
        len("2026-11-02T09:00:00.120123456Z"),
    }
    for text in texts:
        moment = parse_instant(text)
        assert moment.replace(microsecond=moment.microsecond // 1000 * 1000) == at


def test_a_customer_has_one_open_conversation_at_a_time(sandbox):
    world = sandbox.world
    customer = world.add_customer()
    first = world.open_conversation(customer)
    with pytest.raises(ValueError, match="one at a time"):
        world.open_conversation(customer)
    world.close(first)
    world.open_conversation(customer)
    with pytest.raises(ValueError, match="one at a time"):
        world.reopen(first)


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


def test_a_profile_shows_its_lists_as_given(sandbox, gladly):
    emails = [{"original": "Ada@Example.com", "normalized": "ada@example.com", "primary": True}]
    phones = [{"original": "(202) 555-0123", "regionCode": "US", "primary": False}]
    customer = sandbox.world.add_customer(
        "Ada", emails=emails, phones=phones, custom_attributes={"tier": "gold"}
    )
    profile = gladly.get(f"/customer-profiles/{customer.id}").json()
    assert profile["name"] == "Ada"
    assert (profile["emails"], profile["phones"]) == (emails, phones)
    assert profile["customAttributes"] == {"tier": "gold"}
    bare = sandbox.world.add_customer(None, emails=None, phones=None)
    assert set(gladly.get(f"/customer-profiles/{bare.id}").json()) == {"id", "createdAt", "updatedAt"}


def test_an_updated_profile_shows_at_once_and_keeps_its_versions(sandbox, gladly):
    customer = sandbox.world.add_customer("Ada")
    sandbox.clock.advance(60)
    sandbox.world.update_profile(customer, name="Ada L.", custom_attributes={"tier": "gold"})
    profile = gladly.get(f"/customer-profiles/{customer.id}").json()
    assert (profile["name"], profile["customAttributes"]) == ("Ada L.", {"tier": "gold"})
    versions = sandbox.world.profile_versions(customer.id)
    assert [(at, shown["name"]) for at, shown in versions] == [
        (NOON, "Ada"),
        (NOON + timedelta(seconds=60), "Ada L."),
    ]
    assert feed(gladly, entities=["CUSTOMER_PROFILE"])[-1]["type"] == "CUSTOMER_PROFILE/UPDATED"


def test_merging_two_who_both_wrote_in(sandbox, gladly):
    """
    The source answers 301 without a Location, its open conversation is gone, its closed ones moved.
    """
    world = sandbox.world
    source, destination = world.add_customer(), world.add_customer()
    old = world.close(world.open_conversation(source))
    absorbed, kept = world.open_conversation(source), world.open_conversation(destination)
    world.merge(source, destination)

    moved = gladly.get(f"/customer-profiles/{source.id}")
    assert moved.status_code == 301
    assert "Location" not in moved.headers
    (error,) = moved.json()["errors"]
    assert (error["attr"], error["code"]) == ("customerId", "moved")
    assert error["meta"] == {"old": source.id, "new": destination.id}
    assert gladly.get(f"/customers/{source.id}/conversations").status_code == 301

    assert gladly.get(f"/conversations/{absorbed.id}").status_code == 404
    assert gladly.get(f"/conversations/{old.id}").json()["customerId"] == destination.id
    (event,) = feed(gladly, entities=["CUSTOMER"])
    assert event["content"] == {
        "sourceCustomerId": source.id,
        "destinationCustomerId": destination.id,
        "sourceConversationId": absorbed.id,
        "destinationConversationId": kept.id,
    }
    with pytest.raises(ValueError, match="was merged"):
        world.close(absorbed)
    assert world.merged == {source.id: (destination.id, NOON)}


def test_merging_moves_the_only_open_conversation_and_merges_chain(sandbox, gladly):
    world = sandbox.world
    first, second, third = (world.add_customer() for _ in range(3))
    talk = world.open_conversation(first)
    world.merge(first, second)
    world.merge(second, third)
    assert gladly.get(f"/conversations/{talk.id}").json()["customerId"] == third.id
    assert gladly.get(f"/customer-profiles/{first.id}").json()["errors"][0]["meta"]["new"] == second.id
    assert gladly.get(f"/customer-profiles/{second.id}").json()["errors"][0]["meta"]["new"] == third.id
    assert all(not e["content"].get("sourceConversationId") for e in feed(gladly, entities=["CUSTOMER"]))
    assert [shown["customerId"] for _, shown in world.conversation_versions(talk.id)] == [
        first.id,
        second.id,
        third.id,
    ]


def test_the_one_that_remains_gains_the_other_s_addresses(sandbox):
    world = sandbox.world
    mail = {"original": "a@example.com", "normalized": "a@example.com", "primary": True}
    source, destination = world.add_customer(emails=[mail]), world.add_customer()
    world.merge(source, destination)
    assert destination.wire()["emails"] == [mail | {"primary": False}]


def test_deleting_waits_for_the_last_close_and_leaves_nothing(sandbox, gladly):
    world = sandbox.world
    customer = world.add_customer()
    talk = world.open_conversation(customer)
    with pytest.raises(ValueError, match="closed"):
        world.delete(customer)
    world.close(talk)
    world.delete(customer)
    profile = gladly.get(f"/customer-profiles/{customer.id}")
    conversation = gladly.get(f"/conversations/{talk.id}")
    assert (profile.status_code, conversation.status_code) == (404, 404)
    assert profile.json()["errors"][0]["code"] == "not_exist"
    assert conversation.json()["errors"]["code"] == "not_exist", "for some answers `errors` is one object"
    assert [t.kind for t in world.truth()] == ["created", "closed"]
    assert world.deleted == {customer.id: NOON}


def test_agents_topics_inboxes_and_the_organization(sandbox, gladly):
    agent = sandbox.world.add_agent("O'Neill, Siobhán")
    topic = sandbox.world.add_topic("Delivery")
    child = sandbox.world.add_topic("Late", parent=topic)
    assert gladly.get("/agents").json() == [
        {"id": agent.id, "name": agent.name, "emailAddress": agent.email_address}
    ]
    assert gladly.get(f"/agents/{agent.id}").json()["name"] == "O'Neill, Siobhán"
    assert gladly.get("/agents/none").status_code == 404
    assert gladly.get("/topics").json()[1] == {
        "id": child.id,
        "name": "Late",
        "disabled": False,
        "parentId": topic.id,
    }
    assert gladly.get(f"/topics/{topic.id}").json() == {"id": topic.id, "name": "Delivery", "disabled": False}
    assert gladly.get("/topics/none").status_code == 404
    assert len(gladly.get("/inboxes").json()) == 3
    assert gladly.get("/organization").json()["id"]


def test_the_truth_lists_every_transition_in_recorded_order(sandbox):
    world = sandbox.world
    customer = world.add_customer()
    talk = world.open_conversation(customer, at=NOON - timedelta(days=3))
    world.close(talk, at=NOON - timedelta(days=2), late_s=60)
    world.reopen(talk)
    other = world.open_conversation(world.add_customer(), at=NOON - timedelta(days=2, hours=1))
    truth = world.truth()
    assert [(t.kind, t.conversation_id) for t in truth] == [
        ("created", talk.id), ("created", other.id), ("closed", talk.id), ("reopened", talk.id),
    ]  # fmt: skip
    assert truth[2].visible_at == NOON - timedelta(days=2) + timedelta(seconds=60)
    assert {t.created_at for t in truth if t.conversation_id == talk.id} == {NOON - timedelta(days=3)}
    shown = requests.get(sandbox.gladly_url + "/sandbox/truth", timeout=5).json()
    assert [entry["kind"] for entry in shown] == ["created", "created", "closed", "reopened"]
