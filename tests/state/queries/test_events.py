"""Events as the command `events` shows them."""

import pytest

from state.reader import Reader
from support.state_samples import EVENT_COLUMNS, commit, eight, event


def test_the_latest_events_come_first(reader):
    """By the time Gladly recorded them."""
    assert [e["message_id"] for e in reader.events()] == ["m-4", "m-3", "m-2", "m-1"]
    assert [e["message_id"] for e in reader.events(limit=2)] == ["m-4", "m-3"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param({"status": "rejected"}, ["m-2"], id="by status"),
        pytest.param({"conversation": "c-1"}, ["m-3", "m-1"], id="by conversation"),
        pytest.param({"conversation": "c-1", "status": "delivered"}, ["m-1"], id="by both"),
        pytest.param({"conversation": "nobody's"}, [], id="by what there is not"),
        pytest.param({"conversation": "' OR 1=1 --"}, [], id="by what looks like SQL"),
    ],
)
def test_events_can_be_asked_for(reader, asked, expected):
    """By status, by conversation, by both."""
    assert [e["message_id"] for e in reader.events(**asked)] == expected


def test_an_event_is_shown_with_its_columns_and_its_payload_as_an_object(reader):
    """The columns of interface 4; a payload that is gone is null."""
    suppressed, closed = reader.events(limit=2)
    assert set(closed) >= EVENT_COLUMNS
    assert closed["payload"]["properties"] == {"email": "zoe@example.com"}
    assert (suppressed["payload"], suppressed["reason"]) == (None, "gone")


def test_new_events_are_followed_in_the_order_they_arrive(path, busy):
    """Each with its place, from which to go on; an event that happened earlier is new all the same."""
    with Reader(path) as reader:
        last = reader.last_event()
        assert list(reader.events_after(last)) == []
        commit(busy, event("m-5", at=eight(-600), conversation="c-9"), event("m-6"))
        followed = list(reader.events_after(last))
        assert [e["message_id"] for _, e in followed] == ["m-5", "m-6"]
        assert [e["message_id"] for _, e in reader.events_after(followed[0][0])] == ["m-6"]
        assert [e["message_id"] for _, e in reader.events_after(last, conversation="c-9")] == ["m-5"]
        assert list(reader.events_after(last, status="rejected")) == []
