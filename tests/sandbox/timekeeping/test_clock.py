"""The clock moves as it is told."""

from datetime import timedelta

import pytest

from sandbox import Clock
from support.sandbox_clients import NOON


def test_clock_moves_as_told():
    clock = Clock(NOON, pace=0)
    clock.advance(90)
    assert clock.now() == NOON + timedelta(seconds=90)
    clock.set(NOON)
    assert clock.now() == NOON
    fast = Clock(NOON, pace=1000)
    assert fast.now() < fast.now()
    with pytest.raises(ValueError, match="aware"):
        Clock(NOON.replace(tzinfo=None))
