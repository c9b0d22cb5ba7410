"""The log of a person: a line for each event, a cycle's short enough for any terminal."""

import re

import pytest

from support.terminal import show
from sync.telemetry.console import ConsoleRenderer

AT = "2026-11-20T08:00:05.123456Z"


def line(event, *, on_terminal=False, colors=False, level="info", **fields):
    render = ConsoleRenderer(on_terminal=on_terminal, colors=colors)
    return render(None, "", {"timestamp": AT, "level": level, "event": event, **fields})


def cycle(**figures):
    nothing = {"changes": 0, "created": 0, "closed": 0, "delivered": 0, "requests": 1}
    return {"outcome": "ok", "cycle": AT, "seconds": 0.123, **nothing, **figures}


def test_a_cycle_is_one_short_line():
    """Its outcome, the figures that are not 0, and how long it took."""
    told = line("cycle.finished", **cycle(changes=12, created=3, closed=2, delivered=5))
    assert (
        told == "2026-11-20T08:00:05Z cycle.finished ok: 12 changes, 3 created, 2 closed, 5 delivered, 0.1 s"
    )
    assert line("cycle.finished", **cycle()) == "2026-11-20T08:00:05Z cycle.finished ok: nothing new, 0.1 s"


def test_on_a_terminal_it_fits_80_columns():
    """With the figures of a busy minute."""
    told = line("cycle.finished", on_terminal=True, **cycle(changes=99, created=9, closed=9, delivered=18))
    assert re.fullmatch(r"\d\d:\d\d:\d\d cycle\.finished ok: 99 changes, .*", told)
    assert len(told) <= 80


def test_every_other_event_has_its_fields_and_last_its_error():
    """Quoted where they would not be told from each other."""
    assert (
        line("daemon.started", pid=7, state="/a b")
        == '2026-11-20T08:00:05Z daemon.started pid=7 state="/a b"'
    )
    assert line("gladly.failed", level="error", error="Gladly answered 500.", cycle=AT) == (
        "2026-11-20T08:00:05Z error gladly.failed: Gladly answered 500."
    )


def test_a_traceback_stands_below():
    """Where `--debug` asks for one."""
    assert line("part.failed", error="Why.", exception="Traceback").endswith("part.failed: Why.\nTraceback")


@pytest.mark.parametrize("columns", [80, 120])
def test_a_cycle_in_a_terminal_is_one_line(installation, opened, columns):
    """As a person sees it who runs `once`."""
    opened()
    shown = show(
        "once", columns=columns, directory=installation.directory, environment=installation.environment
    )
    assert shown.code == 0
    (told,) = shown.lines
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d cycle\.finished ok: 2 changes, 1 created, 1 delivered, \d+\.\d s", told
    )
