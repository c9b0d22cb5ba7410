"""Gladly's answer points to another address (faults A21)."""

from datetime import timedelta

import pytest

from support.checker import problems
from support.endpoints import CONVERSATIONS, EVENTS, ORGANIZATION, PROFILES
from support.proxy import Proxy
from support.proxy_actions import redirect
from support.raw_server import RawServer
from support.worlds import one_conversation
from sync.cli.errors import exit_code_of


@pytest.fixture
def elsewhere():
    """A server on another port stands for another host. Nobody may ask it anything."""

    def handler(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with RawServer(handler) as server:
        yield server


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "path",
    ["/api/v1/organization", EVENTS, CONVERSATIONS, PROFILES],
    ids=["organization", "feed", "conversation", "profile"],
)
def test_a_redirect_elsewhere_is_refused(begin, sandbox, elsewhere, path, status):
    """
    The credentials go to no other host. The error says what to check, and no customer or conversation counts
    as deleted (faults A21).
    """
    one_conversation(sandbox)
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(path, redirect(f"{elsewhere.url}/api/v1/events", status))
        program = begin(gladly=proxy.url)
        report = program.run()
        if path in (EVENTS, ORGANIZATION):
            (error,) = report.errors
            assert exit_code_of(error) == 1
            said = str(error)
            assert program.events() == []
        else:  # one object that does not answer holds back its own events
            assert report.errors == []
            said = program.events()[0]["reason"]
            assert {event["status"] for event in program.events()} == {"recorded"}
        assert f"answered with a redirect ({status}), which is never followed" in said
        assert "gladly.base_url" in said
        assert elsewhere.seen == []
        proxy.script.clear()
        program.store.recorded.retry(None)
        assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    "to",
    ["http://gladly.example.com/", "https://127.0.0.1:1/", "//127.0.0.1:1/", "/api/v1/other", "", "\x01"],
    ids=["http", "port", "no scheme", "same host", "empty", "garbage"],
)
def test_wherever_it_points_a_redirect_is_refused(begin, sandbox, to):
    """A redirect to the same host is refused too, because the API never moves (faults A21)."""
    with Proxy(sandbox.gladly_url) as proxy:
        proxy.on(EVENTS, redirect(to))
        (error,) = begin(gladly=proxy.url).run().errors
        assert "never followed" in str(error)
        assert [path for _, path in proxy.seen if "other" in path] == []


def test_only_the_id_is_taken_from_a_merged_profile_s_redirect(begin, sandbox, elsewhere):
    """
    Gladly answers 301 for a customer who was merged into another. The host that the redirect names is not
    asked (faults A21).
    """
    world = sandbox.world
    first, second = (world.add_customer(name, recorded=False) for name in ("One", "Two"))
    at = sandbox.clock.now() - timedelta(seconds=200)
    world.open_conversation(first, at=at)
    world.merge(first, second, at=at + timedelta(seconds=5))
    with Proxy(sandbox.gladly_url) as proxy:
        path = f"/api/v1/customer-profiles/{first.id}"
        proxy.on(path, redirect(f"{elsewhere.url}/api/v1/customer-profiles/{second.id}", 301))
        assert begin(gladly=proxy.url).run().errors == []
    assert elsewhere.seen == []
    assert [e["userId"] for e in sandbox.inbox.received] == [second.id]
    assert problems(sandbox) == []
