"""The wish to end: whoever waits hears of it at once."""

import signal
import threading
import time

import pytest

from sync.errors import StoppedError
from sync.stop import Hangup, Stop


def test_nothing_ends_until_it_is_asked_for():
    """A wait takes its time, and says that nobody asked."""
    stop = Stop()
    began = time.monotonic()
    assert stop.wait(0.05) is False
    assert time.monotonic() - began >= 0.05
    stop.sleep(0)
    stop.check()
    assert not stop.is_set()


@pytest.mark.parametrize("seconds", [1e6, 1e12, 1e300, float("inf"), None])
def test_a_wait_may_be_longer_than_poll_takes(seconds):
    """poll(2) takes 24 days at most. The wait still ends at once when an end is asked for (faults H2.7)."""
    stop = Stop()
    threading.Timer(0.1, stop.set).start()
    began = time.monotonic()
    assert stop.wait(seconds)
    assert 0.05 < time.monotonic() - began < 5


def test_a_wait_ends_when_an_end_is_asked_for():
    """In every thread that waits, and for every wait that begins afterwards."""
    stop, found = Stop(), []
    threads = [threading.Thread(target=lambda: found.append(stop.wait(30))) for _ in range(3)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    stop.set()
    for thread in threads:
        thread.join()
    assert stop.wait(30)
    assert time.monotonic() - began < 5
    assert found == [True] * 3


def test_a_sleep_and_a_check_raise():
    """Whoever works finds out between two steps."""
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        stop.sleep(30)
    with pytest.raises(StoppedError):
        stop.check()


def test_callbacks_are_called_once_however_often_it_is_asked_for():
    """In the thread that asks."""
    stop, called = Stop(), []
    stop.on_set(lambda: called.append(threading.get_ident()))
    stop.set()
    stop.set()
    assert called == [threading.get_ident()]


def test_a_hangup_is_noted_once():
    """SIGHUP does not end the process (faults H2.16)."""
    before, hangup = signal.getsignal(signal.SIGHUP), Hangup()
    try:
        hangup.listen()
        assert not hangup.came()
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        assert (hangup.came(), hangup.came()) == (True, False)
    finally:
        signal.signal(signal.SIGHUP, before)
