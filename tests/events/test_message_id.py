"""The id of an event: one for each transition, for ever (semantics 4.2)."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from state.records import EventType, Transition
from sync.events.message_id import Origin, fingerprint, message_id

CREATED_AT = datetime(2022, 7, 8, 18, 46, 37, 946_000, tzinfo=UTC)
CLOSED_AT = datetime(2022, 7, 9, 10, 0, 0, 5_999, tzinfo=UTC)
ORIGIN = Origin(fingerprint("write-key"), "acme.gladly.com")
seconds = st.datetimes(timezones=st.just(UTC), allow_imaginary=False)


def test_a_message_id_never_changes():
    """Fixed for ever: a repeat is recognised by it, also by the next release."""
    assert (
        message_id(ORIGIN, "conv", Transition.CREATED, CREATED_AT) == "1226dcf4-a79f-56b1-98e4-9eb82748aa91"
    )
    assert message_id(ORIGIN, "conv", Transition.CLOSED, CLOSED_AT) == "4c7e445d-26f3-54cf-b8b0-c435695d8758"


@given(seconds, st.integers(0, 999_999), st.integers(0, 999_999))
def test_the_same_second_is_the_same_close(moment, one, other):
    """The report may cut the fraction that the feed has (4.2)."""
    assert message_id(ORIGIN, "conv", Transition.CLOSED, moment.replace(microsecond=one)) == message_id(
        ORIGIN, "conv", Transition.CLOSED, moment.replace(microsecond=other)
    )


@given(seconds, seconds)
def test_a_conversation_is_created_once(one, other):
    """A creation's id ignores the time (4.2)."""
    assert message_id(ORIGIN, "conv", Transition.CREATED, one) == message_id(
        ORIGIN, "conv", Transition.CREATED, other
    )


def test_whatever_makes_another_event_makes_another_id():
    """Workspace, organization, conversation, kind and second (4.2)."""
    ids = {
        message_id(ORIGIN, "conv", Transition.CREATED, CLOSED_AT),
        message_id(ORIGIN, "conv", Transition.CLOSED, CLOSED_AT),
        message_id(ORIGIN, "conv", Transition.REOPENED, CLOSED_AT),
        message_id(ORIGIN, "conv", Transition.CLOSED, CLOSED_AT + timedelta(seconds=1)),
        message_id(ORIGIN, "conv2", Transition.CLOSED, CLOSED_AT),
        message_id(Origin(fingerprint("other-key"), "acme.gladly.com"), "conv", Transition.CLOSED, CLOSED_AT),
        message_id(Origin(fingerprint("write-key"), "acme.gladly.qa"), "conv", Transition.CLOSED, CLOSED_AT),
    }
    assert len(ids) == 7
    assert all(len(id_) < 100 for id_ in ids)


def test_an_identify_call_has_an_id_of_its_own_for_each_transition():
    """Fixed for ever as well. A creation and a close of one second are two calls (1.4)."""
    ids = [message_id(ORIGIN, "conv", t, CLOSED_AT, EventType.IDENTIFY) for t in Transition]
    ids += [message_id(ORIGIN, "conv", t, CLOSED_AT) for t in Transition]
    assert len(set(ids)) == 6
    assert ids[0] == "d78c4423-7917-5417-9f9c-bb73c6914ee0"
    later = CREATED_AT + timedelta(days=1)
    assert message_id(ORIGIN, "conv", Transition.CREATED, later, EventType.IDENTIFY) == ids[0]


def test_a_write_key_cannot_be_read_from_its_fingerprint():
    """It stands in message ids and nowhere else."""
    assert "write-key" not in fingerprint("write-key")
    assert len(fingerprint("write-key")) == 16
