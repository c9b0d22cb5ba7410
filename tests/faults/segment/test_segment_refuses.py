"""Segment refuses the write key, or gives an answer that proves nothing (faults D6)."""

import pytest

from sandbox import Fault
from support.checker import problems
from support.endpoints import BATCH
from support.worlds import busy_minutes
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_write_key_exits_3_after_gladly_was_read(installation, sandbox, status):
    """
    The sentence names the setting and not the key. It says that nothing is lost, and nothing is (faults D6).
    Segment itself answers neither, other receivers do.
    """
    busy_minutes(sandbox, 2)
    if status == 401:
        sandbox.segment.wrong_keys = "refused"
        installation.settings["SEGMENT_WRITE_KEY"] = "canary-key"
    else:
        sandbox.faults.add("segment", BATCH, Fault(403, times=None))
    done = installation.run("once")
    assert done.returncode == 3
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"refused the write key ({status})" in sentence
    assert "SEGMENT_WRITE_KEY" in sentence
    assert "nothing is lost" in sentence
    assert "canary-key" not in done.stderr
    assert [e["status"] for e in installation.events()] == ["pending"] * 4
    assert len(sandbox.segment_requests) == 1
    installation.settings.pop("SEGMENT_WRITE_KEY", None)
    sandbox.faults.clear()
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


def test_check_says_that_a_200_proves_no_write_key(installation, sandbox):
    """
    Segment answers 200 to an unknown key and drops the events. So `check` does not say that the key is right
    (faults D6).
    """
    installation.settings["SEGMENT_WRITE_KEY"] = "unknown0" * 4
    done = installation.run("check")
    assert done.returncode == 0
    assert "proves neither the write key nor the region" in done.stdout
    assert "debugger" in done.stdout
    sandbox.segment.wrong_keys = "refused"
    refused = installation.run("check")
    assert refused.returncode == 3
    assert "refused the write key" in refused.stdout


def test_what_an_unknown_key_lost_is_sent_again_by_a_replay(installation, sandbox):
    """
    Segment answers 200 to a key that it does not know, and drops the events. Nothing shows that but the
    debugger of the source. With the right key, a replay sends them (faults D6, semantics 4.7).
    """
    busy_minutes(sandbox, 3)
    installation.settings["SEGMENT_WRITE_KEY"] = "unknown0" * 4
    assert installation.run("once").returncode == 0
    assert {e["status"] for e in installation.events()} == {"delivered"}
    assert len(sandbox.inbox) == 0
    del installation.settings["SEGMENT_WRITE_KEY"]
    assert installation.run("watermark", "reset", "--to", "15m", "--replay", "--yes").returncode == 0
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


@pytest.mark.parametrize(
    ("body", "content_type", "says"),
    [
        pytest.param(b'{"success":false}', None, "answered that it failed", id="success false"),
        pytest.param(
            b'{"success": false, "message": "x"}', "text/plain", "failed", id="success false, as text"
        ),
        pytest.param(b"<html>login</html>", "text/html", "answered the events with a page", id="a page"),
        pytest.param(
            b"please log in", "text/html", "answered the events with a page", id="a page without tags"
        ),
        pytest.param(b" <!doctype html>", "text/plain", "with a page", id="a page that says it is text"),
    ],
)
def test_a_200_that_is_not_segment_s_delivers_nothing(begin, sandbox, impatient, body, content_type, says):
    """The events stay pending, and the error says what came. They go out once Segment answers (faults D6)."""
    busy_minutes(sandbox, 2)
    sandbox.faults.add("segment", BATCH, Fault(200, body=body, content_type=content_type, times=None))
    program = begin()
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert says in str(error)
    assert "pending" in str(error)
    assert program.statuses() == {"pending"}
    sandbox.faults.clear()
    assert program.run().errors == []
    assert problems(sandbox) == []


@pytest.mark.parametrize("body", [b"", b"{}", b'{"success":true}', b"ok", b"null", b"\xff"])
@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_other_2xx_delivers(begin, sandbox, status, body):
    """Segment-compatible receivers answer with an empty body, or with a body of their own (faults D6)."""
    busy_minutes(sandbox, 1)
    body = b"" if status == 204 else body
    sandbox.faults.add("segment", BATCH, Fault(status, body=body, taken=True))
    program = begin()
    assert program.run().errors == []
    assert program.statuses() == {"delivered"}
    assert problems(sandbox) == []


@pytest.mark.parametrize("status", [404, 405, 410, 418, 451])
def test_an_answer_that_no_segment_gives_is_an_error_and_rejects_nothing(begin, sandbox, status):
    """
    A wrong address must not use up events. They stay pending, and the sentence names the setting (faults D6).
    """
    busy_minutes(sandbox, 2)
    sandbox.faults.add("segment", BATCH, Fault(status, times=None))
    program = begin()
    (error,) = program.run().errors
    assert exit_code_of(error) == 1
    assert f"answered {status}: that is not Segment's batch endpoint" in str(error)
    assert "segment.base_url" in str(error)
    assert len(sandbox.segment_requests) == 1
    assert program.statuses() == {"pending"}
