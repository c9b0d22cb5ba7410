"""Look-ups: what is fetched, what is kept and for how long (semantics 2.4)."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from sandbox import Fault
from support.worlds import NOON
from sync.events.changes import Change, ChangeType
from sync.events.gladly_objects import Email, Phone, Profile
from sync.gladly.limits import GladlyLimits
from sync.gladly.objects.lookups import KeptProfile, Lookups
from sync.gladly.objects.names import Failed
from sync.gladly.objects.objects_api import ReadProfile


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(Profile(id="c-1"), id="nothing known"),
        pytest.param(
            Profile(
                id="c-1",
                name="Zoë Quinn",
                emails=[Email(normalized="zoe@example.com", primary=True)],
                phones=[Phone(original="(212) 555-0123", region_code="US")],
                custom_attributes={"membershipTier": "gold", "nested": {"visits": [3, None, 2.5]}},
            ),
            id="all known",
        ),
        pytest.param(Profile(id="c-1", name="half \ud83d"), id="half a character, which has no UTF-8"),
    ],
)
def test_what_is_kept_is_what_was_read(profile: Profile) -> None:
    """
    Every field is the same. The customer's id is kept beside it, for the changes that make the profile out of
    date.
    """
    kept = KeptProfile.of(ReadProfile(profile, NOON))
    assert kept.id == "c-1"
    assert kept.profile() == profile


# Nothing kept was read after this.
NOW = datetime.max.replace(tzinfo=UTC)


@pytest.fixture
def lookups(client):
    made = Lookups(client)
    yield made
    made.close()


def fetched(sandbox):
    """The ids that were asked for, in any order."""
    return sorted(r.path.rsplit("/", 1)[1] for r in sandbox.gladly_requests)


@pytest.fixture
def people(sandbox):
    """Three customers, each with a conversation: the ids of both."""
    customers = [sandbox.world.add_customer(f"Customer {n}") for n in range(3)]
    return [c.id for c in customers], [sandbox.world.open_conversation(c).id for c in customers]


def test_a_conversation_is_fetched_once_a_pass(lookups, sandbox, people):
    """Also one that is gone, and also where it is asked for twice at once."""
    _, ids = people
    for _ in range(2):
        found = lookups.conversations(dict.fromkeys([*ids, "gone"], NOW))
        assert {id_: now and now.id for id_, now in found.items()} == {id_: id_ for id_ in ids} | {
            "gone": None
        }
    assert fetched(sandbox) == sorted([*ids, "gone"])
    lookups.begin_pass()
    lookups.conversations({ids[0]: NOW})
    assert fetched(sandbox).count(ids[0]) == 2


def test_a_conversation_is_kept_for_changes_before_it_was_read(lookups, sandbox, people):
    """So an event that waits for another answer costs no second request. A 404 is asked for in each pass."""
    _, ids = people
    read_at = sandbox.clock.now().replace(microsecond=0)
    for at in (read_at, read_at - timedelta(days=1), read_at + timedelta(seconds=1)):
        lookups.begin_pass()
        lookups.conversations({ids[0]: at, "gone": at})
    assert fetched(sandbox) == sorted([*ids[:1] * 2, *["gone"] * 3])


def test_a_profile_is_kept_until_a_change_shows_that_it_is_out_of_date(lookups, sandbox, people):
    """Over any number of passes."""
    (ana, bea, cem), _ = people
    lookups.profiles(dict.fromkeys([ana, bea, cem], NOON))
    lookups.begin_pass()
    lookups.profiles(dict.fromkeys([ana, bea, cem], NOON))
    assert fetched(sandbox) == sorted([ana, bea, cem])
    lookups.note(
        [
            Change("1", ChangeType.PROFILE_UPDATED, NOON, ana),
            Change("2", ChangeType.CLOSED, NOON, bea, "v"),
            Change("3", ChangeType.CUSTOMER_MERGED, NOON, "other", into_customer_id=cem),
        ],
        NOON,
    )
    lookups.profiles(dict.fromkeys([ana, bea, cem], NOON))
    assert fetched(sandbox) == sorted([ana, ana, bea, cem, cem])
    lookups.note([], None)
    lookups.profiles(dict.fromkeys([bea], NOON))
    assert fetched(sandbox).count(bea) == 2


def test_a_deleted_profile_is_none_and_asked_for_again(lookups, sandbox):
    """Nothing is kept of it."""
    for _ in range(2):
        assert lookups.profiles(dict.fromkeys(["gone"], NOON)) == {"gone": None}
    assert fetched(sandbox) == ["gone", "gone"]


def test_no_more_is_kept_than_the_limits_say(client_of, sandbox, people):
    """What was fetched first goes first."""
    (ana, bea, cem), _ = people
    lookups = Lookups(client_of(limits=GladlyLimits(kept_profiles=2)))
    lookups.profiles(dict.fromkeys([ana, bea, cem], NOON))
    lookups.profiles(dict.fromkeys([bea, cem], NOON))
    assert len(fetched(sandbox)) == 3
    lookups.profiles(dict.fromkeys([ana], NOON))
    assert len(fetched(sandbox)) == 4
    lookups.close()


def test_between_two_requests_the_caller_is_given_a_turn(lookups, people):
    """In its own thread; what is kept already is no request."""
    _, ids = people
    turns = []
    lookups.conversations(dict.fromkeys(ids, NOW), lambda: turns.append(threading.get_ident()))
    assert turns == [threading.get_ident()] * len(turns)
    assert 1 <= len(turns) <= 3
    before = len(turns)
    lookups.conversations(dict.fromkeys(ids, NOW), lambda: turns.append(0))
    assert len(turns) == before


def test_slow_requests_are_made_beside_each_other(lookups, sandbox):
    """They take as long as a few, and not as long as all."""
    ids = [sandbox.world.open_conversation(sandbox.world.add_customer(f"C {n}")).id for n in range(24)]
    sandbox.gladly.latency_s = 0.1
    began = time.monotonic()
    assert set(lookups.conversations(dict.fromkeys(ids, NOW))) == set(ids)
    assert time.monotonic() - began < 1.5


def test_one_object_that_fails_does_not_end_the_others(lookups, sandbox, people):
    """It is `Failed`, with its path and a sentence."""
    _, ids = people
    sandbox.faults.add("gladly", f"/api/v1/conversations/{ids[1]}", Fault(503, times=None))
    found = lookups.conversations(dict.fromkeys(ids, NOW))
    assert [found[ids[0]].id, found[ids[2]].id] == [ids[0], ids[2]]
    assert isinstance(found[ids[1]], Failed)
    assert found[ids[1]].path == f"/conversations/{ids[1]}"
    assert "answered 503" in found[ids[1]].reason
    lookups.raise_what_is_wrong()


def test_a_kept_profile_is_used_only_where_it_is_known_to_be_current(lookups, sandbox, people):
    """An update becomes visible up to 15 seconds late. So a change just recorded may come after one."""
    (ana, *_), _ = people
    lookups.profiles({ana: NOON})
    later = NOON + timedelta(minutes=1)
    lookups.note([], later)
    lookups.profiles({ana: NOON + timedelta(seconds=45)})
    assert fetched(sandbox) == [ana]
    lookups.profiles({ana: NOON + timedelta(seconds=46)})
    assert fetched(sandbox) == [ana, ana]


def test_names_are_looked_up_by_id(lookups, sandbox):
    """No id has no name."""
    sam, topic = sandbox.world.add_agent("Sam Doe"), sandbox.world.add_topic("Returns")
    assert (lookups.agent_name(sam.id), lookups.agent_name("x"), lookups.agent_name(None)) == (
        "Sam Doe",
        None,
        None,
    )
    assert (lookups.topic_name(topic.id), lookups.topic_name("x")) == ("Returns", None)


def test_conversations_and_profiles_are_asked_for_in_turn(lookups, sandbox, people):
    """What was got when Gladly goes down makes whole events."""
    customers, ids = people
    conversations, profiles = lookups.both(dict.fromkeys(ids, NOW), dict.fromkeys(customers, NOW))
    assert (list(conversations), list(profiles)) == (ids, customers)
    kinds = [r.path.split("/")[-2] for r in sandbox.gladly_requests]
    assert kinds == ["conversations", "customer-profiles"] * 3
