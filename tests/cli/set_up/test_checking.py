"""`check` and `completion`; what each check finds is in tests/runtime/test_checks.py."""

import json

import pytest

from sandbox import Fault
from support.dialogue import dialogue


def test_offline_makes_no_request(installation):
    """The settings and the state file are checked. An end that is down does not matter."""
    ended = installation.run("check", "--offline", "--json")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, [each["check"] for each in found]) == (0, ["settings", "state file"])
    assert installation.sandbox.gladly_requests + installation.sandbox.segment_requests == []


def test_offline_names_what_is_wrong(installation):
    """As the whole check does."""
    installation.settings["GLADLY_SEGMENT_SYNC__EVERY"] = "often"
    ended = installation.run("check", "--offline")
    assert ended.returncode == 2
    assert "The variable GLADLY_SEGMENT_SYNC__EVERY: 'often' is not a duration" in ended.stdout


def test_a_check_that_takes_long_shows_which_and_for_how_long(installation):
    """On a terminal. The finding takes the line's place."""
    installation.sandbox.faults.add("gladly", "*", Fault(delay_s=2.5, times=1))
    with dialogue("check", directory=installation.directory, environment=installation.environment) as talk:
        talk.hear("gladly      1 s")
        talk.hear("\rok      gladly")
        assert talk.end() == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete(installation, shell):
    """The script names the program."""
    done = installation.run("completion", shell)
    assert done.returncode == 0
    assert "gladly-segment" in done.stdout
