"""An answer only looks as if nothing had happened (faults A13)."""

import re

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import EVENTS
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("text/html", b"<!doctype html><title>Maintenance</title>", id="a page"),
        pytest.param("text/html; charset=utf-8", b"Be right back.", id="a page without a tag"),
        pytest.param("application/x-jsonlines", b"\n  <html>\n", id="a page that says it is events"),
        pytest.param("text/plain", b"\xef\xbb\xbf<html></html>", id="a page after a byte order mark"),
        pytest.param("application/xml", b"<error/>", id="XML"),
        pytest.param("application/json", b'{"errors":[{"detail":"sorry"}]}', id="an error"),
        pytest.param("application/json", b'{"errors":{"detail":"sorry"}}', id="an error, not in a list"),
        pytest.param(
            "application/json",
            b'{\n  "errors": [\n    {"detail": "sorry"}\n  ]\n}\n',
            id="an error, indented",
        ),
        pytest.param("application/json", b'{"message":"Internal server error"}', id="a gateway's error"),
        pytest.param("application/json", b'{"error":{"code":500}}', id="another gateway's error"),
        pytest.param("text/plain", b"upstream connect error or disconnect/reset before headers", id="text"),
    ],
)
def test_a_page_or_an_error_answered_with_200_does_not_mean_that_nothing_happened(
    begin, sandbox, content_type, body
):
    """
    The watermark stays, and the error says what came. The events are read once Gladly shows them
    (faults A13).
    """
    busy_minutes(sandbox, 2)
    program = begin()
    program.run()
    sandbox.clock.advance(300)
    busy_minutes(sandbox, 3, over_s=60)
    before = program.watermark
    sandbox.faults.add("gladly", EVENTS, Fault(200, body=body, content_type=content_type, times=None))
    for _ in range(2):
        result = program.run()
        sandbox.clock.advance(120)
    assert result.gladly_error is not None
    assert exit_code_of(result.gladly_error) == 1
    assert re.search(r"page|error|something else", str(result.gladly_error))
    assert program.watermark == before
    sandbox.faults.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []
