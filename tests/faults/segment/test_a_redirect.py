"""Segment's answer points to another address (faults D7)."""

import re

import pytest

from support.checker import problems
from support.endpoints import BATCH
from support.proxy_actions import redirect
from support.raw_server import RawServer
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_is_an_error_and_nothing_counts_as_sent(begin, sandbox, proxy, status):
    """
    Following it would turn the POST into a GET that answers 200. The write key goes to no other host
    (faults D7).
    """
    busy_minutes(sandbox, 2)

    def handler(request, sock):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n" + b'{"success":true}')

    with RawServer(handler) as elsewhere:
        proxy.on(BATCH, redirect(f"{elsewhere.url}/v1/batch", status))
        program = begin(segment=proxy.url)
        (error,) = program.run().errors
        assert exit_code_of(error) == 1
        assert re.search(rf"answered {status} with a redirect, which is never followed", str(error))
        assert "segment.base_url or segment.region" in str(error)
        assert elsewhere.seen == []
    assert [path for _, path in proxy.seen] == [BATCH]
    assert program.statuses() == {"pending"}
    assert sandbox.inbox.attempts == []
    proxy.script.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []
