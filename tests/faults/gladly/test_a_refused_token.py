"""Gladly refuses the credentials, or the parameters of a request (faults A16)."""

import time
from collections import Counter

import pytest
from structlog.testing import capture_logs

from sandbox import Fault
from support.checker import problems
from support.endpoints import EVENTS
from support.worlds import one_conversation
from sync.cli.errors import exit_code_of


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_exits_3_and_says_what_to_mend(installation, sandbox, status):
    """
    The message does not contain the token. After the token is corrected, nothing is missing (faults A16).
    """
    one_conversation(sandbox)
    if status == 401:
        installation.settings["GLADLY_API_TOKEN"] = "canary-token"
    else:
        installation.settings["GLADLY_SEGMENT_GLADLY__USERNAME"] = sandbox.gladly.unprivileged_username
    done = installation.run("once")
    assert done.returncode == 3
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert f"refused the API token ({status})" in sentence
    assert "GLADLY_API_TOKEN" in sentence
    assert "gladly.username" in sentence
    assert "canary-token" not in done.stderr
    assert [r.path for r in sandbox.gladly_requests] == ["/api/v1/organization"]
    installation.settings.clear()
    installation.settings["GLADLY_SEGMENT_SYNC__START"] = "10m"
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []


def test_the_daemon_says_once_that_the_token_is_refused_and_asks_no_more(installation, sandbox):
    """Requests to that end pause while cycles go on. SIGTERM still ends the daemon at once (faults A16)."""
    one_conversation(sandbox)
    sandbox.gladly.api_token = "another"
    installation.settings |= {"GLADLY_SEGMENT_SYNC__EVERY": "0.1s", "GLADLY_API_TOKEN": "sandbox-token"}
    process = installation.start("run")
    err = ""
    while err.count('"cycle.finished"') < 5:
        line = process.stderr.readline()
        assert line, err
        err += line
    process.terminate()
    err += process.communicate(timeout=10)[1]
    assert process.returncode == 0
    assert err.count('"gladly.failed"') == 1
    assert len(sandbox.gladly_requests) == 1


def test_the_daemon_tries_a_refused_token_again_after_a_pause(begin, sandbox, tuned):
    """Nobody has to restart the daemon. It delivers pending events meanwhile (faults A16)."""
    tuned(refused_pause_s=0.5)
    one_conversation(sandbox)
    program = begin()
    sandbox.stop_segment()
    tuned(retry={"max_attempts": 1})
    program.run()
    sandbox.start_segment()
    token, sandbox.gladly.api_token = sandbox.gladly.api_token, "another"
    before = len(sandbox.gladly_requests)
    with capture_logs() as logs:
        for _ in range(3):
            assert [exit_code_of(error) for error in program.run().errors] == [3]
        assert len(sandbox.gladly_requests) == before + 1
        assert program.statuses() == {"delivered"}
        time.sleep(0.5)
        program.run()
        assert len(sandbox.gladly_requests) == before + 2
        sandbox.gladly.api_token = token
        time.sleep(0.5)
        assert program.run().errors == []
    said = Counter(entry["event"] for entry in logs if entry["event"].startswith("gladly"))
    assert said == {"gladly.failed": 1, "gladly.recovered": 1}
    assert problems(sandbox) == []


def test_refused_parameters_exit_1_with_gladly_s_own_words(installation, sandbox):
    """
    The request is made once more without the profiles (semantics 3.8), and not again: a further one would get
    the same answer (faults A16).
    """
    one_conversation(sandbox)
    body = b'{"errors":[{"attr":"entities","code":"invalid","detail":"unknown entity"}]}'
    sandbox.faults.add("gladly", EVENTS, Fault(400, body=body, times=None))
    done = installation.run("once")
    assert done.returncode == 1
    assert "answered 400 to /events: unknown entity" in done.stderr
    assert [r.path for r in sandbox.gladly_requests].count(EVENTS) == 2
    sandbox.faults.clear()
    assert installation.run("once").returncode == 0
    assert problems(sandbox) == []
