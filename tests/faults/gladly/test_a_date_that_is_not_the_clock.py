"""The `Date` of Gladly's answers is not the clock of its records (faults H1.4)."""

from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from structlog.testing import capture_logs

from support.checker import problems
from support.endpoints import EVENTS
from support.program import OVERLAP, newest_stored
from support.proxy import Proxy, RawResponse
from support.proxy_actions import rewrite
from support.worlds import busy_minutes

S, H, Y = timedelta(seconds=1), timedelta(hours=1), timedelta(days=365)
ROUNDING = 2 * S  # `Date` has whole seconds, and the world's clock stands still while ours goes on


def dated(off, **more):
    """Give an answer a `Date` that is off by that much, and more headers."""

    def changed(answer):
        (date,) = (value for name, value in answer.headers if name.lower() == "date")
        shown = format_datetime(parsedate_to_datetime(date) + off, usegmt=True)
        headers = [*answer.without("date"), ("date", shown), *more.items()]
        return RawResponse(answer.status, answer.reason, headers, answer.body)

    return rewrite(changed)


@pytest.mark.parametrize("restarts", [False, True], ids=["a daemon", "a process a cycle"])
@pytest.mark.parametrize(
    ("off", "times", "path"),
    [
        pytest.param(70 * S, None, "*", id="70 s ahead for good"),
        pytest.param(300 * S, None, "*", id="5 min ahead for good"),
        pytest.param(2 * H, 1, EVENTS, id="2 h ahead in one answer"),
        pytest.param(Y, 1, EVENTS, id="a year ahead in one answer"),
        pytest.param(2 * H, 2, "*", id="2 h ahead in the first answers"),
        pytest.param(26 * H, None, "*", id="a day ahead for good"),
        pytest.param(-300 * S, None, "*", id="5 min behind for good"),
        pytest.param(-Y, 1, EVENTS, id="a year behind in one answer"),
    ],
)
def test_a_date_that_is_off_loses_nothing(begin, sandbox, off, times, path, restarts):
    """
    The watermark stays behind the clock of the records, and what becomes visible later is read. A clock that
    is off is said (faults H1.4).
    """
    busy_minutes(sandbox, 2)
    with Proxy(sandbox.gladly_url) as proxy, capture_logs() as logs:
        proxy.on(path, dated(off), times=times)
        program = begin(gladly=proxy.url)
        for n in range(4):
            assert program.run().errors == []
            assert program.watermark <= sandbox.clock.now() - OVERLAP + ROUNDING
            late = sandbox.clock.now() - timedelta(seconds=14)
            sandbox.world.open_conversation(
                sandbox.world.add_customer(f"Late {n}", recorded=False, at=late), at=late
            )
            if restarts:
                program.restart()
        assert program.run().errors == []
    assert problems(sandbox) == []
    assert any(log["event"] == "clock.skewed" for log in logs)


@pytest.mark.parametrize("age", ["0", "37", "7200"])
@pytest.mark.parametrize("off", [timedelta(0), 2 * H], ids=["right", "2 h ahead"])
def test_an_answer_of_a_cache_moves_the_watermark_no_further_than_its_newest_change(begin, sandbox, age, off):
    """An answer that shows an `Age` is no witness of the time (faults H1.4)."""
    busy_minutes(sandbox, 4)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, dated(off, Age=age))
        program = begin(gladly=proxy.url)
        for _ in range(2):
            assert program.run().errors == []
            assert program.watermark == newest_stored(program) - OVERLAP
        proxy.script.clear()
        assert program.run().errors == []
        assert program.watermark >= sandbox.clock.now() - OVERLAP - ROUNDING
    assert problems(sandbox) == []


@pytest.mark.parametrize("ahead", [90 * S, 2 * H, 30 * H, 10 * Y], ids=str)
@pytest.mark.parametrize("restarts", [False, True], ids=["a daemon", "a new process"])
def test_a_watermark_that_was_led_into_the_future_recovers_by_itself(begin, sandbox, ahead, restarts):
    """What was recorded meanwhile is read, and what is known is recognised (faults H1.4)."""
    busy_minutes(sandbox, 2)
    program = begin()
    assert program.run().errors == []
    missed = sandbox.clock.now() - timedelta(minutes=30)
    sandbox.world.open_conversation(
        sandbox.world.add_customer("Missed", recorded=False, at=missed), at=missed
    )
    program.store.reset_watermark(sandbox.clock.now() + ahead)
    if restarts:
        program.restart()
    else:
        program.pipeline.cycle._poller.unwritten_position = None
    assert program.run().errors == []
    assert program.watermark <= sandbox.clock.now() - OVERLAP + ROUNDING
    assert program.run().errors == []
    assert problems(sandbox) == []
    assert sandbox.inbox.repeats.total() == 0
