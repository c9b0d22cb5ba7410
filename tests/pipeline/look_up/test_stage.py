"""What recorded events need is looked up, and what was got is kept (semantics 2.4 to 2.6)."""

import time

import pytest

from sandbox import Fault
from state.records import EventStatus
from support.endpoints import AGENTS, CONVERSATIONS, PROFILES
from support.state_file import rows
from support.worlds import busy_minutes
from sync.errors import CredentialsRefusedError, RetryableError
from sync.pipeline.look_up.stage import LookUpFigures
from sync.pipeline.look_up.timing import LookUpTiming
from sync.segment.limits import SegmentLimits


@pytest.fixture
def record(sandbox, ago):
    """Return a function that records what Gladly shows of the last ten minutes: `record(parts)`."""

    def begin(parts):
        for chunk in parts.feed.since(ago(600)):
            with parts.deliverer.begin() as delivery:
                parts.record.record(chunk, delivery)

    return begin


def look_up(parts, **how):
    """Look up what is due, and send nothing."""
    with parts.deliverer.begin() as delivery:
        return parts.look_up.run(delivery, **how)


def events(parts, columns="conversation_id, status"):
    return rows(parts.store.path, f"SELECT {columns} FROM events ORDER BY occurred_at, rowid")


def asked(sandbox, part):
    return [r.path for r in sandbox.gladly_requests if part in r.path]


def test_recorded_events_become_pending_with_their_bytes(parts, sandbox, record):
    """A conversation is asked for once for all of its events, and a profile once."""
    ids = busy_minutes(sandbox, 2)
    record(parts)
    assert look_up(parts) == LookUpFigures(looked_up=4)
    assert events(parts) == [(id_, "pending") for id_ in ids for _ in range(2)]
    assert all(payload for (payload,) in events(parts, "payload"))
    assert len(asked(sandbox, "/conversations/")) == len(asked(sandbox, "/customer-profiles/")) == 2
    assert look_up(parts) == LookUpFigures()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(500, times=None), id="500"),
        pytest.param(Fault(403, times=None), id="403"),
        pytest.param(Fault(400, times=None), id="400"),
        pytest.param(Fault(404, body=b"<html>no</html>", times=None), id="a 404 that is not Gladly's"),
        pytest.param(Fault(200, body=b"<html>hello</html>", times=None), id="a page"),
        pytest.param(Fault(200, body=b"{}", times=None), id="nothing in it"),
        pytest.param(Fault(200, body=b'{"errors":[{"detail":"no"}]}', times=None), id="errors"),
        pytest.param(
            Fault(200, body=b'{"id":"x","customerId":"y","status":"OPEN","createdAt":"z"}', times=None),
            id="another object",
        ),
        pytest.param(Fault(200, body=b'{"id":"a', times=None), id="half a body"),
        pytest.param(Fault(200, body=b'{"a":"' + b"x" * 2_000_000 + b'"}', times=None), id="too long"),
    ],
)
@pytest.mark.parametrize("kind", ["conversations", "customer-profiles"])
def test_one_object_holds_back_its_own_events_only(parts, sandbox, record, kind, fault):
    """The others go on. It is tried again, and healed its events become pending in order (faults H2.1)."""
    ids = busy_minutes(sandbox, 3)
    record(parts)
    owner = parts.store.conversations([ids[1]])[ids[1]].customer_id
    bad = ids[1] if kind == "conversations" else owner
    sandbox.faults.add("gladly", f"/api/v1/{kind}/{bad}", fault)
    assert look_up(parts) == LookUpFigures(looked_up=4, held_back=1)
    assert events(parts) == [
        (id_, "recorded" if id_ == ids[1] else "pending") for id_ in ids for _ in range(2)
    ]
    ((path, attempts, reason),) = rows(
        parts.store.path,
        "SELECT waits_for, attempts, reason FROM events WHERE next_attempt_at IS NOT NULL",
    )
    assert (path, attempts) == (f"/{kind}/{bad}", 1)
    assert reason
    sandbox.faults.clear()
    assert parts.store.recorded.retry(None) == 1
    assert look_up(parts) == LookUpFigures(looked_up=2)
    assert {status for _, status in events(parts)} == {"pending"}


def test_one_object_is_asked_for_five_times_a_cycle(parts_of, sandbox, record):
    """Its waits grow. The cycle lingers for those that are short."""
    parts = parts_of(look_up_timing=LookUpTiming(again_s=(0.01, 0.01, 0.01, 0.01, 30.0), linger_s=1.0))
    (id_,) = busy_minutes(sandbox, 1)
    record(parts)
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(500, times=None))
    look_up(parts)
    assert len(asked(sandbox, id_)) == 5


def test_half_of_all_look_ups_failing_loses_no_good_one(parts_of, sandbox, record):
    """Every good answer counts (faults H2.2)."""
    parts = parts_of(look_up_timing=LookUpTiming(again_s=(0.01,) * 20, linger_s=1.0))
    ids = busy_minutes(sandbox, 20)
    record(parts)
    for n in range(60):
        sandbox.faults.add("gladly", CONVERSATIONS if n % 2 else PROFILES, Fault(503))
    assert look_up(parts).looked_up == 40
    good = [r.path for r in sandbox.gladly_requests if r.status == 200 and "/organization" not in r.path]
    assert len([path for path in good if "/conversations/" in path]) <= 1.2 * len(ids) + 60
    assert {status for _, status in events(parts)} == {"pending"}


def test_gladly_down_is_told_from_one_object(parts_of, sandbox, record):
    """After some failures in a row Gladly is asked whether it is there. What was not asked for stays due."""
    parts = parts_of()
    busy_minutes(sandbox, 30)
    record(parts)
    sandbox.faults.add("gladly", "*", Fault(503, times=None))
    with pytest.raises(RetryableError, match="503"):
        look_up(parts)
    assert len(asked(sandbox, "/organization")) == 1
    sandbox.faults.clear()
    parts.store.recorded.retry(None)
    look_up(parts)
    assert {status for _, status in events(parts)} == {"pending"}


def test_a_refused_token_is_told_from_one_object(parts, sandbox, record):
    """Gladly is asked where everybody may ask."""
    busy_minutes(sandbox, 2)
    record(parts)
    sandbox.faults.add("gladly", "*", Fault(401, times=None))
    with pytest.raises(CredentialsRefusedError):
        look_up(parts)
    assert {status for _, status in events(parts)} == {"recorded"}


def test_too_many_requests_are_no_failure_of_an_object(parts, sandbox, record):
    """The pace slows down, and the object is asked for again."""
    busy_minutes(sandbox, 2)
    record(parts)
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(429, {"Retry-After": "0.05"}, times=3))
    assert look_up(parts) == LookUpFigures(looked_up=4)
    assert {attempts for (attempts,) in events(parts, "attempts")} == {0}


@pytest.mark.parametrize("is_gone", [True, False])
def test_a_404_is_believed_when_it_is_answered_twice(parts_of, sandbox, record, is_gone):
    """A minute apart. A replica that lags is not believed (faults H1.11)."""
    parts = parts_of(look_up_timing=LookUpTiming(not_found_again_s=0.2, linger_s=0.0))
    talk = sandbox.world.open_conversation(sandbox.world.add_customer("Ida Roe", recorded=False))
    sandbox.world.close(talk)
    record(parts)
    if is_gone:
        sandbox.world.delete(talk.customer_id)
    else:
        sandbox.faults.add("gladly", PROFILES, Fault(404, body=b'{"errors":[{"code":"not_found"}]}'))
    look_up(parts)
    assert {status for _, status in events(parts)} == {"recorded"}
    time.sleep(0.25)
    look_up(parts)
    expected = "suppressed" if is_gone else "pending"
    assert {status for _, status in events(parts)} == {expected}
    assert (talk.customer_id in parts.store.deleted_customers([talk.customer_id])) is is_gone
    assert rows(parts.store.path, "SELECT count(*) FROM not_found") == [(1 + 1 if is_gone else 0,)]


def test_a_list_of_agents_that_never_comes_holds_up_nothing(parts, sandbox, record):
    """Agents are asked for one by one then."""
    sam = sandbox.world.add_agent("Sam Doe")
    sandbox.world.open_conversation(sandbox.world.add_customer("Ana"), agent=sam)
    record(parts)
    sandbox.faults.add("gladly", AGENTS, Fault(500, times=None))
    assert look_up(parts) == LookUpFigures(looked_up=1)
    ((payload,),) = events(parts, "payload")
    assert "Sam Doe" in payload


def test_two_closes_have_their_own_agents_and_topics(parts, sandbox, record, ago):
    """A closed event says what was true at that close (semantics 2.6)."""
    world = sandbox.world
    sam, kim = world.add_agent("Sam Doe"), world.add_agent("Kim Poe")
    one, two = world.add_topic("Returns"), world.add_topic("Refunds")
    talk = world.open_conversation(world.add_customer("Ana"), agent=sam, at=ago(100))
    world.add_topic_to(talk, one, at=ago(90))
    world.close(talk, at=ago(80))
    world.reopen(talk, at=ago(70))
    world.assign(talk, kim, at=ago(60))
    world.add_topic_to(talk, two, at=ago(50))
    world.close(talk, at=ago(40))
    record(parts)
    look_up(parts)
    shown = [
        (r[0], r[1], r[2])
        for r in events(
            parts,
            "transition, payload ->> '$.properties.agentName', payload -> '$.properties.topicIds'",
        )
        if r[0] == "closed"
    ]
    assert shown == [
        ("closed", "Sam Doe", f'["{one.id}"]'),
        ("closed", "Kim Poe", f'["{one.id}","{two.id}"]'),
    ]


def test_a_pass_ends_between_two_steps_when_its_time_is_over(parts_of, sandbox, record):
    """The next one goes on."""
    parts = parts_of(look_up_timing=LookUpTiming(step_events=2))
    busy_minutes(sandbox, 4)
    record(parts)
    assert look_up(parts, seconds=0.0) == LookUpFigures(looked_up=2, is_done=False)
    assert look_up(parts).looked_up == 6


def test_given_up_events_are_suppressed(parts, sandbox, record):
    """`dismiss`. The others of its conversation go on."""
    busy_minutes(sandbox, 1)
    record(parts)
    sandbox.faults.add("gladly", CONVERSATIONS, Fault(500))
    look_up(parts)
    assert parts.store.recorded.dismiss(None) == 1
    look_up(parts)
    assert events(parts, "status, reason") == [("suppressed", "dismissed"), ("pending", None)]


def test_a_customer_who_is_gone_gets_no_event(parts, sandbox, record):
    """The profile is gone before the feed says so. The event is suppressed, and nothing personal is kept."""
    world = sandbox.world
    talk = world.close(world.open_conversation(world.add_customer("Ida Roe", recorded=False)))
    record(parts)
    world.delete(talk.customer_id)
    look_up(parts)
    suppressed = (EventStatus.SUPPRESSED, "customer's profile is gone (404)", None)
    assert events(parts, "status, reason, payload") == [suppressed] * 2
    assert parts.store.deleted_customers([talk.customer_id]).keys() == {talk.customer_id}


def test_an_event_that_is_too_large_is_rejected_at_once(parts_of, sandbox, record):
    """A person finds it, with its size, and Segment is not asked."""
    busy_minutes(sandbox, 1)
    parts = parts_of(segment_limits=SegmentLimits(event_max_bytes=100))
    record(parts)
    look_up(parts)
    found = events(parts, "status, reason")
    assert {status for status, _ in found} == {EventStatus.REJECTED}
    assert all(reason.endswith("and Segment takes at most 100 an event") for _, reason in found)
