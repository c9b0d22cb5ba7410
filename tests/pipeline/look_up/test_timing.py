"""How much a step of look-ups takes, and when one that failed is made again (semantics 2.5)."""

from datetime import UTC, datetime, timedelta

import pytest

from state.records import RecordedEvent, Transition
from sync.pipeline.look_up.timing import LookUpTiming

BEGAN = datetime(2026, 11, 20, 8, tzinfo=UTC)


def attempts_made(timing, days):
    """Return when look-ups of an event that always fails are made, in seconds since it was recorded."""
    made, now, attempts = [], BEGAN, 0
    while now < BEGAN + timedelta(days=days):
        made.append((now - BEGAN).total_seconds())
        event = RecordedEvent(
            "m", "c", "p", Transition.CREATED, "Gladly Conversation Created", BEGAN, BEGAN, attempts,
            None, None, None,
        )  # fmt: skip
        now = timing.next_attempt(event, now)
        attempts += 1
    return made


def test_an_event_that_never_gets_an_answer_has_five_attempts_in_its_cycle_and_24_a_day():
    """The first five pass within a cycle. No later day has more than 24 either."""
    timing = LookUpTiming()
    made = attempts_made(timing, days=3)
    in_the_cycle = [
        at for at in made if at <= sum(wait for wait in timing.again_s if wait <= timing.linger_s)
    ]
    by_day = [sum(day <= at / 86_400 < day + 1 for at in made) for day in range(3)]
    assert len(in_the_cycle) == 5
    assert by_day == [24, 24, 24]


@pytest.mark.parametrize(
    ("pace", "seconds", "expected"),
    [
        pytest.param(7, None, 21, id="six seconds of requests, two an event"),
        pytest.param(30, None, 90, id="six seconds at a faster pace"),
        pytest.param(7, 1.0, 5, id="a short pass takes less, and never nothing"),
        pytest.param(30, 2.0, 30, id="no more than the time that is left"),
        pytest.param(30, -1.0, 5, id="the time is over"),
        pytest.param(0.01, None, 5, id="the slowest pace"),
        pytest.param(1_000, None, 300, id="no more than are written together"),
    ],
)
def test_a_step_takes_what_can_be_looked_up_in_its_time(pace, seconds, expected):
    """So a step is written every few seconds, at any pace."""
    assert LookUpTiming().at_pace(pace).events_in(seconds) == expected


def test_without_a_pace_a_step_takes_as_many_as_are_written_together():
    """Tests and dry runs set no pace."""
    assert LookUpTiming(step_events=7).events_in(0.5) == 7


def test_a_step_takes_less_where_another_integration_needs_gladlys_requests():
    """What the last step came to counts, and a step is never larger than the pace allows."""
    timing = LookUpTiming().at_pace(30)
    assert timing.events_in(None, per_second=2.0) == 12
    assert timing.events_in(None, per_second=0.1) == 5
    assert timing.events_in(None, per_second=500.0) == timing.events_in(None)
