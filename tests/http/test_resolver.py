"""From a host's name to its addresses, within a time that is given."""

import socket
import threading
import time

import pytest

from support.waiting import wait_until
from sync.http.resolver import Resolver

ANSWER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 443))]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "fe80::1%eth0", "192.0.2.1"])
def test_an_address_is_its_own_answer(address):
    """Nobody is asked."""
    assert Resolver().addresses(address, 443, 0.0) == [address]


def test_a_name_is_resolved():
    """`localhost` is known everywhere."""
    assert set(Resolver().addresses("localhost", 80, 5.0)) <= {"127.0.0.1", "::1"}


def test_a_name_that_nobody_has_is_an_error_each_time():
    """An earlier failure is not kept."""
    resolver = Resolver()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            resolver.addresses("nobody.invalid", 80, 30.0)


def test_a_name_that_can_be_none_is_an_error():
    """A label has at most 63 characters."""
    with pytest.raises(UnicodeError):
        Resolver().addresses("a" * 64 + ".example", 80, 5.0)


def test_a_late_answer_serves_the_next_call(monkeypatch):
    """The first call gives up in time. One thread at a time asks for a name (faults H2.6)."""
    answers, asked = threading.Event(), []

    def getaddrinfo(host, port, *_):
        asked.append(host)
        answers.wait(10)
        return ANSWER

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    resolver, begun = Resolver(), time.monotonic()
    for _ in range(3):
        with pytest.raises(socket.gaierror, match="no name server answered in time"):
            resolver.addresses("acme.gladly.example", 443, 0.05)
    assert time.monotonic() - begun < 5
    answers.set()
    assert resolver.addresses("acme.gladly.example", 443, 5.0) == ["192.0.2.1"]
    assert asked == ["acme.gladly.example"]


def test_two_names_do_not_wait_for_each_other(monkeypatch):
    """One hangs, and the other one is answered."""
    hangs = threading.Event()

    def getaddrinfo(host, port, *_):
        if host == "slow.example":
            hangs.wait(10)
        return ANSWER

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    resolver = Resolver()
    with pytest.raises(socket.gaierror):
        resolver.addresses("slow.example", 443, 0.05)
    assert resolver.addresses("fast.example", 443, 5.0) == ["192.0.2.1"]
    hangs.set()
    wait_until(lambda: not [t for t in threading.enumerate() if t.name == "resolver"])
