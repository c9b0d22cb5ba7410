"""Which of their events is which of ours: by event, conversation and instant, whatever their ids."""

import time
from datetime import timedelta

from state.instants import from_text, to_text
from sync.audit.compare_files import Theirs
from sync.audit.compare_pairs import PUSHED_WITHIN_S, Ours, pairs

BEGIN = from_text("2026-11-20T08:00:00.123Z")
CLOSED, CREATED = "Gladly Conversation Closed", "Gladly Conversation Created"


def at(minutes: float) -> str:
    return to_text(BEGIN + timedelta(minutes=minutes))


def ours(minutes: float, event: str = CLOSED, delivered: float | None = None) -> Ours:
    return Ours(
        "c", event, at(minutes), None if delivered is None else at(delivered), "delivered", None, None
    )


def theirs(minutes: float, event: str = CLOSED) -> Theirs:
    return Theirs(event, "c", f"api-{minutes}", at(minutes), at(-600), b"{}", is_row=False)


def paired(here: list[Ours], there: list[Theirs]) -> list[tuple[str | None, str | None]]:
    return [(o and o.occurred_at, t and t.received_at) for o, t in pairs(here, there)]


def test_each_close_belongs_to_the_event_that_was_pushed_at_its_time():
    """Their timestamps are all that of the creation, so the time of arrival tells closes apart."""
    assert paired([ours(0), ours(90), ours(300)], [theirs(90.01), theirs(300.02)]) == [
        (at(0), None),
        (at(90), at(90.01)),
        (at(300), at(300.02)),
    ]
    assert paired([ours(90)], [theirs(0), theirs(90), theirs(300)]) == [
        (None, at(0)),
        (at(90), at(90)),
        (None, at(300)),
    ]


def test_a_close_and_an_event_hours_apart_are_two():
    """Each side lacks one: that must not look like a match."""
    apart = PUSHED_WITHIN_S / 60 + 1
    assert paired([ours(0)], [theirs(apart)]) == [(at(0), None), (None, at(apart))]


def test_an_event_that_this_program_delivered_later_is_the_same():
    """What is compared may be our own source, and the cycle may have come hours after the close."""
    assert paired([ours(0, delivered=400)], [theirs(400)]) == [(at(0), at(400))]


def test_a_creation_belongs_to_a_creation_whenever_it_came():
    """A conversation is created once."""
    assert paired([ours(0, CREATED)], [theirs(4000, CREATED)]) == [(at(0), at(4000))]
    assert (
        len([p for p in pairs([ours(0, CREATED)], [theirs(4000, CREATED), theirs(0, CREATED)]) if p[0]]) == 1
    )


def test_without_an_instant_the_order_counts():
    """A table may lack received_at."""
    bare = [theirs(0)._replace(received_at="", stamp=""), theirs(1)._replace(received_at="", stamp="")]
    assert [t for _, t in pairs([ours(0), ours(500)], bare)] == bare


def test_a_conversation_with_thousands_of_events_costs_no_more_than_its_events():
    """Nobody can make the comparison slow with one conversation."""
    begun = time.monotonic()
    found = pairs([ours(n) for n in range(3000)], [theirs(n) for n in range(3001)])
    assert len(found) == 3001
    assert time.monotonic() - begun < 2
