"""The pace of requests: evenly spaced, over all threads, and held where Gladly asks for it."""

import threading
import time
from itertools import pairwise

import pytest

from sync.errors import RetryableError, StoppedError
from sync.http.pacer import Pacer, Yielding
from sync.stop import Stop


def pacer_of(requests_per_second, stop=None, patience_s=8.0, **more):
    return Pacer(requests_per_second, stop or Stop(), patience_s=patience_s, **more)


def passes(pacer, count):
    """When so many requests passed."""
    moments = []
    for _ in range(count):
        pacer.wait()
        moments.append(time.monotonic())
    return moments


def test_requests_are_evenly_spaced():
    """No burst, also not at the beginning: a leaky bucket may refuse one."""
    moments = passes(pacer_of(50), 11)
    assert moments[-1] - moments[0] >= 10 / 50 - 0.02
    assert all(later - earlier >= 0.5 / 50 for earlier, later in pairwise(moments))


def test_threads_share_one_pace():
    """However many there are."""
    pacer, moments = pacer_of(50), []
    threads = [threading.Thread(target=lambda: moments.extend(passes(pacer, 3))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(moments) - min(moments) >= 11 / 50 - 0.02


def test_a_pause_is_not_made_up_for():
    """After it the requests are spaced as before."""
    pacer = pacer_of(50)
    passes(pacer, 2)
    time.sleep(0.3)
    moments = passes(pacer, 6)
    assert moments[-1] - moments[0] >= 4 / 50 - 0.02


def test_a_hold_lets_nothing_pass_and_is_counted():
    """For as long as Gladly asked, also where a shorter hold comes after it."""
    pacer = pacer_of(1_000)
    pacer.hold(0.3)
    pacer.hold(0.1)
    began = time.monotonic()
    pacer.wait()
    assert time.monotonic() - began >= 0.29
    assert pacer.holds == 2


def test_a_hold_also_holds_those_who_wait_already():
    """A thread that waits for its turn when the hold comes passes after it."""
    pacer, moments = pacer_of(5), []
    pacer.wait()
    waiting = threading.Thread(target=lambda: moments.extend(passes(pacer, 1)))
    waiting.start()
    time.sleep(0.05)
    pacer.hold(0.5)
    held_at = time.monotonic()
    waiting.join()
    assert moments[0] - held_at >= 0.49


def test_a_hold_beyond_the_patience_is_an_error_at_once():
    """With the wait that is left, for the next cycle."""
    pacer = pacer_of(10, patience_s=0.2)
    pacer.hold(60.0)
    began = time.monotonic()
    with pytest.raises(RetryableError, match="Gladly asks to wait 60 s more") as raised:
        pacer.wait()
    assert 59 < raised.value.retry_after_s <= 60
    assert time.monotonic() - began < 1


def test_a_used_up_second_is_waited_out():
    """`Ratelimit-Remaining-Second: 0`: until a second after our first request in it."""
    pacer = pacer_of(100)
    (first,) = passes(pacer, 1)
    pacer.hold_for_this_second()
    (second,) = passes(pacer, 1)
    assert 0.95 <= second - first < 2


def test_a_stop_ends_the_wait():
    """Whoever waits for a turn hears of it at once."""
    stop = Stop()
    pacer = pacer_of(0.01, stop)
    pacer.wait()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        pacer.wait()
    assert time.monotonic() - began < 5


def pace_of(pacer, requests=3):
    """The requests a second that pass now."""
    moments = passes(pacer, requests)
    return (requests - 1) / (moments[-1] - moments[0])


def test_the_pace_goes_down_when_little_is_left_and_comes_back():
    """It stays where enough is left for now, and comes back to the whole pace, and not beyond."""
    pacer = pacer_of(200, yielding=Yielding(each_s=0.0, back_s=1.0))
    for _ in range(4):
        pacer.heard(0.1)
    assert 50 < pace_of(pacer, 6) < 100
    pacer.heard(0.4)
    assert 50 < pace_of(pacer, 6) < 100
    for left in (0.9, None, 0.5, 1.0, None):
        time.sleep(0.25)
        pacer.heard(left)
    assert 150 < pace_of(pacer, 21) <= 210


def test_a_refusal_halves_the_pace_once_for_a_burst():
    """The answers of one burst say the same. The pace never ends."""
    pacer = pacer_of(100)
    for _ in range(8):
        pacer.refused()
    assert 40 < pace_of(pacer, 6) < 60
    pacer = pacer_of(1_000, yielding=Yielding(each_s=0.0))
    for _ in range(50):
        pacer.refused()
    assert pace_of(pacer) > 25
